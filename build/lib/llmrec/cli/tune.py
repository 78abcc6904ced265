"""``llmrec tune``: tune models with one budget, and write down what was found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from llmrec import data, tuning
from llmrec.models import Features
from llmrec.repro.record import write_text
from llmrec.text import item_text

# Chapter 4's text of a film: its cast and director, which not every film has, are left out.
TEMPLATES = {"ml-100k": "{title}[ ({year})][. Genres: {genres}]."}
HEAD = "# Written by `llmrec tune`: dataset, regime and model lead to what was chosen.\n"


def tune(dataset: str, regime: str, names: list[str], budget: int, output: Path | None) -> int:
    """Tune one model after the other; each is written down as soon as it is done."""
    known = tuning.spaces()
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no search space {unknown[0]!r}: choose from {', '.join(known)}")
    path = output or tuning.RECORDED
    loaded = data.Dataset.from_folder(dataset) if Path(dataset).is_dir() else data.load(dataset)
    split = tuning.REGIMES[regime](loaded)
    items = np.unique(split.valid["item"]) if regime == "cold-items" else None
    features = Features(items=item_vectors(loaded))
    for name in names or known:
        result = tuning.tune(tuning.model_of(name), split, features, budget, name=name, items=items)
        content = tuning.recorded(path)
        content.setdefault(loaded.name, {}).setdefault(regime, {})[name] = result.entry()
        write_text(path, HEAD + yaml.safe_dump(content, sort_keys=True, allow_unicode=True))
        chosen = ", ".join(f"{key}={value!r}" for key, value in result.values.items())
        trials = f"{result.budget} trials" if result.budget else "nothing to tune"
        print(
            f"{name:<18} {result.metric} {result.default:.4f} -> {result.value:.4f}  "
            f"{trials}, {result.seconds:.0f} s  {chosen}",
            flush=True,
        )
    print(f"wrote {path}")
    return 0


def item_vectors(dataset: data.Dataset) -> np.ndarray:
    """Return MiniLM's vectors of the items, ``(n_items, 384)``."""
    from llmrec.encoders import get_encoder

    usual = dataset.name if dataset.name in data.available() else "generic"
    template = TEMPLATES.get(dataset.name, usual)
    return get_encoder("minilm").encode(item_text(dataset.items, template))
