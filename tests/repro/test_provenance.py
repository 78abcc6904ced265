import pytest

from llmrec.repro.provenance import Provenance
from llmrec.repro.reference import Reference

CALL = "from llmrec.text import clean\nclean('a')"


def test_the_code_is_blind_to_prose_comments_and_layout(clone, notebook, tmp_path):
    now = clone.snapshot()

    def code(name, *sources):
        return Provenance.of(notebook(tmp_path / name, *sources), now).code

    base = code("a.ipynb", "x = 1  # why", "%matplotlib inline\nx")
    same = notebook(tmp_path / "b.ipynb", "x = 1", "%matplotlib inline\nx  # shown")
    assert Provenance.of(same, now).code == base
    same.write_text(same.read_text().replace("# Title", "# Another title"))
    assert Provenance.of(same, now).code == base
    for sources in (["x = 2", "%matplotlib inline\nx"], ["x = 1", "%matplotlib agg\nx"], ["x = 1"]):
        assert code("c.ipynb", *sources) != base
    assert code("d.ipynb", "this is (not code") != code("e.ipynb", "this is (not codes")


def test_definitions_and_data_are_those_that_the_cells_name(clone, notebook, tmp_path):
    (clone.root / "llmrec" / "words.py").write_text(
        "PATH = 'words.yml'\ndef f():\n    return PATH\n"
    )
    (clone.root / "llmrec" / "words.yml").write_text("a: 1\n")
    path = notebook(tmp_path / "a.ipynb", CALL, "from llmrec.words import f\nf", "%%bash\n'people'")
    found = Provenance.of(path, clone.snapshot())
    assert set(found.definitions) == {"clean", "f", "PATH"}
    assert set(found.data) == {"words.yml"}
    assert Provenance.read(found._asdict()) == found


def test_static_staleness_of_a_reference(clone, notebook):
    path = notebook(clone.root / "notebooks" / "04_a.ipynb", CALL)
    module = clone.root / "llmrec" / "text.py"
    known = Provenance.of(path, clone.snapshot())._asdict()
    reference = Reference("book", {}, {"ch04": {"provenance": known}})
    assert reference.stale(clone) == {}
    module.write_text("def clean(text):\n    return 2\n")
    assert reference.stale(clone) == {"ch04": ["clean"]}
    notebook(path, CALL, "x = 2")
    assert reference.stale(clone) == {"ch04": ["the notebook's code", "clean"]}
    path.unlink()
    assert reference.stale(clone) == {"ch04": ["the notebook is gone"]}


@pytest.mark.parametrize("emptied", [{"definitions": {}}, {"code": ""}, {"definitions": None}])
def test_an_emptied_provenance_is_stale(clone, notebook, emptied):
    path = notebook(clone.root / "notebooks" / "04_a.ipynb", CALL)
    known = Provenance.of(path, clone.snapshot())._asdict() | emptied
    known = {name: value for name, value in known.items() if value is not None}
    assert Reference("book", {}, {"ch04": {"provenance": known}}).stale(clone)


def test_a_stub_that_leads_elsewhere_is_stale(clone, notebook):
    models = clone.root / "llmrec" / "models"
    models.mkdir()
    (models / "__init__.py").write_text("")
    (models / "__init__.pyi").write_text("from .ease import EASE as EASE\n")
    (models / "ease.py").write_text("class EASE:\n    x = 1\n")
    cell = "from llmrec.models import EASE\nEASE()"
    path = notebook(clone.root / "notebooks" / "04_a.ipynb", cell)
    known = Provenance.of(path, clone.snapshot())._asdict()
    reference = Reference("book", {}, {"ch04": {"provenance": known}})
    (models / "ease2.py").write_text("class EASE:\n    x = 2\n")
    assert reference.stale(clone) == {}
    (models / "__init__.pyi").write_text("from .ease2 import EASE as EASE\n")
    assert reference.stale(clone) == {"ch04": ["EASE"]}
