"""No page loads anything from a network: by reading the files, and by watching a browser."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import gates_html as gates
import pytest
from gates_browser import BROWSER, FLAGS


def test_no_page_refers_to_a_remote_script_style_font_or_picture(html_pages):
    bad = {name: gates.remote_in_html(path.read_text()) for name, path in html_pages.items()}
    assert {name: urls for name, urls in bad.items() if urls} == {}


def test_no_style_sheet_loads_anything_remote(book_html):
    bad = {
        path.name: gates.remote_in_css(path.read_text(encoding="utf-8"))
        for path in book_html.rglob("*.css")
    }
    assert {name: urls for name, urls in bad.items() if urls} == {}


@pytest.mark.parametrize(
    "html",
    [
        "<script src='https://cdn.example/x.js'></script>",
        "<script src='//cdn.example/x.js'></script>",
        "<link rel='stylesheet' href='https://fonts.example/css'>",
        "<link rel='preconnect' href='https://fonts.example'>",
        "<img src='http://example/x.png'>",
        "<img srcset='a.png 1x, https://example/b.png 2x'>",
        "<iframe src='https://example/'></iframe>",
        "<style>@import 'https://fonts.example/css';</style>",
        "<div style=\"background: url('https://example/x.png')\"></div>",
    ],
)
def test_a_remote_address_that_loads_is_found(html):
    assert gates.remote_in_html(html)


def test_a_remote_address_that_only_people_follow_is_fine():
    html = "<a href='https://example/'>x</a><link rel='canonical' href='https://example/'>"
    assert gates.remote_in_html(html) == []
    assert gates.remote_in_css("/* url(https://example/x) */ a { background: url(x.png) }") == []


def browse(address: str, folder: Path) -> tuple[str, set[str]]:
    """Return the page as a browser ends up with it, and every remote address that it asked for."""
    assert BROWSER
    log = folder / "net.json"
    command = [BROWSER, *FLAGS, "--virtual-time-budget=8000"]
    command += [f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}"]
    # Names resolve to nothing: an escaped request is logged, and goes nowhere.
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    asked = [
        event["params"] for event in events if "network_isolation_key" in event.get("params", {})
    ]
    # The key names who asked: a page from the disk, or the browser on errands of its own.
    urls = {str(p.get("url")) for p in asked if "file://" in p["network_isolation_key"]}
    return done.stdout, {url for url in urls if not url.startswith(("file:", "data:", "blob:"))}


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here: the pages are not watched loading")
def test_a_browser_asks_nobody(html_pages, tmp_path):
    asked = {}
    for number, (name, path) in enumerate(html_pages.items()):
        (folder := tmp_path / str(number)).mkdir()
        _, urls = browse(path.as_uri(), folder)
        if urls:
            asked[name] = urls
    assert asked == {}


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here: the watch is not tested")
def test_the_watch_sees_a_request(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text("<script src='https://cdn.example/x.js'></script><img src='http://b.example/'>")
    _, urls = browse(page.as_uri(), tmp_path)
    assert urls == {"https://cdn.example/x.js", "http://b.example/"}
