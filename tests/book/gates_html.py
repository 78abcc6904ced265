"""Gates on the rendered pages: nothing remote loads, pictures speak, links lead on."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

# What a browser fetches by itself; <a href> is followed by people only.
LOADING = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "image": ("href", "xlink:href"),
    "use": ("href", "xlink:href"),
}
LINKS = {"stylesheet", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload", "icon"}
REMOTE = re.compile(r"^\s*(?:https?:)?//", re.IGNORECASE)
CSS_URL = re.compile(r"(?:url\(\s*|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)", re.IGNORECASE)
ANCHOR = re.compile(r"""\b(?:id|name)=["']([^"']+)["']""")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def remote_in_css(css: str) -> list[str]:
    """Return the remote addresses that a style sheet loads."""
    return CSS_URL.findall(COMMENT.sub("", css))


def remote_in_html(html: str) -> list[str]:
    """Return the remote addresses that a browser loads when it shows the page."""
    soup = BeautifulSoup(html, "lxml")
    found = [
        candidate.split()[0]
        for tag, attributes in LOADING.items()
        for element in soup.find_all(tag)
        for attribute in attributes
        for candidate in str(element.get(attribute) or "").split(", ")
        if REMOTE.match(candidate)
    ]
    for link in soup.find_all("link"):
        if LINKS & {rel.lower() for rel in link.get("rel") or []}:
            found += [link["href"]] if REMOTE.match(link.get("href", "")) else []
    styles = [style.get_text() for style in soup.find_all("style")]
    styles += [element["style"] for element in soup.find_all(style=True)]
    return found + [url for style in styles for url in remote_in_css(style)]


def images_without_alt(html: str) -> list[str]:
    """Return pictures without an alt text; Sphinx fills a missing one with the file's name."""
    return [
        image.get("src", "")[:80]
        for image in BeautifulSoup(html, "lxml").find_all("img")
        if not (alt := (image.get("alt") or "").strip())
        or re.search(r"^\S+\.(png|svg|jpe?g|gif)$", alt)
    ]


def heading_levels(html: str) -> list[tuple[int, str]]:
    """Return ``(level, title)`` of the headings of the article part of a page."""
    article = BeautifulSoup(html, "lxml").find("article")
    tags = article.find_all(re.compile(r"^h[1-6]$")) if article else []
    return [(int(tag.name[1]), tag.get_text().strip("# \n")) for tag in tags]


def dead_links(root: Path, page: Path) -> list[str]:
    """Return local links of ``page`` whose file or anchor does not exist below ``root``."""
    dead = []
    for anchor in BeautifulSoup(page.read_text(encoding="utf-8"), "lxml").find_all("a", href=True):
        address = urlsplit(anchor["href"])
        if address.scheme or address.netloc:
            continue
        target = (page.parent / unquote(address.path)).resolve() if address.path else page
        if not _is_below(root, target) or (
            (place := unquote(address.fragment))
            and target.suffix == ".html"
            and place not in _anchors(target, target.stat().st_mtime_ns)
        ):
            dead.append(anchor["href"])
    return dead


@lru_cache(maxsize=256)
def _anchors(page: Path, mtime: int) -> frozenset[str]:
    """Return the places of a page that a link can lead to; read once, for many links lead to it."""
    return frozenset(ANCHOR.findall(page.read_text(encoding="utf-8")))


def missing_files(root: Path, page: Path) -> list[str]:
    """Return the local scripts, styles and pictures that a page names and that are not there."""
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "lxml")
    named = [tag.get("src") for tag in soup.find_all(["script", "img", "source", "iframe"])]
    named += [tag.get("href") for tag in soup.find_all("link") if LINKS & {*(tag.get("rel") or [])}]
    local = [name for name in named if name and not (urlsplit(name).scheme or REMOTE.match(name))]
    return [
        name for name in local if not _is_below(root, page.parent / unquote(urlsplit(name).path))
    ]


def _is_below(root: Path, file: Path) -> bool:
    return root.resolve() in file.resolve().parents and file.is_file()


def unresolved(html: str) -> list[str]:
    """Return what a build could not resolve: problems in the text, roles that stayed as typed."""
    soup = BeautifulSoup(html, "lxml")
    found = [tag.get_text()[:80] for tag in soup.select(".problematic, .system-message")]
    for code in soup.find_all(["code", "pre", "script", "style"]):
        code.decompose()
    return found + re.findall(r"\{[a-z]+(?::[a-z]+)?\}`[^`]*`", soup.get_text())


def megabytes(folder: Path) -> float:
    """Return the weight of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
