"""Entailment as users run it: train, interrupt and resume, evaluate on other files, predict."""

import json

import pytest
import yaml
from commands import cold, forked

pytestmark = pytest.mark.e2e

SMALL = [
    "task=entailment",
    "data.corpus.train_size=120",
    "data.corpus.validation_size=30",
    "data.corpus.test_size=30",
    "model.embedding_size=8",
    "model.hidden_size=8",
    "data.training.max_steps=6",
    "data.training.validate_every_n_steps=3",
    "trainer.log_every_n_steps=2",
    "trainer.accelerator=cpu",
    "validation.heat_maps=1",
    "schedule=constant",  # which does not depend on where a run ends
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("entailment")
    found = cold("train", *SMALL, "hydra.run.dir=run", cwd=folder)
    assert found.returncode == 0, found.stderr
    assert "accuracy" in found.stdout
    assert "seq2seq-predict checkpoint=run" in found.stdout
    return folder


def test_the_run_folder_has_scores_predictions_and_the_labels(folder):
    metrics = json.loads((folder / "run" / "metrics.json").read_text())["test"]
    assert metrics["accuracy"]["signature"].startswith(
        "n:30|unlabeled:0|classes:3|interval:wilson95|"
    )
    low, high = metrics["accuracy"]["interval"]
    assert low < metrics["accuracy"]["score"] < high
    assert sum(sum(x["predicted"].values()) for x in metrics["f1"].values()) == 30
    assert metrics["attention"]["overall"]["sentences"] == 30
    assert "search" not in metrics
    lines = (folder / "run" / "predictions.test.tsv").read_text().splitlines()
    assert len(lines) == 31
    config = yaml.safe_load((folder / "run" / "checkpoints" / "best" / "config.yaml").read_text())
    assert config["model"]["labels"] == ["entailment", "neutral", "contradiction"]


def test_tensorboard_has_accuracy_attention_and_confusion(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "run" / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {"validation/accuracy", "validation attention/support_size"} <= set(tags["scalars"])
    assert {"confusion", "attention/example 1"} <= set(tags["images"])


def test_evaluation_takes_other_files_than_those_of_the_run(folder):
    (folder / "own.tsv").write_text("neutral\ta b\tc\n-\ta\tb\nentailment\td\te\n")
    found = forked(
        "evaluate", "checkpoint=run", "data=nli", "data.test=own.tsv", "output=own", cwd=folder
    )
    assert found.returncode == 0, found.stderr
    scores = json.loads((folder / "own" / "metrics.json").read_text())["test"]
    assert scores["accuracy"]["signature"].startswith("n:2|unlabeled:1|")


def test_predictions_are_those_of_the_evaluation(folder):
    rows = [
        line.split("\t")
        for line in (folder / "run" / "predictions.test.tsv").read_text().splitlines()[1:]
    ]
    text = "".join(f"{premise}\t{hypothesis}\n" for *_, premise, hypothesis in rows)
    stdin = f"\n{text}  \n"
    found = cold("predict", "checkpoint=run", "buffer=7", cwd=folder, stdin=stdin)
    assert found.returncode == 0, found.stderr
    first, *answers, last = found.stdout.split("\n")[:-1]
    assert first == last == "", "an empty line is answered by an empty line"
    lines = [line.split("\t") for line in answers]
    assert [line[0] for line in lines] == [row[0] for row in rows]
    for line, row in zip(lines, rows, strict=True):
        assert [float(x) for x in line[1:]] == pytest.approx([float(x) for x in row[2:5]], abs=2e-6)


def test_lines_that_are_no_pair_and_the_wrong_command_are_refused(folder):
    found = forked("predict", "checkpoint=run", cwd=folder, stdin="a\tb\nonly one\n")
    assert found.returncode == 1
    assert "input line 2: expected a premise, a tab and a hypothesis" in found.stderr
    options = ["checkpoint=run", "on_error=skip"]
    found = forked("predict", *options, cwd=folder, stdin="a\tb\nonly one\na\tb\n")
    assert found.returncode == 0
    first, second, third = found.stdout.splitlines()
    assert first == third != second == ""
    assert "input line 2: expected a premise" in found.stderr
    found = forked("translate", "checkpoint=run", cwd=folder, stdin="a\n")
    assert found.returncode == 1
    assert "seq2seq-predict checkpoint=run" in found.stderr


def test_an_empty_line_has_an_empty_prediction_and_ends_nothing(folder):
    found = forked("predict", "checkpoint=run", cwd=folder, stdin="a\tb\n\na\tb\n")
    assert found.returncode == 0, found.stderr
    first, empty, last, end = found.stdout.split("\n")
    assert empty == end == ""
    assert first == last != ""


def test_a_resumed_run_ends_as_one_that_was_not_stopped(folder):
    stopped = [*SMALL, "hydra.run.dir=stopped", "trainer.max_steps=3", "test.split=null"]
    assert forked("train", *stopped, cwd=folder).returncode == 0
    found = forked("train", "resume=stopped", "trainer.max_steps=6", cwd=folder)
    assert found.returncode == 0, found.stderr
    weights = [
        (folder / run / "checkpoints" / "last" / "model.safetensors").read_bytes()
        for run in ("stopped", "run")
    ]
    assert weights[0] == weights[1]


def test_a_model_of_another_task_is_refused(folder):
    found = forked("train", "task=entailment", "model=recurrent", cwd=folder)
    assert found.returncode == 1
    assert "Recurrent cannot do the task Entailment" in found.stderr
    assert "choose model=decomposable_attention or model=recurrent_classifier" in found.stderr


def test_settings_of_another_model_are_refused_before_any_text_is_read(folder):
    given = ("experiment=reuters_recurrent", "model=transformer", "data.root=nowhere")
    found = forked("train", *given, cwd=folder)
    assert found.returncode == 1
    assert "Transformer has no model.cell" in found.stderr
    assert "~model.cell" in found.stderr
