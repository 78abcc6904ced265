import os

import pytest

from llmrec.repro.provenance import Provenance, Snapshot, notebook_hash, source_hash
from llmrec.repro.reference import Reference

CODE = '''
"""Module."""
class A:
    """Class."""
    x: int = 1
def f(a, b=2):
    """Docstring."""
    # comment
    return a + b  # why
async def g():
    """Only a docstring."""
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Docstring."""', '"""Another\n    docstring."""'),
        ('    """Docstring."""\n', ""),
        ("# comment", "# other words"),
        ("a + b", "(a\n        + b)"),
        ('"""Module."""', '"""Other."""'),
        ('"""Class."""', '"""Other."""'),
    ],
)
def test_docstrings_comments_and_layout_do_not_count(old, new):
    assert old in CODE
    assert source_hash(CODE) == source_hash(CODE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [("a + b", "a - b"), ("b=2", "b=3"), ("x: int = 1", "x: int = 2"), ("def f", "def h")],
)
def test_code_counts(old, new):
    assert source_hash(CODE) != source_hash(CODE.replace(old, new))


def test_a_string_that_is_no_docstring_counts():
    assert source_hash('x = 1\n"a"\n') != source_hash('x = 1\n"b"\n')


def test_notebook_hash_sees_code_only(notebook, tmp_path):
    base = notebook_hash(notebook(tmp_path / "a.ipynb", "x = 1  # why", "%matplotlib inline\nx"))
    same = notebook(tmp_path / "b.ipynb", "x = 1", "%matplotlib inline\nx  # shown")
    assert notebook_hash(same) == base
    same.write_text(same.read_text().replace("# Title", "# Another title"))
    assert notebook_hash(same) == base
    for sources in (["x = 2", "%matplotlib inline\nx"], ["x = 1", "%matplotlib agg\nx"], ["x = 1"]):
        assert notebook_hash(notebook(tmp_path / "c.ipynb", *sources)) != base
    assert notebook_hash(notebook(tmp_path / "d.ipynb", "this is (not code")) != base


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "llmrec"
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "data" / "__init__.py").write_text("")
    (folder / "data" / "films.py").write_text('"""Loads \\"people\\"."""\nget("films")\n')
    (folder / "fetch.py").write_text('TABLE = "sources.yml"\n')
    (folder / "text.py").write_text('TABLE = "templates.yml"\nOWN = "generic"\n')
    (folder / "space.py").write_text('TABLE = "search_spaces.yml"\nclass EASE: ...\n')
    (folder / "other.py").write_text('get("people")\n')
    (folder / "sources.yml").write_text(
        "films: {title: F, members: {a.db: {sha256: '1'}}}\n"
        "people: {title: P, members: {b.db: {sha256: '2'}}}\n"
    )
    (folder / "templates.yml").write_text(
        "items: {films: 1, generic: 2, people: 3, quoted: 4}  # comment\nbehaviour: {films: 5}\n"
    )
    (folder / "search_spaces.yml").write_text("EASE: {l2: [1]}\nALS: {factors: [2]}\n")
    (folder / "words.yml").write_text("a: 1  # comment\n")
    return folder


def rewrite(path, text):
    """Write a file so that its modification time surely differs."""
    before = path.stat().st_mtime_ns
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


LOADED = ["llmrec", *(f"llmrec.{m}" for m in ("data.films", "fetch", "space", "text", "gone"))]


def test_provenance_holds_loaded_modules_and_the_data_they_name(package, notebook, tmp_path):
    path = notebook(tmp_path / "04_a.ipynb", 'text_of("quoted")\n"words.yml"', "%%bash\n'people'")
    found = Snapshot.take(package).provenance(path, LOADED)
    assert list(found.modules) == sorted(set(LOADED) - {"llmrec.gone"})
    assert set(found.data) == {  # people: only in a docstring, not loaded, or no Python
        "sources.yml: films",
        *(f"templates.yml: items: {name}" for name in ("films", "generic", "quoted")),
        "templates.yml: behaviour: films",
        "search_spaces.yml: EASE",
        "words.yml",
    }
    assert Provenance.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("file", "text", "changes"),
    [
        ("text.py", '"""New."""\nTABLE = "templates.yml"  # why\nOWN = "generic"\n', []),
        ("text.py", 'TABLE = "templates.yml"\nOWN = "generic"\nN = 2\n', ["llmrec.text"]),
        ("other.py", "N = 2\n", []),
        ("templates.yml", "items: {films: 1, generic: 2, new: 9}\nbehaviour: {films: 5}\n", []),
        (
            "templates.yml",
            "items: {films: 2, generic: 2}\nbehaviour: {films: 5}\n",
            ["templates.yml: items: films"],
        ),
        ("search_spaces.yml", "EASE: {l2: [1]}\nALS: {}\nNew: {}\n", []),
        ("search_spaces.yml", "EASE: {l2: [2]}\n", ["search_spaces.yml: EASE"]),
        ("words.yml", "a: 2\n", []),
        (
            "sources.yml",
            "films: {title: Films, members: {a.db: {sha256: '1'}}}\nnew: {members: {}}\n",
            [],
        ),
        (
            "sources.yml",
            "films: {title: F, members: {a.db: {sha256: '3'}}}\n",
            ["sources.yml: films"],
        ),
    ],
)
def test_what_makes_a_chapter_stale(package, notebook, tmp_path, file, text, changes):
    path = notebook(tmp_path / "04_a.ipynb", "x")
    before = Snapshot.take(package).provenance(path, LOADED)
    rewrite(package / file, text)
    assert before.changes(Snapshot.take(package).provenance(path, LOADED)) == changes


def test_static_staleness_of_a_reference(clone, notebook):
    path = notebook(clone.root / "notebooks" / "04_a.ipynb", "x = 1")
    module = clone.package / "repro" / "record.py"
    known = Snapshot.take(clone.package).provenance(path, ["llmrec.repro.record"]).to_json()
    reference = Reference("book", {}, {"ch04": {"provenance": known}})
    assert reference.stale(clone) == {}
    rewrite(module, "def record():\n    return 2\n")
    assert reference.stale(clone) == {"ch04": ["llmrec.repro.record"]}
    module.unlink()
    notebook(path, "x = 2")
    assert reference.stale(clone) == {"ch04": ["the notebook's code", "llmrec.repro.record"]}
    path.unlink()
    assert reference.stale(clone) == {"ch04": ["the notebook is gone"]}
