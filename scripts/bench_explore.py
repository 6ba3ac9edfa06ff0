"""How large the page of `seq2seq-explore` is, and how long a browser takes to open it.

    python scripts/bench_explore.py
    python scripts/bench_explore.py --page explore.html

Without a page, one is made of untrained recurrent models with softmax and fusedmax, greedy search
and sentences of the embedded corpus: what it weighs does not depend on what they have learned. The
page is open when its list stands and its first sentence is drawn. Needs Chromium and Playwright.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import torch
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.table import Table

from seq2seq.checkpoint import Checkpoint
from seq2seq.data.corpora.toy import Toy
from seq2seq.explore.building import build_page
from seq2seq.explore.collecting import collect
from seq2seq.mappings import Fusedmax, Softmax
from seq2seq.models import Recurrent
from seq2seq.search import Greedy
from seq2seq.tasks.translation import Translation

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# No errands of the browser's own on the network.
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")


def made(sentences: int) -> str:
    """Build a page of ``sentences`` sentences and two models."""
    corpus = Toy(train_size=2_000, validation_size=1, test_size=sentences)
    task = Translation()
    data = task.prepare(corpus, subwords={"size": 1_000, "byte_fallback": False})
    torch.manual_seed(0)
    arguments = task.model_arguments(data.subwords)
    models = [
        Recurrent(**arguments, mapping=mapping, embedding_size=32, hidden_size=32).eval()
        for mapping in (Softmax(), Fusedmax(gamma=0.1, lam=0.01))
    ]
    found = collect(
        [Checkpoint(Path("untrained"), task, model, data.subwords, {}) for model in models],
        data.split("test"),
        Greedy(max_length_ratio=1.0, max_length_offset=2),
        corpus="Toy",
        split="test",
        languages=(corpus.source_language, corpus.target_language),
    )
    return build_page(found)


def parts(page: str) -> dict[str, float]:
    """Megabytes of the page and of what is in it."""
    found = {
        name: re.findall(rf'id="{name}">(.*?)</script>', page)[0] for name in ("data", "plotly")
    }
    sizes = {name: len(text.encode()) / 1e6 for name, text in found.items()}
    whole = len(page.encode()) / 1e6
    return {"page": whole, **sizes, "the rest": whole - sum(sizes.values())}


def opening(path: Path, turns: int) -> tuple[list[float], list[float]]:
    """Seconds until the page is open, and until its plots are drawn, in a new browser page each."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise SystemExit(f"no browser on the path: {', '.join(BROWSERS)}")
    opened, drawn = [], []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=list(FLAGS))
        for _ in range(turns + 1):  # the first warms up
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            begin = time.perf_counter()
            page.goto(path.absolute().as_uri())
            page.wait_for_selector("#detail table.heat")
            opened.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            page.click("#tab-corpus")
            page.wait_for_selector("#corpus figure:nth-child(3) .main-svg .points path")
            drawn.append(time.perf_counter() - begin)
            page.close()
        browser.close()
    return opened[1:], drawn[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--page", type=Path, help="one that seq2seq-explore wrote")
    parser.add_argument("--sentences", type=int, default=1_000)
    parser.add_argument("--turns", type=int, default=5)
    args = parser.parse_args()
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        path = args.page or Path(folder) / "explore.html"
        if args.page is None:
            path.write_text(made(args.sentences), encoding="utf-8")
        page = path.read_text(encoding="utf-8")
        opened, drawn = opening(path, args.turns)
    table = Table("", "median", "most", caption=f"load of the machine before: {before:.1f}")
    for name, size in parts(page).items():
        table.add_row(f"{name} (MB)", f"{size:.2f}", "")
    for name, seconds in (("open", opened), ("draw the plots", drawn)):
        table.add_row(f"{name} (s)", f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
