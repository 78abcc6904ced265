"""Encoders by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from llmrec.encoders.base import CachedEncoder, Encoder
from llmrec.encoders.controls import RandomEncoder, ShuffledEncoder
from llmrec.encoders.lexical import Bm25Encoder, HashEncoder, TfidfEncoder
from llmrec.encoders.transformer import TransformerEncoder

_NAMED: Mapping[str, Callable[..., Encoder]] = MappingProxyType(
    {
        "minilm": TransformerEncoder,
        "smollm2": TransformerEncoder,
        "tfidf": TfidfEncoder,
        "bm25": Bm25Encoder,
        "hash": HashEncoder,
        "random": RandomEncoder,
        "shuffled": ShuffledEncoder,
    }
)


def available() -> tuple[str, ...]:
    """Return the names that need neither a hub nor a folder."""
    return tuple(_NAMED)


def get_encoder(name: str | Path, *, cache: bool = True, **options: Any) -> Encoder:
    """Make an encoder.

    Parameters
    ----------
    name:
        ``"minilm"``, ``"smollm2"``, ``"tfidf"``, ``"bm25"``, ``"hash"``, ``"random"``,
        ``"shuffled"``, a folder with a model, or a hub id such as ``"intfloat/e5-small-v2"``.
    cache:
        Keep a language model's vectors on disk (see `CachedEncoder`). The others are quick and
        never cached.
    options:
        Of the class: `TransformerEncoder` for a language model, `TfidfEncoder`, `Bm25Encoder`,
        `HashEncoder`, `RandomEncoder`, `ShuffledEncoder`.

    Raises
    ------
    KeyError
        When the name is not known and looks neither like a folder nor like a hub id.
    ValueError
        When an option is unknown, missing or out of range.
    FileNotFoundError
        When a folder or hub id cannot be read.
    """
    if str(name) not in _NAMED and "/" not in str(name) and not Path(name).is_dir():
        raise KeyError(
            f"no encoder {str(name)!r}: use one of {', '.join(_NAMED)}, a folder with a model, "
            "or a hub id such as 'organisation/model'"
        )
    make = _NAMED.get(str(name), TransformerEncoder)
    known = [option for option in inspect.signature(make).parameters if option != "model"]
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(
            f"encoder {str(name)!r} has no option {unknown[0]!r}: it takes {', '.join(known)}"
        )
    if make is not TransformerEncoder:
        return make(**options)
    encoder = make(name, **options)
    return CachedEncoder(encoder) if cache else encoder
