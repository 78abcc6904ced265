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
from llmrec.encoders.transformer import TransformerEncoder, minilm, smollm2

_NAMED: Mapping[str, Callable[..., Encoder]] = MappingProxyType(
    {
        "minilm": minilm,
        "smollm2": smollm2,
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
        Language models: ``pooling``, ``max_length``, ``precision``. ``tfidf`` and ``bm25``:
        ``corpus`` (required), ``max_features``; ``bm25`` also ``k1``, ``b``. ``hash``: ``dim``.
        ``random``: ``dim``, ``seed``. ``shuffled``: ``base`` (required), ``seed``.

    Raises
    ------
    KeyError
        When the name is not known and looks neither like a folder nor like a hub id.
    ValueError
        When an option is unknown, missing or out of range.
    FileNotFoundError
        When a folder or hub id cannot be read.
    """
    make = _NAMED.get(str(name))
    if make is None:
        if "/" not in str(name) and not Path(name).is_dir():
            raise KeyError(
                f"no encoder {str(name)!r}: use one of {', '.join(_NAMED)}, a folder with a model, "
                "or a hub id such as 'organisation/model'"
            )
        options = {"model": name, **options}
        make = TransformerEncoder
    _check_options(str(name), make, options)
    encoder = make(**options)
    return CachedEncoder(encoder) if cache and isinstance(encoder, TransformerEncoder) else encoder


def _check_options(name: str, make: Callable[..., Encoder], options: Mapping[str, Any]) -> None:
    taker = TransformerEncoder if make in (minilm, smollm2) else make
    known = [option for option in inspect.signature(taker).parameters if option != "self"]
    if taker is TransformerEncoder and make is not TransformerEncoder:
        known = [option for option in known if option not in ("model", "name")]
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(
            f"encoder {name!r} has no option {unknown[0]!r}: it takes {', '.join(known)}"
        )
