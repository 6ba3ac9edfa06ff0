"""Evaluation of ready-made hypotheses, compared with the command ``sacrebleu``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import SMALL, cold, forked

from seq2seq.cli.evaluate import without_choices_of_task
from seq2seq.data.corpora.toy import Toy

LINES = {
    "hypotheses": ["the cat sat on a mat today .", "two dogs run ; quickly", "", "Grüße , Welt !"],
    "a": ["the cat sat on the mat today .", "two dogs run quickly", "so it is", "Grüße, Welt!"],
    "b": ["a cat was on the mat .", "two dogs ran", "it is so", "Hallo Welt"],
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, lines in LINES.items():
        text = "".join(f"{line}\n" for line in lines)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.e2e
@pytest.mark.slow
def test_scores_are_those_of_the_sacrebleu_command_to_the_last_digit(files: Path) -> None:
    result = cold(
        "evaluate", "hypotheses=hypotheses", "references=[a,b]", "output=scored", cwd=files
    )
    assert result.returncode == 0, result.stderr
    found = json.loads((files / "scored" / "metrics.json").read_text())["references"]
    command = [sys.executable, "-m", "sacrebleu", "a", "b", "-i", "hypotheses", "-w", "13"]
    for options, names in (
        (["-m", "bleu", "chrf", "ter"], ["bleu", "chrf", "ter"]),
        (["-m", "chrf", "--chrf-word-order", "2"], ["chrf++"]),
    ):
        output = subprocess.run(
            [*command, *options, "-f", "json"], cwd=files, check=True, capture_output=True
        ).stdout
        expected = json.loads(output)
        expected = expected if isinstance(expected, list) else [expected]
        for name, theirs in zip(names, expected, strict=True):
            assert f"{found[name]['score']:.13f}" == f"{theirs['score']:.13f}"
            assert found[name]["signature"] == theirs["signature"]
            assert theirs["signature"].startswith("nrefs:2")
    assert "BLEU" in result.stdout.upper()


@pytest.mark.e2e
@pytest.mark.slow
def test_hypotheses_are_scored_on_a_split_of_a_corpus(files: Path) -> None:
    corpus = Toy(train_size=20, validation_size=5, test_size=5).load()
    perfect = "".join(f"{line}\n" for line in corpus["validation"]["target"])
    (files / "perfect").write_text(perfect)
    sizes = [
        f"data.corpus.{n}_size={s}" for n, s in (("train", 20), ("validation", 5), ("test", 5))
    ]
    given = ["hypotheses=perfect", "task=translation", "task.tokenizer=intl", "data=toy", *sizes]
    result = forked("evaluate", *given, "data.split=validation", "output=.", cwd=files)
    assert result.returncode == 0, result.stderr
    found = json.loads((files / "metrics.json").read_text())["validation"]
    assert found["bleu"]["score"] == pytest.approx(100)
    assert "tok:intl" in found["bleu"]["signature"]


@pytest.mark.e2e
@pytest.mark.slow
def test_mistakes_are_reported(files: Path) -> None:
    (files / "short").write_text("one line\n")
    result = forked("evaluate", "hypotheses=hypotheses", "references=[a,short]", cwd=files)
    assert result.returncode == 1
    assert "references[1] has 1 lines, but hypotheses has 4" in result.stderr
    result = forked("evaluate", "hypotheses=hypotheses", "task=translation", cwd=files)
    assert result.returncode == 1
    assert "references=[FILE,…], or a split of a corpus" in result.stderr


def test_a_task_brings_no_corpus_of_its_own_to_an_evaluation() -> None:
    assert without_choices_of_task(["checkpoint=x"]) == ["checkpoint=x"]
    assert without_choices_of_task(["task=t", "x=1"]) == ["~data", "~model", "task=t", "x=1"]
    assert without_choices_of_task(["task=t", "data=toy"]) == ["~model", "task=t", "data=toy"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    brief = ["trainer.max_steps=4", "validation.every_n_steps=4", "validation.heat_maps=0"]
    result = forked("train", *SMALL, *brief, "hydra.run.dir=run", cwd=folder)
    assert result.returncode == 0, result.stderr
    (folder / "tiny.tsv").write_text("a dog\tbo\nthe cat sleeps\tmi la\n")
    return folder / "run"


@pytest.mark.e2e
@pytest.mark.slow
def test_scores_of_other_data_do_not_become_the_checkpoints_own(run: Path) -> None:
    best = run / "checkpoints" / "best"
    own = (best / "metrics.json").read_bytes()
    given = ["checkpoint=run", "data=text", "data.test=tiny.tsv"]
    result = forked("evaluate", *given, cwd=run.parent)
    assert result.returncode == 0, result.stderr
    assert (best / "metrics.json").read_bytes() == own
    assert sorted(path.name for path in best.glob("hypotheses.test*")) == []
    (place,) = (run / "evaluations" / "best").iterdir()
    assert place.name.startswith("text-test-")
    found = json.loads((place / "metrics.json").read_text())["test"]
    assert (found["corpus"], found["examples"]) == ("Text", 2)
    assert f"evaluations/best/{place.name}/metrics.json" in result.stdout
    changed = forked("evaluate", *given, "task.tokenizer=char", "output=characters", cwd=run.parent)
    assert changed.returncode == 0, changed.stderr
    scores = json.loads((run.parent / "characters" / "metrics.json").read_text())["test"]
    assert "tok:char" in scores["bleu"]["signature"]
    refused = forked("evaluate", *given, "output=run/checkpoints/best", cwd=run.parent)
    assert refused.returncode == 1
    assert "is a run or a checkpoint" in refused.stderr
    pushed = forked("push", "checkpoint=run", "to=published", cwd=run.parent)
    assert pushed.returncode == 0, pushed.stderr
    card = (run.parent / "published" / "README.md").read_text()
    assert "Examples of test: 12, of Toy." in card
    assert f"{json.loads(own)['test']['chrf']['score']:.2f}" in card


@pytest.mark.e2e
@pytest.mark.slow
def test_the_checkpoints_own_test_set_is_its_own_under_any_name(run: Path) -> None:
    result = forked("evaluate", "checkpoint=run", "search=greedy", cwd=run.parent)
    assert result.returncode == 0, result.stderr
    found = json.loads((run / "checkpoints" / "best" / "metrics.json").read_text())["test"]
    assert found["search"]["_target_"].endswith("Greedy")
    sizes = [argument for argument in SMALL if argument.startswith("data.corpus")]
    named = ["checkpoint=run", "data=toy", *sizes, "search=beam"]
    result = forked("evaluate", *named, cwd=run.parent)
    assert result.returncode == 0, result.stderr
    found = json.loads((run / "checkpoints" / "best" / "metrics.json").read_text())["test"]
    assert found["search"]["_target_"].endswith("Beam")


@pytest.mark.e2e
@pytest.mark.slow
def test_a_corpus_of_another_task_or_language_is_reported(run: Path) -> None:
    (run.parent / "pairs.tsv").write_text("neutral\ta b\tc\n")
    result = forked("evaluate", "checkpoint=run", "data=nli", "data.test=pairs.tsv", cwd=run.parent)
    assert result.returncode == 1
    assert "which Translation cannot use. Choose task=entailment" in result.stderr
    turned = ["data=text", "data.test=tiny.tsv", "data.source_language=selvan"]
    given = ["checkpoint=run", *turned, "data.target_language=en", "output=turned"]
    result = forked("evaluate", *given, cwd=run.parent)
    assert result.returncode == 0, result.stderr
    told = "the corpus is selvan → en, but the checkpoint was trained on en → selvan"
    assert told in result.stderr


@pytest.mark.e2e
@pytest.mark.slow
def test_scores_of_hypotheses_do_not_become_a_runs_own(run: Path) -> None:
    (run.parent / "a.txt").write_text("one line\n")
    given = ["hypotheses=a.txt", "references=a.txt", "output=run"]
    result = forked("evaluate", *given, cwd=run.parent)
    assert result.returncode == 1
    assert "output=run is a run or a checkpoint" in result.stderr
