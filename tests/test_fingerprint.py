"""The fingerprint sees what a number depends on, wherever it stands, and nothing else."""

import ast
import functools
import os
import time
from pathlib import Path

import numpy as np
import pytest

from llmrec import fingerprint, text
from llmrec.evaluation import evaluate
from llmrec.fingerprint import Snapshot, code_of
from llmrec.models import EASE, Popularity

FILES = {
    "llmrec/__init__.py": "",
    "llmrec/models/__init__.py": "import lazy_loader\n",
    "llmrec/models/__init__.pyi": "from .ease import EASE as EASE\nfrom .pop import Pop as Pop\n",
    "llmrec/models/base.py": "class Base:\n    def fit(self):\n        return self\n",
    "llmrec/models/ease.py": '''
"""Closed form."""
import numpy as np
from llmrec.models.base import Base
from llmrec.solve import inverse
SIZE = 3
def unrelated():
    return 1
class EASE(Base):
    """A model."""
    def score(self, x):
        """Score."""
        return np.sum(x) + SIZE + inverse(x)
''',
    "llmrec/models/pop.py": "class Pop:\n    pass\n",
    "llmrec/solve.py": "def inverse(x):\n    return half(x)\ndef half(x):\n    return x / 2\n",
    "llmrec/text.py": "PATH = 'templates.yml'\ndef item_text(t):\n    return PATH, t\n",
    "llmrec/templates.yml": "items:\n  films: {says: a}\n  songs: {says: b}\n",
    "llmrec/data/__init__.py": "",
    "llmrec/data/loaders/__init__.py": "def load(name):\n    return name\n",
    "llmrec/data/loaders/ml_100k.py": "def load():\n    return rows()\ndef rows():\n    return 5\n",
    "notebooks/chapters/__init__.py": "",
    "notebooks/chapters/ch01_x.py": "from llmrec.models import EASE as Model\nrun = Model().fit\n",
}


@pytest.fixture
def clone(tmp_path):
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path


def take(clone):
    return Snapshot(clone / "llmrec", clone / "notebooks" / "chapters")


def edit(clone, name, old, new):
    path = clone / name
    path.parent.mkdir(exist_ok=True)
    before = path.read_text() if path.is_file() else ""
    assert old in before
    path.write_text(before.replace(old, new) if old else new)


EDITS = {
    "a helper two calls away": ("llmrec/solve.py", "x / 2", "x / 3", ["half"]),
    "a constant": ("llmrec/models/ease.py", "SIZE = 3", "SIZE = 4", ["SIZE"]),
    "a base class": ("llmrec/models/base.py", "return self", "return None", ["Base"]),
    "a method": ("llmrec/models/ease.py", "np.sum(x) +", "np.sum(x) -", ["EASE"]),
    "a library behind an alias": ("llmrec/models/ease.py", "numpy as np", "torch as np", ["EASE"]),
    "a loose statement": (
        "llmrec/solve.py",
        "def inverse",
        "print()\ndef inverse",
        ["(statements)"],
    ),
    "a docstring": ("llmrec/models/ease.py", '"""Score."""', '"""Other."""', []),
    "a comment": ("llmrec/models/ease.py", "SIZE = 3", "SIZE = 3  # three", []),
    "an unrelated function": ("llmrec/models/ease.py", "return 1", "return 2", []),
    "an unrelated model": ("llmrec/models/pop.py", "pass", "x = 1", []),
}


@pytest.mark.parametrize("case", EDITS)
def test_what_an_edit_changes(clone, case):
    name, old, new, expected = EDITS[case]
    before = take(clone).of("llmrec.models.EASE").definitions
    edit(clone, name, old, new)
    after = take(clone).of("llmrec.models.EASE").definitions
    assert sorted(k for k in before.keys() | after if before.get(k) != after.get(k)) == expected


def test_moving_a_function_to_another_module_changes_nothing(clone):
    before = take(clone).of("llmrec.models.EASE", "chapters.ch01_x.run")
    edit(clone, "llmrec/solve.py", "def half(x):\n    return x / 2\n", "")
    edit(clone, "llmrec/solve.py", "def inverse", "from .halves import half\ndef inverse")
    edit(clone, "llmrec/halves.py", "", "def half(x):\n    # moved\n    return x / 2\n")
    assert take(clone).of("llmrec.models.EASE", "chapters.ch01_x.run") == before


def test_a_stub_decides_what_a_name_is(clone):
    before = take(clone).of("chapters.ch01_x.run").definitions
    assert {"EASE", "Base", "inverse", "half", "SIZE", "run"} <= before.keys()
    edit(clone, "llmrec/models/ease2.py", "", "from .pop import Pop\nclass EASE(Pop):\n    pass\n")
    edit(clone, "llmrec/models/__init__.pyi", "from .ease import", "from .ease2 import")
    after = take(clone).of("chapters.ch01_x.run").definitions
    assert after["EASE"] != before["EASE"]
    assert "inverse" not in after
    assert "Pop" in after


def test_another_name_behind_the_same_alias_is_noticed(clone):
    before = take(clone).of("chapters.ch01_x.run")
    edit(clone, "notebooks/chapters/ch01_x.py", "EASE as Model", "Pop as Model")
    assert take(clone).of("chapters.ch01_x.run").definitions["run"] != before.definitions["run"]


def test_definitions_of_one_name_are_both_kept(clone):
    edit(clone, "llmrec/models/pop.py", "pass", "from llmrec.models.a import half as h; h()")
    edit(clone, "llmrec/models/a.py", "", "def half():\n    return 0\n")
    both = take(clone).of("llmrec.models.EASE", "llmrec.models.Pop").definitions["half"]
    alone = take(clone).of("llmrec.models.EASE").definitions["half"]
    assert alone in both.split("+")
    assert len(both.split("+")) == 2


def test_a_notebook_reaches_what_its_cells_name(clone):
    cells = "from llmrec.data.loaders import load\nload('ml-100k')\ndef f(half):\n return half\n"
    reached = take(clone).of_tree(ast.parse(cells))
    assert set(reached.definitions) == {"load", "rows"}
    assert len(reached.definitions["load"].split("+")) == 2  # the loader's own, too
    whole = take(clone).of_tree(ast.parse("from llmrec import solve\nf(solve)"))
    assert set(whole.definitions) == {"inverse", "half"}  # a module as a value
    one = take(clone).of_tree(ast.parse("import llmrec.solve as s\ns.half(1)"))
    assert set(one.definitions) == {"half"}


def test_data_count_by_entry_when_they_are_named(clone):
    cells = "from llmrec.text import item_text\nitem_text('films')"
    before = take(clone).of_tree(ast.parse(cells))
    assert set(before.data) == {"templates.yml: items: films"}
    edit(clone, "llmrec/templates.yml", "says: b", "says: c")
    assert take(clone).of_tree(ast.parse(cells)) == before
    edit(clone, "llmrec/templates.yml", "says: a", "says: c")
    assert take(clone).of_tree(ast.parse(cells)).data != before.data


def test_a_snapshot_keeps_what_it_read(clone):
    now = take(clone)
    before = take(clone).of("llmrec.models.EASE")
    edit(clone, "llmrec/solve.py", "x / 2", "x / 3")
    assert now.of("llmrec.models.EASE") == before


def test_bookkeeping_is_not_followed(clone):
    edit(clone, "llmrec/repro/record.py", "", "def record(x):\n    return x\n")
    edit(clone, "llmrec/repro/kit.py", "", "def by_profile(x):\n    return x\n")
    cells = "from llmrec.repro import record, kit\nrecord(kit.by_profile(3))"
    edit(clone, "llmrec/repro/__init__.py", "", "from llmrec.repro.record import record\n")
    assert set(take(clone).of_tree(ast.parse(cells)).definitions) == {"by_profile"}
    assert set(take(clone).of("llmrec.repro.record.record").definitions) == {"record"}


def test_an_unknown_name_is_refused(clone):
    with pytest.raises(KeyError, match=r"llmrec.models.Ease leads to no definition in llmrec, ch"):
        take(clone).of("llmrec.models.Ease")


# code_of: live objects of this process


def test_a_class_an_instance_and_its_name_are_one():
    assert code_of(EASE) == code_of(EASE(l2=3.0)) == code_of("llmrec.models.EASE")
    assert code_of(EASE) != code_of(Popularity)
    assert code_of(EASE()._fit) == code_of(EASE._fit) == code_of("llmrec.models.EASE")
    assert code_of(EASE, evaluate) != code_of(EASE)


def made(offset=0, model=EASE, doc=""):
    def make(l2):
        return model(l2=l2 + offset)

    make.__doc__ = doc
    return make


def test_functions_from_outside_count_by_code_values_and_what_they_use():
    same = code_of(made())
    assert code_of(made(doc="other words")) == same
    assert code_of(made(offset=1)) != same
    assert code_of(made(model=Popularity)) != same
    assert code_of(functools.partial(made(), l2=2)) != code_of(functools.partial(made(), l2=3))
    assert code_of(lambda: 1) != code_of(lambda: 2)
    assert code_of(lambda x: helper(x)) != code_of(lambda x: x)


def helper(x):
    return text.count_words(x) + np.log(2)


def outside(body):
    """A class as a notebook would define it."""
    scope = {"__name__": "__main__", "EASE": EASE, "text": text}
    exec(body, scope)
    return scope["Mine"]


def test_classes_from_outside_count_by_members_and_bases():
    body = "class Mine(EASE):\n    def score(self, x):\n        return text.clean(x) + 1\n"
    same = code_of(outside(body))
    assert code_of(outside(body)) == same
    assert code_of(outside(body.replace("+ 1", "+ 2"))) != same
    assert code_of(outside(body.replace("(EASE)", ""))) != same
    assert code_of(outside(body.replace("text.clean", "text.count_words"))) != same


def test_an_edit_after_the_process_began_makes_keys_that_nobody_else_has(clone, monkeypatch):
    monkeypatch.setattr(fingerprint, "_now", lambda: take(clone))
    for path in clone.rglob("*.py"):
        os.utime(path, (1, 1))
    before = code_of("llmrec.models.EASE")
    os.utime(clone / "llmrec/models/ease.py", (time.time() + 5, time.time() + 5))
    with pytest.warns(UserWarning, match="llmrec.models.ease changed since this process began"):
        assert code_of("llmrec.models.EASE") != before


def test_every_public_model_is_found():
    models = Path(fingerprint.__file__).parent / "models" / "__init__.pyi"
    names = [line.split()[-1] for line in models.read_text().splitlines() if " as " in line]
    assert len({code_of(f"llmrec.models.{name}") for name in names}) > len(names) - 5
