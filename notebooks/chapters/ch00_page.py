"""The interest explorer as one piece of HTML: a page without a server, a widget in JupyterLab.

Everything that can be read is plain HTML, written for all users; without JavaScript all of it
shows. A script of a few lines shows one user at a time and tells Bokeh which films to draw.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from chapters.ch00_people import Explorer, Person
from llmrec.plots import FAINT, FAMILIES, INK, PAPER
from llmrec.repro.record import RECORDS_VARIABLE

if TYPE_CHECKING:
    from bokeh.plotting import figure

BOKEH_MARKERS = {"o": "circle", "s": "square", "D": "diamond", "X": "x", "^": "triangle"}
NEXT, HERE = "#CC3311", "#F0E442"  # what was taken next, and where the user stands
LABELS_APART = (0.25, 0.08)  # of the map's width and height, so that regions' names do not collide

ALONE = (
    "<p class='alone'>The map and the choice of a user need JavaScript (in JupyterLab: run this "
    "cell). Without it, all users follow one after another.</p>"
)
DESCRIBED = (
    "Map of all films: the past of the chosen user, where the user stands at the chosen moment, "
    "the films that each model lists and those really taken next. Below, all of them are named."
)

STYLE = """
.explorer { line-height: 1.45; }
.explorer label { font-weight: 600; margin-right: .5em; }
.explorer select, .explorer input { font: inherit; max-width: 100%; min-height: 2.2em; }
.explorer select { background: Canvas; color: CanvasText; padding: .2em .4em; }
.explorer .map { background: PAPER; border-radius: 6px; margin: .8em 0 .2em; }
.explorer .moment input { width: 100%; margin: 0; }
.explorer .lists { display: grid; gap: 0 1em;
  grid-template-columns: repeat(auto-fit, minmax(min(10em, 100%), 1fr)); }
.explorer .taken { grid-column: 1 / -1; }
.explorer .taken ol { columns: 15em; }
.explorer h4 { margin: .9em 0 .3em; font-size: 1.05em; }
.explorer ol { margin: 0; padding-left: 1.8em; font-size: .9em; }
.explorer li { break-inside: avoid; }
.explorer li b { border-bottom: 2px solid NEXT; }
.explorer blockquote { margin: .3em 0; font-size: .95em; }
.explorer table { border-collapse: collapse; font-size: .9em; margin: .3em 0; }
.explorer th, .explorer td { text-align: left; padding: .15em 1em .15em 0; white-space: normal; }
.explorer .alone { font-style: italic; }
"""

# Blocks of data: `item` is Bokeh's JSON of the map, `people` what is drawn of each <section>.
SCRIPT = """
(() => {
  const root = document.getElementById("explorer");
  const read = (name) => JSON.parse(root.querySelector("script." + name).textContent);
  const [select, slider, output] =
    ["select", "input", "output"].map((tag) => root.querySelector(tag));
  const sections = [...root.querySelectorAll("section")], people = read("people");
  let map = null;
  const person = () => people[select.selectedIndex];
  const put = (name, data) => { map.get_model_by_name(name).data = data; };
  function move() {
    const p = person(), m = Number(slider.value);
    output.textContent = p.says[m];
    if (!map) return;
    const films = map.get_model_by_name("items").data;
    const pick = (codes) => ({x: codes.map((c) => films.x[c]), y: codes.map((c) => films.y[c]),
                              title: codes.map((c) => films.title[c])});
    const way = (points) => ({x: points.map((q) => q[0]), y: points.map((q) => q[1])});
    put("history", pick(p.seen.slice(0, m + 1)));
    put("path", way(p.path.slice(0, m + 1)));
    put("here", way([p.path[m]]));
    put("recent", way([p.recent[m]]));
    put("next", pick(p.next));
    p.lists.forEach((codes, i) => put("list" + i, pick(codes)));
  }
  function choose() {
    sections.forEach((section, i) => { section.hidden = i !== select.selectedIndex; });
    slider.max = person().says.length - 1;
    slider.value = slider.max;
    move();
  }
  async function draw() {
    if (!window.Bokeh) return;
    const views = await Bokeh.embed.embed_item(read("item"));
    map = [...views][0].model.document;
    move();
  }
  root.querySelectorAll(".alone").forEach((note) => { note.hidden = true; });
  root.querySelectorAll(".controls").forEach((control) => { control.hidden = false; });
  select.addEventListener("change", choose);
  slider.addEventListener("input", move);
  choose();
  if (window.Bokeh || document.readyState === "complete") draw();
  else window.addEventListener("load", draw);
})();
"""


def explorer_html(
    explorer: Explorer,
    knows: Mapping[str, str],
    newest: int = 20,
    library: bool | None = None,
) -> str:
    """Return the explorer as HTML; the same explorer gives the same bytes.

    Parameters
    ----------
    explorer:
        What `explore` returned.
    knows:
        Model name → what it knows (a key of `llmrec.plots.FAMILIES`): its colour and marker.
    newest:
        Rows of the table of a history.
    library:
        Put BokehJS inside (about 1.3 MB). None: unless this run is recorded for the book, whose
        page brings BokehJS along.
    """
    if library is None:
        library = not os.environ.get(RECORDS_VARIABLE)
    item = _bokeh_json(interest_map(explorer, knows), "explorer-map")
    people = [_numbers(person) for person in explorer.people]
    options = [
        f"<optgroup label='{group} history'>"
        + "".join(f"<option>{_name(p)}</option>" for p in explorer.people if p.group == group)
        + "</optgroup>"
        for group in dict.fromkeys(p.group for p in explorer.people)
    ]
    parts = [
        "<div class='explorer' id='explorer'>",
        f"<style>{STYLE.replace('PAPER', PAPER).replace('NEXT', NEXT)}</style>",
        *([f"<script>{_bokeh_js().read_text(encoding='utf-8')}</script>"] if library else []),
        ALONE,
        "<p class='controls' hidden><label for='explorer-user'>Person</label>"
        f"<select id='explorer-user' autocomplete='off'>{''.join(options)}</select></p>",
        "<div class='controls' hidden>",
        f"<div class='map' id='explorer-map' role='group' aria-label='{DESCRIBED}'></div>",
        "<p class='moment'><label for='explorer-moment'>Moment</label>"
        "<output for='explorer-moment'></output>"
        "<input id='explorer-moment' type='range' min='0' step='1' autocomplete='off'></p>",
        "</div>",
        *(_section(person, explorer.titles, newest) for person in explorer.people),
        _data("item", item),
        _data("people", people),
        f"<script>{SCRIPT}</script>",
        "</div>",
    ]
    return "\n".join(parts)


def interest_map(explorer: Explorer, knows: Mapping[str, str]) -> figure:
    """Return the Bokeh figure of all items; the sources of a user are named and still empty.

    Sources: ``items``, ``history``, ``path``, ``here``, ``recent``, ``next``, and ``list0``,
    ``list1``, … in the order of ``explorer.models``.
    """
    from bokeh.models import ColumnDataSource, HoverTool, Range1d
    from bokeh.models.annotations import Legend
    from bokeh.plotting import figure

    def source(name: str, **columns: Any) -> ColumnDataSource:
        return ColumnDataSource({"x": [], "y": [], "title": []} | columns, name=name)

    points = explorer.points.round(4)
    low, high = points.min(axis=0), points.max(axis=0)
    room = (high - low) / 25
    fig = figure(
        height=560,
        sizing_mode="stretch_width",
        min_width=200,
        x_range=Range1d(low[0] - room[0], high[0] + room[0]),
        y_range=Range1d(low[1] - room[1], high[1] + room[1]),
        tools="pan,wheel_zoom,reset",
        active_drag=None,  # a finger that scrolls the page must not move the map
        toolbar_location="above",
        background_fill_color=PAPER,
        border_fill_color=PAPER,
        outline_line_color=None,
    )
    fig.toolbar.logo = None
    fig.axis.visible = False
    fig.grid.visible = False

    x, y = points.T.tolist()
    everything = source("items", x=x, y=y, title=list(explorer.titles))
    shown: dict[str, list[Any]] = {
        "all films": [fig.scatter(source=everything, size=4, color=FAINT, line_color=None)]
    }
    fig.text(
        source=source("regions", **_labels(explorer)),
        text="title",
        text_color="#5A6068",
        text_font_size="12px",
        text_font_style="italic",
        text_align="center",
    )
    films = [("taken so far", "history", "circle", INK, 6, 0.5)]
    for number, model in enumerate(explorer.models):
        color, marker = FAMILIES[knows[model]]
        films.append((model, f"list{number}", BOKEH_MARKERS[marker], color, 11, 0.0))
    films.append(("really taken next", "next", "star", NEXT, 15, 0.9))
    for label, name, marker, color, size, alpha in films:
        look: dict[str, Any] = {
            "line_color": color,
            "line_width": 2,
            "fill_color": color,
            "fill_alpha": alpha,
        }
        shown[label] = [fig.scatter(source=source(name), marker=marker, size=size, **look)]
    titled = [glyph for glyphs in shown.values() for glyph in glyphs]
    line: dict[str, Any] = {"line_color": INK, "line_width": 2}
    shown["the user: mean so far, and its way"] = [
        fig.line(source=source("path"), **line),
        fig.scatter(source=source("here"), marker="circle_cross", size=20, fill_color=HERE, **line),
    ]
    shown[f"mean of the newest {explorer.window}"] = [
        fig.scatter(source=source("recent"), size=18, line_dash="dashed", fill_color=None, **line)
    ]
    legend = Legend(items=list(shown.items()), ncols=2, click_policy="hide", location="left")
    legend.update(border_line_color=None, background_fill_color=PAPER, label_text_font_size="12px")
    fig.add_layout(legend, "below")
    fig.add_tools(HoverTool(renderers=titled, tooltips="@title", limit=3))
    return fig


def _labels(explorer: Explorer) -> dict[str, list[Any]]:
    """Return the regions' names and places as far as the map has room, the largest first."""
    room = np.ptp(explorer.points, axis=0) * LABELS_APART
    kept: dict[str, np.ndarray] = {}
    for name, middle in explorer.regions.items():
        if all((np.abs(middle - other) > room).any() for other in kept.values()):
            kept[name] = middle.round(4)
    x, y = (np.array(list(kept.values())).reshape(-1, 2).T).tolist()
    return {"x": x, "y": y, "title": list(kept)}


def _bokeh_json(fig: figure, target: str) -> dict[str, Any]:
    """Return Bokeh's JSON with ids numbered from 0, whatever was drawn before in this process."""
    from bokeh.core.types import ID
    from bokeh.embed import json_item

    ids: dict[str, str] = {}

    def renumbered(part: Any, key: str = "") -> Any:
        if isinstance(part, dict):
            return {name: renumbered(value, name) for name, value in part.items()}
        if isinstance(part, list):
            return [renumbered(each) for each in part]
        return ids.setdefault(part, f"p{len(ids)}") if key in ("id", "root_id") else part

    return renumbered(json_item(fig, ID(target)))


def _numbers(person: Person) -> dict[str, Any]:
    """Return what the script draws of a user: item codes and positions."""
    events = person.history.iloc[person.moments - 1]
    return {
        "seen": events["item"].tolist(),
        "says": [
            f"after {count} of {len(person.history)} ({day})"
            for count, day in zip(person.moments, _days(events), strict=True)
        ],
        "path": person.path.round(4).tolist(),
        "recent": person.recent.round(4).tolist(),
        "next": person.taken[: _length(person)].tolist(),
        "lists": [codes[codes >= 0].tolist() for codes in person.lists.values()],
    }


def _section(person: Person, titles: Sequence[str], rows: int) -> str:
    """Return one user's lists, text and history as HTML."""
    k, n = _length(person), len(person.taken)
    some = f" (the first {k} of {n})" if n > k else ""
    taken = _ordered(person.taken[:k], titles)
    columns = [f"<div class='taken'><h4>Really taken next{some}</h4>{taken}</div>"]
    for model, codes in person.lists.items():
        hits = person.hits(model)
        listed = _ordered(codes, titles, hits)
        columns.append(f"<div><h4>{escape(model)}: {hits.sum()} of {k}</h4>{listed}</div>")
    newest = person.history.iloc[::-1].head(rows)
    body = "".join(
        f"<tr><td>{day}</td><td>{escape(titles[item])}</td><td>{weight:g}</td></tr>"
        for day, item, weight in zip(_days(newest), newest["item"], newest["weight"], strict=True)
    )
    earlier = len(person.history) - len(newest)
    more = f"<p>… and {earlier} earlier ones.</p>" if earlier else ""
    return (
        f"<section><h3>{_name(person)}</h3><div class='lists'>{''.join(columns)}</div>"
        "<h4>The text that the text model read</h4>"
        f"<blockquote>{escape(person.text)}</blockquote>"
        "<h4>The history, newest first</h4>"
        "<table><thead><tr><th scope='col'>date</th><th scope='col'>film</th>"
        f"<th scope='col'>rating</th></tr></thead><tbody>{body}</tbody></table>{more}</section>"
    )


def _ordered(codes: np.ndarray, titles: Sequence[str], hits: np.ndarray | None = None) -> str:
    """Return item titles as an ordered list; a hit says so in words."""
    taken = np.zeros(len(codes), bool) if hits is None else hits
    named = [
        (escape(titles[code]), hit) for code, hit in zip(codes, taken, strict=True) if code >= 0
    ]
    rows = (
        f"<li><b>{title}</b> ✓\u00a0taken</li>" if hit else f"<li>{title}</li>"
        for title, hit in named
    )
    return f"<ol>{''.join(rows)}</ol>"


def _name(person: Person) -> str:
    before, after = len(person.history), len(person.taken)
    return escape(f"User {person.name}: {before} films before, {after} after")


def _length(person: Person) -> int:
    return len(next(iter(person.lists.values())))


def _days(events: pd.DataFrame) -> list[str]:
    return pd.to_datetime(events["timestamp"], unit="s").dt.strftime("%Y-%m-%d").tolist()


def _data(name: str, content: Any) -> str:
    """Return a JSON block that no title can end early."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f"<script type='application/json' class='{name}'>{text}</script>"


def _bokeh_js() -> Path:
    """Return BokehJS as the installed package brings it along."""
    import bokeh

    return Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"
