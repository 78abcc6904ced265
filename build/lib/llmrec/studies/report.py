"""The report of a study: one page that opens anywhere, without a network, and says what was
found.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrec.evaluation.families import BETTER, WORSE
from llmrec.studies import warn
from llmrec.studies.figures import figures
from llmrec.studies.glossary import CONTROLS, names, terms
from llmrec.studies.html import bullets, figure, number, page, signed, table, text
from llmrec.studies.vectors import LEXICAL, TOKENS

if TYPE_CHECKING:
    from llmrec.studies.study import Study

STYLE = Path(__file__).with_name("report.css")
KNOWS = {
    "nothing": "nothing of the user",
    "behaviour": "behaviour",
    "text": "behaviour and text",
    "control": "wrong texts",
}
READS = {
    "": "–",
    "words": "counted words",
    "shuffled": "shuffled texts",
    "shuffled words": "shuffled words",
}
SECTIONS = {
    "answer": "The answer",
    "where": "For which users and items",
    "cost": "All models, and what they cost",
    "ship": "Which model to ship",
    "people": "A few users",
    "tables": "Your tables",
    "method": "How it was measured",
    "limits": "What this study cannot say",
}


def report_html(study: Study) -> str:
    """Return the whole report as one HTML page with its figures inside.

    Titles of items and everything else from the tables are escaped: they are data, not markup.
    """
    drawn = figures(study)
    parts = [
        f"<h1>Does text help recognise your users’ interest? {text(study.profile.name)}</h1>",
        f'<p class="about">{_about(study)}</p>',
        f'<div class="answer"><p>{text(study.answer.sentence)}</p>'
        f"<p>Model to ship: <strong>{text(study.answer.ship)}</strong>, because"
        f" {text(study.answer.why)}.</p></div>",
        bullets(warn.warnings(study)),
        _contents(study),
        _heading("answer"),
        *_answer(study, drawn),
        _heading("where"),
        *_where(study, drawn),
        _heading("cost"),
        *_cost(study),
        _heading("ship"),
        *_ship(study),
        _heading("people"),
        *_people(study),
        _heading("tables"),
        *_tables(study, drawn),
        _heading("method"),
        *_method(study),
        _heading("limits"),
        bullets(warn.limits(study)),
    ]
    title = f"Does text help? {study.profile.name}"
    return page(title, STYLE.read_text(encoding="utf-8"), filter(None, parts))


def _heading(key: str) -> str:
    return f'<h2 id="{key}">{SECTIONS[key]}</h2>'


def _contents(study: Study) -> str:
    links = "".join(f'<li><a href="#{key}">{name}</a></li>' for key, name in SECTIONS.items())
    return f'<nav aria-label="Contents"><ol>{links}</ol></nav>'


def _about(study: Study) -> str:
    about, versions = study.profile, study.results["versions"]
    return (
        f"{about.n_events:,} events of {about.n_users:,} users on {about.n_items:,} items; "
        f"{'quick ' if study.plan.quick else ''}study by llmrec {text(versions['llmrec'])},"
        f" {_time(study.results['cost']['seconds'])} of computing."
    )


def _answer(study: Study, drawn: Mapping[str, Any]) -> list[str]:
    claims = study.answer.claims
    if not claims:
        return [figure(drawn["models"])]
    gain = study.answer.gain
    assert gain is not None
    relative = gain["relative"]
    parts = [] if relative is None else [f"{relative:+.0%} of what the best without text reaches"]
    parts.append(
        f"with {gain['n']:,} test users, a difference of {number(gain['detectable'])} would have"
        " been found four times in five"
    )
    controls = " ".join(CONTROLS[row["part"]] for row in claims if row["part"] in CONTROLS)
    return [
        f"<p>The difference is {'; '.join(parts)}. Both models were chosen on the validation part"
        f" and tested once. {controls}</p>",
        _claims("Asked of the test part", claims, study),
        "<p>“Not shown” does not mean equal: the interval says what is still possible.</p>",
        terms(),
        figure(drawn["models"]),
    ]


def _where(study: Study, drawn: Mapping[str, Any]) -> list[str]:
    rows = study.answer.where
    if not rows:
        return ["<p>No group has enough test users to be judged apart.</p>"]
    return [
        "<p>The same two models, compared within groups. Users are grouped by how much they took"
        " before the test, in thirds; items by how often they were taken then: new ones never,"
        " popular ones are the top fifth. Among items of one kind, only those are candidates.</p>",
        figure(drawn.get("where")),
        _claims("Gain from text by group, a family of its own", rows, study),
    ]


def _claims(caption: str, rows: Any, study: Study) -> str:
    metric = study.plan.metric.replace("ndcg", "nDCG")
    header = [
        "question",
        "verdict",
        "without" if rows is study.answer.where else "compared",
        "with",
        "difference",
        "interval",
        "Holm’s p",
        "users",
    ]
    said = {BETTER: "yes", WORSE: "no, worse"}
    cells = [
        (
            row["claim"],
            said.get(row["verdict"], "not shown"),
            number(row["before"]),
            number(row["after"]),
            signed(row["difference"]),
            f"{signed(row['low'])} to {signed(row['high'])}",
            f"{row['p_holm']:.3f}" if row["p_holm"] >= 0.001 else "< .001",
            f"{row['n']:,}",
        )
        for row in rows
    ]
    return table(f"{caption}: {metric}, paired over users", header, cells, words=2)


def _cost(study: Study) -> list[str]:
    metric = study.plan.metric
    rows = sorted(study.results["models"], key=lambda row: -row[metric])
    cells = [
        (
            row["model"],
            KNOWS[row["knows"]],
            study.plan.encoder if row["reads"] == "language" else READS[row["reads"]],
            number(row["valid"]),
            number(row[metric]),
            number(row["recall@10"]),
            f"{row['fit_seconds']:.1f}",
            f"{row['list_ms']:.1f}",
            f"{row['mb']:.1f}",
        )
        for row in rows
    ]
    header = [
        "model",
        "knows",
        "reads",
        "valid",
        "nDCG@10",
        "recall@10",
        "fit, s",
        "list, ms",
        "MB",
    ]
    best = [n for n, row in enumerate(rows) if row["model"] == study.answer.ship]
    encode = study.results["cost"]["encode_seconds"]
    parts = [
        table("All models on the test part, best first", header, cells, words=3, best=best),
        "<p>“Fit” is one training on everything before the test, “list” one user’s recommendations,"
        " “MB” the arrays of the saved model. All on the machine of this study, whose memory held"
        f" {study.results['cost']['peak_mb']:,.0f} MB at most.</p>",
        names(rows),
    ]
    if rows[0]["model"] != study.answer.ship:
        parts.append(
            f"<p>The first row is not the model to ship ({text(study.answer.ship)}): models are"
            " chosen on the validation part, and the first of many on the test is partly luck."
            " Controls are never shipped.</p>"
        )
    if study.answer.with_text:
        parts.append(
            f"<p>Reading {study.profile.n_items:,} items took the language model"
            f" {_time(encode)} here (less where its cache knew them). Serving needs none of it.</p>"
        )
    if study.results["failed"]:
        failed = (f"{name}: {said}" for name, said in study.results["failed"].items())
        parts += ["<p>Could not be fitted:</p>", bullets(failed)]
    return parts


def _ship(study: Study) -> list[str]:
    row = study.table.loc[study.answer.ship]
    values = ", ".join(f"{name} = {value}" for name, value in row["values"].items())
    user = study.served.users["user"].iloc[0]
    return [
        f"<p><strong>{text(study.answer.ship)}</strong>: {text(study.answer.why)}. The saved model"
        " was fitted again, with the same values, on all events, the test part included."
        f" {text(values)}.</p>",
        "<p>The folder <code>model/</code> beside this page holds it, as safetensors and JSON, with"
        " the tables that it needs, and serves alone:</p>",
        f"<pre>llmrec recommend --model model --user {text(user)}\n"
        f"llmrec recommend --model model --items {text(_some_items(study))}</pre>",
        "<p>Show best-sellers to somebody without any history: no model here knows more.</p>",
    ]


def _some_items(study: Study) -> str:
    return " ".join(map(str, study.served.items["item"].head(2)))


def _people(study: Study) -> list[str]:
    people = study.results["users"]
    parts = [
        "<p>Users drawn by chance, one of each length of history. The list is what"
        f" {text(study.answer.ship)} would have shown before the test began; a tick marks what was"
        " then really taken.</p>"
    ]
    for person in people:
        history = "".join(f"<li>{text(title)}</li>" for title in person["history"])
        taken = "".join(f"<li>{text(title)}</li>" for title in person["taken"])
        listed = "".join(
            f"<li>{'<strong>✓ ' if one['taken'] else ''}{text(one['title'])}"
            f"{'</strong>' if one['taken'] else ''}</li>"
            for one in person["list"]
        )
        parts.append(
            f"<h3>User {text(person['user'])}</h3>\n<div class='people'>\n"
            f"<div><h4>Took before ({person['n_history']:,}), latest first</h4>"
            f"<ul>{history}</ul></div>\n"
            f"<div><h4>Would have been shown</h4><ol>{listed}</ol></div>\n"
            f"<div><h4>Then took ({person['n_taken']:,})</h4><ul>{taken}</ul></div>\n</div>"
        )
    return parts


def _tables(study: Study, drawn: Mapping[str, Any]) -> list[str]:
    about, split = study.profile, study.results["split"]
    facts = [
        ("events that count", f"{about.n_events:,} ({about.feedback})"),
        ("users", f"{about.n_users:,}, {about.one_event_users:,} of them with one item"),
        ("items", f"{about.n_items:,}, {about.never_taken:,} of them never taken"),
        ("filled cells of the table", f"{about.density:.2%}"),
        ("events that repeat an earlier choice", f"{about.repeated:.1%}"),
        ("choices on the most popular fifth of the items", f"{about.hot_share:.0%}"),
        ("test events on items that were new", f"{split['new_items']:.1%}"),
        ("text columns", ", ".join(about.columns)),
        ("items with a text", f"{about.with_text:.1%}, {about.median_words:g} words in the median"),
        ("scripts", _shares(about.scripts) or "no letters"),
        ("languages, by their small words", _shares(about.languages) or "not clear"),
    ]
    if about.dated:
        facts.insert(1, ("time", f"{about.first} to {about.last}"))
    done = [f"{n:,} {reason}" for reason, n in about.dropped.items()]
    done += [f"column {name!r} is not read: {why}" for name, why in about.not_text.items()]
    done += [
        f"column {name!r} of the interactions is not read: {'numbers' if number else 'no numbers'}"
        for name, number in about.unread.items()
    ]
    return [
        table("Your tables in short", ["what", "value"], facts, words=2),
        bullets(done),
        figure(drawn["tail"]),
        figure(drawn["histories"]),
    ]


def _method(study: Study) -> list[str]:
    plan, split = study.plan, study.results["split"]
    lines = [
        f"The split is {'by time' if plan.split == 'time' else 'at random within each user'}:"
        f" {plan.why_split}. {split['train']:,} events to learn from, {split['test']:,} to test.",
        f"Every model had {plan.trials} trials, those without text too, on {split['tuning']:,}"
        " events before a validation part; best-sellers have nothing to tune.",
        f"Models are ranked by {plan.metric.replace('ndcg', 'nDCG')} over the whole catalogue,"
        " without what the user had before; ties count in expectation.",
        f"{_users(split)} have a past and something new to find."
        + (f" {split['newcomers']:,} have no past and are left out." if split["newcomers"] else ""),
        *(_reading(study) if study.answer.with_text else ()),
        *(
            [f"{split['refused']:,} pairs refused before the test are hidden in it."]
            if split["refused"]
            else []
        ),
        "Intervals are bootstrap intervals over users, widened so that all rows of one table hold"
        " at once; p-values are corrected by Holm’s method.",
        *(f"{name} does not take part: {why}." for name, why in plan.left_out.items()),
    ]
    audit = study.results["audit"]
    failed = any(row["status"] == "failure" for row in audit)
    rows = [
        (row["check"], row["split"], row["status"], row["found"], row["mend"] or "–")
        for row in audit
    ]
    header = ["check", "split", "status", "found", "mend"]
    return [
        bullets(lines),
        f"<p>The audit of the splits <strong>{'failed' if failed else 'passed'}</strong>.</p>",
        table(
            "Audit of both splits; of the one to tune on, valid is the test", header, rows, words=5
        ),
    ]


def _users(split: Mapping[str, Any]) -> str:
    if split["users"] == split["able"]:
        return f"{split['users']:,} test users"
    return f"{split['users']:,} test users, drawn from {split['able']:,} that"


def _reading(study: Study) -> list[str]:
    plan = study.plan
    words = f"Counted words are TF-IDF of the {plan.words:,} most frequent."
    if plan.encoder in LEXICAL:
        return [f"Items are read by {plan.encoder}, which only counts words."]
    return [
        f"Items are read by {plan.encoder}, {TOKENS[plan.quick]} tokens of each text at most."
        f" {words}"
    ]


def _shares(scripts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in scripts.items() if share >= 0.005)


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
