"""Run ``llmrec study`` on tables of a given size, and print minutes and peak memory.

The tables are MovieLens-100K, or the purchases of the Complete Journey (1.47 million rows), written
as CSV into a new folder: reading them is part of the time. The encoder's cache is a new one, too.

    python benchmarks/study.py --data ml-100k --quick
    python benchmarks/study.py --data complete-journey
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from llmrec import data, fetch


def write(name: str, folder: Path) -> int:
    """Write a dataset as a user would have it, and return its number of events."""
    loaded = data.load(name)
    folder.mkdir(parents=True)
    loaded.interactions.to_csv(folder / "interactions.csv", index=False)
    loaded.items.to_csv(folder / "items.csv", index=False)
    return len(loaded.interactions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=("ml-100k", "complete-journey"), default="ml-100k")
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / asked.data
        events = write(asked.data, folder)
        mirror = Path(scratch) / "mirror"  # the model is here, its vectors are not
        mirror.mkdir()
        (mirror / "minilm").symlink_to(fetch.get("minilm"))
        command = [sys.executable, "-m", "llmrec", "study", str(folder)]
        command += ["--quick"] if asked.quick else []
        cache = {"LLMREC_CACHE": f"{scratch}/cache", "LLMREC_MIRROR": str(mirror)}
        start = time.perf_counter()
        subprocess.run(command, check=True, env={**os.environ, **cache})
        minutes = (time.perf_counter() - start) / 60
        results = json.loads((folder / "llmrec-study" / "results.json").read_text())
    peak = results["cost"]["peak_mb"] / 1000
    print(f"{events:,} events: {minutes:.1f} minutes, {peak:.1f} GB at most")


if __name__ == "__main__":
    main()
