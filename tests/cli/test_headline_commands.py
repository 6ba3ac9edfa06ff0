"""Summarization end to end: trained, scored by ROUGE, evaluated on several references."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import cold, forked

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

TINY = [
    "task=summarization",
    "data.corpus.train_size=300",
    "data.corpus.validation_size=12",
    "data.corpus.test_size=12",
    "data.subwords.size=500",
    "model.hidden_size=24",
    "model.embedding_size=24",
    "trainer.max_steps=4",
    "validation.every_n_steps=2",
    "validation.heat_maps=1",
    "trainer.accelerator=cpu",
    "hydra.run.dir=run",
]


def command(name: str, *arguments: str, cwd: Path, run: Callable = forked) -> str:
    cache = {"SEQ2SEQ_CACHE": str(cwd / "cache")}
    result = run(name, *arguments, cwd=cwd, environment=cache)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    (folder / "train.log").write_text(command("train", *TINY, cwd=folder, run=cold))
    return folder


def scored(folder: Path, split: str = "test") -> dict:
    return json.loads((folder / "metrics.json").read_text())[split]


def test_a_run_of_summarization_ends_with_rouge_beside_the_lead(work: Path) -> None:
    metrics = scored(work / "run")
    for measures in (metrics, metrics["lead-8"]):
        for name in ("rouge_1", "rouge_2", "rouge_l"):
            low, high = measures[name]["interval"]
            assert 0 <= low <= measures[name]["score"] <= high <= 100
            assert "protocol:unicode|measure:f1|stem:no" in measures[name]["signature"]
    assert metrics["lead-8"]["rouge_1"]["score"] > 10
    assert "bleu" not in metrics
    assert 0 <= metrics["output"]["overall"]["novel_unigrams"] <= 1
    assert metrics["attention"]["overall"]["support_size"] > 0
    assert 0 <= metrics["alignment"]["overall"]["aer"] <= 1
    assert len((work / "run" / "hypotheses.test.txt").read_text().splitlines()) == 12
    log = (work / "run" / "train.log").read_text()
    assert "rouge_l" in log
    printed = (work / "train.log").read_text()
    assert "lead-8 rouge_l" in printed
    assert "of CPU time" in printed


def test_a_checkpoint_is_scored_on_files_with_several_references(work: Path) -> None:
    lines = {
        "a.article": ["the king bought a horse .", "the queen sold the bread ."],
        "a.ref0": ["king buys horse", "queen sells bread"],
        "a.ref1": ["a horse for the king", ""],
    }
    for name, texts in lines.items():
        (work / name).write_text("".join(f"{text}\n" for text in texts))
    arguments = [
        "checkpoint=run",
        "data=text",
        "data.test.source=a.article",
        "data.test.references=[a.ref0,a.ref1]",
        "output=evaluated",
        "statistics=false",
    ]
    printed = command("evaluate", *arguments, cwd=work)
    metrics = scored(work / "evaluated")
    assert "nrefs:2|refs:pooled" in metrics["rouge_2"]["signature"]
    assert "nrefs:2|refs:pooled" in printed.replace("\n", "").replace("│", "").replace(" ", "")
    # The leads are the articles. ROUGE-1: king and horse of 5 + 5 words with one reference, all of
    # `the`, `king`, `a`, `horse` with the other: pooled 2 · (2 + 4) / (3 + 5 + 5 + 5); then queen
    # and bread of 3 + 5 words: 2 · 2 / 8.
    expected = 100 * (12 / 18 + 4 / 8) / 2
    assert metrics["lead-8"]["rouge_1"]["score"] == pytest.approx(expected)


def test_a_checkpoint_is_scored_on_duc_by_its_protocol(work: Path) -> None:
    (work / "duc").mkdir()
    (work / "duc" / "input.txt").write_text("The King bought 14 horses, Flora said.\n")
    for number in range(4):
        (work / "duc" / f"task1_ref{number}.txt").write_text(f"King buys {number} horses\n")
    arguments = ["checkpoint=run", "data=duc2004", "data.root=duc", "output=duc"]
    command("evaluate", *arguments, cwd=work)
    metrics = scored(work / "duc")
    assert (
        "protocol:duc|measure:recall|stem:porter|cut:75bytes|nrefs:4"
        in (metrics["rouge_1"]["signature"])
    )
    # King and horses of the four words of every reference: the article's digits are #.
    assert metrics["lead-75-bytes"]["rouge_1"]["score"] == pytest.approx(50)
