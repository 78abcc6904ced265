"""The commands that fit models: ``recommend``, ``study`` and ``tune``; each yields its lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from llmrec import data, models, tuning
from llmrec.cache import write_atomic
from llmrec.cli import MODELS
from llmrec.models import Features, Recommender
from llmrec.study.served import OUTPUT, Served, everything, load_served
from llmrec.text import item_text

TITLE = "{title}[ ({year})]"
# Chapter 4's text of a film: its cast and director, which not every film has, are left out.
TEMPLATES = {"ml-100k": "{title}[ ({year})][. Genres: {genres}]."}
HEAD = "# Written by `llmrec tune`: dataset, regime and model lead to what was chosen.\n"


def recommend(
    dataset: str | None, user: str | None, items: list[str], k: int, model: str
) -> Iterator[str]:
    """Yield titles, scores and reasons; everything the user did is known to the model."""
    known = _from_study(dataset, model) if model not in MODELS else _fitted(dataset, model)
    if user is not None:
        code = known.user(user)
        history, who = known.history(code), f"user {user}"
        listed, scores = known.list_for(code, k)
    else:
        history, who = known.codes(items), "a new user"
        listed, scores = known.list_for_items(history, k)
    named = zip(item_text(known.items, TITLE), known.items["item"], strict=True)
    titles = [title or f"item {item}" for title, item in named]
    label = known.card["model"]
    yield f"{label} on {known.name}, {who} with {len(history)} items in the history\n"
    rows = zip(listed, scores, known.reasons(listed, history), strict=True)
    for place, (item, score, causes) in enumerate(rows, start=1):
        yield f"{place:3d}. {titles[item]}  [{score:.3f}]"
        if causes:
            yield f"     because of {'; '.join(titles[cause] for cause in causes)}"
        else:
            taken = known.model.seen_[:, [item]].nnz
            yield f"     taken by {taken} of {len(known.users)} users"


def _from_study(dataset: str | None, folder: str) -> Served:
    """Return the model that ``llmrec study`` saved."""
    if not Path(folder).is_dir():
        raise ValueError(
            f"no model {folder!r}: choose from {', '.join(MODELS)}, or give the folder that llmrec"
            " study wrote"
        )
    if dataset is not None:
        raise ValueError(f"--model {folder} brings its own items and users: leave out --dataset")
    return load_served(folder)


def _fitted(dataset: str | None, model: str) -> Served:
    """Return a model of the named kind, fitted on a dataset."""
    kinds: dict[str, type[Recommender]] = {
        "ease": models.EASE,
        "als": models.ALS,
        "itemknn": models.ItemKNN,
        "popularity": models.Popularity,
        "text": models.TextSimilarity,
        "two-tower": models.TwoTower,
    }
    loaded = load_data(dataset or "ml-100k")
    reads = model in ("text", "two-tower")
    features = Features(items=item_vectors(loaded)) if reads else None
    fitted = kinds[model]().fit(everything(loaded), features)
    return Served.of(fitted, loaded, card={"dataset": loaded.name, "model": model})


def load_data(name: str) -> data.Dataset:
    """Return a dataset by its name, or from a folder: ``./ml-100k`` where a name is one too."""
    if name not in data.available() and Path(name).is_dir():
        return data.Dataset.from_folder(name)
    return data.load(name)


def item_vectors(dataset: data.Dataset, templates: Mapping[str, str] | None = None) -> np.ndarray:
    """Return MiniLM's vectors of the items, ``(n_items, 384)``.

    Items are worded by the dataset's own template, or by every text column there is.
    """
    from llmrec.encoders import get_encoder

    usual = dataset.name if dataset.name in data.available() else "generic"
    template = (templates or {}).get(dataset.name, usual)
    return get_encoder("minilm").encode(item_text(dataset.items, template))


def study(
    folder: Path,
    names: Mapping[str, str],
    output: Path | None,
    log: Callable[[str], None],
    **options: Any,
) -> Iterator[str]:
    """Study the tables in a folder and yield the answer with its notes."""
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")  # read by tqdm when it is imported
    from llmrec.study import study as run
    from llmrec.study.report import notes

    target = output or folder / OUTPUT
    if output is None and target.is_symlink():  # it may have come with the tables
        raise OSError(f"{target} is a link to another folder: name the folder with --output")
    done = run(folder, names, output=target, log=log, **options)
    done.write(target)
    yield done.answer.sentence
    yield f"Model to ship: {done.answer.ship}, because {done.answer.why}."
    said = notes(done.results)
    yield from (f"- {line}" for line in (*said.warnings, *said.failed))
    yield f"The whole report is {target / 'report.html'}"


def column_names(columns: list[str], mapping: Path | None) -> dict[str, str]:
    """Return the files' names → ours, from ``ours=theirs`` and from a YAML of ``ours: theirs``.

    One of ours may have several of theirs, a list in the YAML: tables may differ in their names.

    Raises
    ------
    ValueError
        When a part is not of that form, or one of theirs is given twice.
    """
    pairs: list[tuple[str, str]] = []
    if mapping is not None:
        try:
            content: Any = yaml.safe_load(mapping.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ValueError(f"--mapping {mapping} cannot be read: {error}") from error
        if not isinstance(content, Mapping):
            raise ValueError(f"--mapping {mapping}: write one line a column, such as item: movieId")
        for ours, theirs in content.items():
            listed = theirs if isinstance(theirs, list) else [theirs]
            pairs += [(str(ours), str(one)) for one in listed]
    for text in columns:
        ours, equals, theirs = text.partition("=")
        if not (ours and equals and theirs):
            raise ValueError(f"--columns {text}: write ours=theirs, such as item=movieId")
        pairs.append((ours, theirs))
    names: dict[str, str] = {}
    for ours, theirs in pairs:
        if names.setdefault(theirs, ours) != ours:
            raise ValueError(f"column {theirs!r} is to be {names[theirs]!r} and {ours!r}: keep one")
    return names


def tune(
    dataset: str, regime: str, names: list[str], budget: int, output: Path | None
) -> Iterator[str]:
    """Tune one model after the other; each is written down as soon as it is done."""
    known = tuning.spaces()
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no search space {unknown[0]!r}: choose from {', '.join(known)}")
    path = output or tuning.RECORDED
    loaded = load_data(dataset)
    split = tuning.REGIMES[regime](loaded)
    items = np.unique(split.valid["item"]) if regime == "cold-items" else None
    features = Features(items=item_vectors(loaded, TEMPLATES))
    for name in names or known:
        result = tuning.tune(tuning.model_of(name), split, features, budget, name=name, items=items)
        content = tuning.recorded(path)
        content.setdefault(loaded.name, {}).setdefault(regime, {})[name] = result.entry()
        write_atomic(path, HEAD + yaml.safe_dump(content, sort_keys=True, allow_unicode=True))
        chosen = ", ".join(f"{key}={value!r}" for key, value in result.values.items())
        trials = f"{result.budget} trials" if result.budget else "nothing to tune"
        yield (
            f"{name:<18} {result.metric} {result.default:.4f} -> {result.value:.4f}  "
            f"{trials}, {result.seconds:.0f} s  {chosen}"
        )
    yield f"wrote {path}"
