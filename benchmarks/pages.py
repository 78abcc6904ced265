"""Open every page of the built book in headless Chromium, from disk, and time its loading.

One browser opens the pages one after another, round by round; a page's time is the median.

    make book && python benchmarks/pages.py --rounds 3
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import tempfile
from html import unescape
from pathlib import Path

HTML = Path(__file__).parent.parent / "_build" / "html"
NAMES = ("chromium", "chromium-browser", "google-chrome")
HELPER = """<!doctype html><meta charset="utf-8">
<pre id="took"></pre><iframe id="hold"></iframe><script>
const hold = document.getElementById("hold").contentDocument;
hold.open(); // a document that is still being written keeps the helper from being dumped
(async () => {
  const took = {};
  for (let round = 0; round < ROUNDS; round++)
    for (const page of PAGES) {
      const frame = document.createElement("iframe");
      frame.width = 1280; frame.height = 900; frame.src = page;
      const start = performance.now();
      document.body.append(frame);
      await new Promise((done) => (frame.onload = done));
      (took[page] ??= []).push((performance.now() - start) / 1000);
      frame.remove();
    }
  document.getElementById("took").textContent = JSON.stringify(took);
  hold.close();
})();
</script>"""


def load_times(pages: list[Path], rounds: int) -> dict[str, float]:
    """Return page → median seconds until its ``load`` event, pictures and scripts included."""
    browser = next((path for name in NAMES if (path := shutil.which(name))), None)
    if browser is None:
        raise SystemExit("no Chromium here: install it, such as Debian's `chromium`")
    addresses = json.dumps([page.resolve().as_uri() for page in pages])
    with tempfile.TemporaryDirectory() as folder:
        helper = Path(folder) / "helper.html"
        helper.write_text(HELPER.replace("ROUNDS", str(rounds)).replace("PAGES", addresses))
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
        command += [f"--user-data-dir={folder}/profile", helper.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    written = re.search(r'<pre id="took">(.+?)</pre>', done.stdout, re.DOTALL)
    if written is None:
        raise SystemExit(f"the browser did not finish: {done.stderr[-300:]}")
    took = json.loads(unescape(written[1]))
    return {
        page.relative_to(HTML).as_posix(): statistics.median(took[page.resolve().as_uri()])
        for page in pages
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    pages = sorted([*HTML.glob("book/*.html"), *HTML.glob("notebooks/*.html")])
    if not pages:
        raise SystemExit("no page in _build/html: run make book first")
    times = load_times(pages, parser.parse_args().rounds)
    for page, seconds in sorted(times.items(), key=lambda item: -item[1]):
        print(f"{seconds:6.2f} s  {page}")


if __name__ == "__main__":
    main()
