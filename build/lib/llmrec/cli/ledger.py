"""``llmrec ledger``: measure published numbers again."""

from __future__ import annotations


def ledger(only: str, force: bool) -> int:
    """Measure what is not up to date, print the rows; 1 when a row that must be equal is not."""
    from llmrec.ledger import load_published, load_recipes, run
    from llmrec.repro.layout import Layout

    layout = Layout.find()
    load_recipes(layout)
    protocols = load_published(layout.published)
    book = run(layout.ledger, protocols, layout.package, only, force=force)
    failed = 0
    for protocol in protocols:
        entries = [entry for entry in book.entries(protocol) if entry.row.id.startswith(only)]
        if entries:
            print(f"\n{protocol.title}")
        for entry in entries:
            ours = f"{entry.ours.value:.4f}" if entry.ours else "-"
            mark = "  MUST BE EQUAL" if entry.failed else ""
            print(f"  {entry.row.id:<44} {entry.row.value:.4f} {ours:>7}  {entry.verdict}{mark}")
            failed += entry.failed
    return int(failed > 0)
