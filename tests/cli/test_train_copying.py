"""Words and copying end to end: made-up names outside the vocabulary reach the output."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import forked
from hydra import compose, initialize_config_dir

from seq2seq.cli.application import config_folder
from seq2seq.cli.train import check

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

KNOWN = "ba be bi bo bu da de di do du fa fe fi fo fu".split()
SPLITS = {"train": 1500, "validation": 30, "test": 30}
SETTINGS = [
    "data=text",
    *(
        f"data.{split}.{side}={split}.{side}"
        for split in ("train", "validation", "test")
        for side in ("source", "target")
    ),
    "data.subwords.kind=word",
    "data.subwords.min_frequency=20",
    "data.batch.tokens=800",
    "model.copying=true",
    "model.hidden_size=48",
    "model.embedding_size=48",
    "optimizer.lr=0.01",
    "trainer.max_steps=150",
    "validation.every_n_steps=150",
    "validation.heat_maps=1",
    "trainer.accelerator=cpu",
    "hydra.run.dir=run",
]


def run(name: str, *arguments: str, cwd: Path, stdin: str = "") -> str:
    cache = {"SEQ2SEQ_CACHE": str(cwd / "cache")}  # which remembers what was trained on
    result = forked(name, *arguments, cwd=cwd, stdin=stdin, environment=cache)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def sentences(number: int, draw: random.Random) -> Iterator[str]:
    """Known words, and one name that hardly any other sentence has."""
    for _ in range(number):
        words = draw.choices(KNOWN, k=draw.randint(2, 4))
        name = "".join(draw.choice("klmnprst") + draw.choice("aeiou") for _ in range(3))
        words.insert(draw.randint(0, len(words)), name)
        yield " ".join(words)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copying")
    draw = random.Random(0)
    for split, number in SPLITS.items():
        text = "\n".join(sentences(number, draw)) + "\n"
        for side in ("source", "target"):
            (folder / f"{split}.{side}").write_text(text)
    run("train", *SETTINGS, cwd=folder)
    return folder


def test_words_never_seen_are_translated_by_copying(work: Path) -> None:
    lines = ["ba xyzzy do", "Qwert fu fa be", "fi fi plugh9"]
    out = run("translate", "checkpoint=run", cwd=work, stdin="\n".join(lines) + "\n")
    assert out.splitlines() == lines


def test_the_test_split_is_written_with_its_names(work: Path) -> None:
    hypotheses = (work / "run" / "hypotheses.test.txt").read_text()
    assert hypotheses == (work / "test.target").read_text()
    scores = json.loads((work / "run" / "metrics.json").read_text())["test"]
    assert scores["bleu"]["score"] == pytest.approx(100.0)
    best = work / "run" / "checkpoints" / "best"
    words = json.loads((best / "words.json").read_text())["words"]
    assert sorted(words) == KNOWN
    assert not (best / "subwords.model").exists()


def test_evaluate_finds_the_same(work: Path) -> None:
    run("evaluate", "checkpoint=run", "output=evaluated", cwd=work)
    ours = json.loads((work / "evaluated" / "metrics.json").read_text())["test"]
    theirs = json.loads((work / "run" / "metrics.json").read_text())["test"]
    assert ours == theirs


def test_two_vocabularies_are_refused_before_anything_is_read() -> None:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", ["model.copying=true", "data.subwords.joint=false"])
    with pytest.raises(ValueError, match=r"model\.copying=true .* data\.subwords\.joint=true"):
        check(config)
