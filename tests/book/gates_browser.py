"""Gates that need a browser: axe-core, the console and the width of a phone, over many pages.

One headless Chromium visits a list of pages in an iframe of a helper page, first as narrow as a
phone, then as wide as a desk, in the light and in the dark theme. What axe-core and the layout say
is written into the helper page as JSON, and read from the DOM that the browser dumps.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)
# Headless, and without the browser's own errands: updates, sync, reports.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--no-first-run",
    "--no-pings",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
)
PHONE, DESK = 360, 1280  # pixels
LONGEST = 500  # seconds that one browser may take over its pages
BARRED = ("serious", "critical")
ALSO_BARRED = ("heading-order", "page-has-heading-one", "empty-heading")
CONSOLE = re.compile(r':CONSOLE[:(]\d+\)?\] "(.*)", source: (\S+) \(\d+\)')

HELPER = """<!doctype html><meta charset="utf-8"><title>Helper</title><script id="axe">AXE</script>
<pre id="found"></pre><iframe id="hold"></iframe><script>
const hold = document.getElementById("hold").contentDocument;
hold.open(); // a document that is still being written keeps the helper from being dumped
const pages = PAGES, phone = PHONE, desk = DESK;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const still = "*, *::before, *::after { transition: none !important; animation: none !important }";
// Coloured words of code and the insides of formulas come by the thousand, and alike: what a page
// has shown three times is taken out, or the checks would take minutes.
function thin(page) {
  const seen = {};
  const alike = ".highlight pre span[class], mjx-container > mjx-math";
  for (const part of page.querySelectorAll(alike)) {
    const kind = part.className || part.tagName;
    if ((seen[kind] = (seen[kind] ?? 0) + 1) > 3) part.replaceWith(part.textContent);
  }
}
async function visit(address) {
  const frame = document.createElement("iframe");
  frame.width = phone;
  frame.height = 900;
  frame.src = address;
  document.body.append(frame);
  await new Promise((done) => (frame.onload = done));
  const view = frame.contentWindow, page = frame.contentDocument;
  await view.MathJax?.startup?.promise;
  await view.MathJax?.startup?.document?.lazyTypesetAll(); // else only what is near the window
  page.head.append(Object.assign(page.createElement("style"), { textContent: still }));
  page.querySelectorAll("details").forEach((folded) => (folded.open = true));
  const code = document.getElementById("axe").textContent;
  page.head.append(Object.assign(page.createElement("script"), { textContent: code }));
  const formulas = ".math:not(:has(mjx-container)), mjx-lazy, mjx-merror";
  const found = { problems: [], unset: page.querySelectorAll(formulas).length };
  thin(page);
  async function check(width, theme, rules) {
    frame.width = width;
    page.documentElement.dataset.theme = theme;
    await pause(100);
    if (width === phone) found.width = page.scrollingElement.scrollWidth;
    const result = await view.axe.run(page, { resultTypes: ["violations"], iframes: false, rules });
    for (const rule of result.violations)
      for (const node of rule.nodes)
        found.problems.push([rule.id, rule.impact, theme, width, node.target.join(" "),
          (node.any[0] ?? node.all[0] ?? node.none[0])?.message ?? rule.help]);
  }
  const contrast = (enabled) => ({ "color-contrast": { enabled } });
  await check(phone, "light", contrast(false)); // the colours are those of the desk
  await check(desk, "light", contrast(true));
  await check(desk, "dark", contrast(true));
  frame.remove();
  return found;
}
(async () => {
  const all = {};
  for (const address of pages) {
    try { all[address] = await visit(address); }
    catch (error) { all[address] = { failed: String(error) }; }
  }
  document.getElementById("axe").remove();
  document.getElementById("found").textContent = JSON.stringify(all);
  hold.close();
})();
</script>"""


@dataclass
class Found:
    """What one page is like in a browser.

    ``problems`` are barred findings of axe-core, a line each; ``minor`` names its other rules that
    were broken; ``width`` is what the page takes on a phone, in pixels; ``unset`` counts formulas
    that were not set, or with an error; ``console`` is what the page wrote there.
    """

    width: int
    unset: int
    problems: list[str] = field(default_factory=list)
    minor: set[str] = field(default_factory=set)
    console: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """Everything that the gate refuses, in words."""
        wide = [f"{self.width} px wide on a phone of {PHONE}"] if self.width > PHONE else []
        unset = [f"{self.unset} formulas not set"] if self.unset else []
        return [*wide, *unset, *self.problems, *(f"console: {line}" for line in self.console)]


def visit(pages: list[Path], axe: Path, folder: Path) -> dict[Path, Found]:
    """Return what each page is like, seen by one browser whose files lie in ``folder``.

    Raises
    ------
    RuntimeError
        When the browser did not get through all pages: silence is not a pass.
    """
    assert BROWSER
    addresses = {path.resolve().as_uri(): path for path in pages}
    fields = {"PAGES": json.dumps([*addresses]), "PHONE": str(PHONE), "DESK": str(DESK)}
    script = axe.read_text(encoding="utf-8").replace("</script", "<\\/script")
    helper = folder / "helper.html"
    text = re.sub("PAGES|PHONE|DESK", lambda match: fields[match[0]], HELPER)
    helper.write_text(text.replace("AXE", script, 1), encoding="utf-8")
    command = [BROWSER, *FLAGS, f"--user-data-dir={folder / 'profile'}"]
    command += ["--allow-file-access-from-files", "--enable-logging=stderr"]
    command += ["--window-size=1400,1000", "--dump-dom", helper.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
    written = re.search(r'<pre id="found">(.+?)</pre>', done.stdout, re.DOTALL)
    if written is None:
        raise RuntimeError(f"the browser did not finish: {done.stderr[-500:]}")
    return {
        addresses[address]: _found(address, raw, done.stderr)
        for address, raw in json.loads(unescape(written[1])).items()
    }


def _found(address: str, raw: dict, log: str) -> Found:
    if "failed" in raw:
        raise RuntimeError(f"{address}: {raw['failed']}")
    found = Found(raw["width"], raw["unset"])
    for rule, impact, theme, width, target, message in raw["problems"]:
        if impact in BARRED or rule in ALSO_BARRED:
            found.problems.append(f"{rule} ({impact}; {theme}, {width} px) {target}: {message}")
        else:
            found.minor.add(rule)
    found.console = [text for text, source in CONSOLE.findall(log) if source.startswith(address)]
    return found
