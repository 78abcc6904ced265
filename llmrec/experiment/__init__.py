"""Which models, on which runs, against which opponents and controls, with what interval.

An `Experiment` takes `Run` s (splits, cuts or seeds) and `Arm` s (models with what they read).

- ``choose(budget=None)``: settings by the rehearsals' validation part, equally many trials an arm.
  Then ``values[arm]``, ``log`` (a row a trial) and ``best_of(kind)``: the opponent, too, is chosen
  on validation.
- ``run()``: every arm once a run, kept on disk, so that it goes on where it was stopped. Controls
  become arms: ``"A: shuffled"``, ``"A: strangers"``, ``"A: one list"``, ``"A: no text"``.
- ``evaluation(arm, run, slice)``, ``level(arm, slice)``.
- ``contrast(a, b, slice)`` and ``contrasts({name: (a, b[, slice])}, family=None, margin=None)``,
  paired over users and runs; ``b`` may be ``"best id"``. Each `Contrast` has an interval, the
  smallest detectable difference and an outcome.
- ``record(prefix, record)``, ``table()``, ``figure()``: of levels, and of `Contrasts`.

An arm is built as ``make(**values)``; if ``make`` has an argument ``run`` it gets the `Run`, as in
``lambda run, **values: ALS(seed=run.split.seed, **values)``. An arm made of others reads what was
chosen for them, ``lambda weight: Ensemble(… EASE(**experiment.values["EASE"]) …)``; arms are
chosen in the order given.

Examples
--------
A world in which text and taste agree: does the bridge recommend new items better than a list for
everybody, and than the same vectors on the wrong items?

>>> import numpy as np, pandas as pd
>>> from llmrec.data import Dataset, cold_item_split
>>> from llmrec.experiment import Arm, Experiment, Run
>>> from llmrec.models import EASE, Bridge, Popularity
>>> rng = np.random.default_rng(0)
>>> tastes, topics = rng.integers(0, 4, 120), rng.integers(0, 4, 80)
>>> user, item = np.nonzero(rng.random((120, 80)) < np.where(tastes[:, None] == topics, 0.5, 0.05))
>>> events = pd.DataFrame({"user": user, "item": item, "timestamp": 0, "weight": 1.0})
>>> items = pd.DataFrame({"item": range(80), "title": [f"item {i}" for i in range(80)]})
>>> world = Dataset("world", events.assign(action="took"), items)
>>> text = np.eye(4, 8)[topics] + 0.1 * rng.normal(size=(80, 8))
>>> def new_items(seed, valid=0.0):
...     split = cold_item_split(world, valid=valid, seed=seed)
...     heard = np.unique((split.valid if valid else split.test)["item"])
...     return Run(f"split {seed}", split, {"text": text}, items=heard)
>>> experiment = Experiment(
...     [new_items(seed) for seed in range(4)],
...     [Arm("popularity", Popularity, kind="baseline"),
...      Arm("EASE", EASE, {"l2": 50.0}),
...      Arm("bridge", Bridge, {"l2": 50.0}, "text", {"text_l2": [0.1, 1.0]}, "text", "EASE")],
...     [new_items(9, valid=0.1)],
...     cache=False,
... )
>>> found = experiment.choose().run().contrasts({
...     "text": ("bridge", "best id"),
...     "the right text": ("bridge", "bridge: shuffled"),
...     "one's own list": ("bridge", "bridge: one list")}, margin=0.01)
>>> found.table()["outcome"].tolist()
['shown', 'shown', 'shown']
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
