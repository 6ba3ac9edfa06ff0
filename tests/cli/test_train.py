"""The commands end to end, as users run them: real processes, corpora and event files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import yaml
from commands import SMALL, cold, forked
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

TINY = [
    *SMALL,
    "trainer.max_steps=12",
    "trainer.log_every_n_steps=3",
    "validation.every_n_steps=4",
    "validation.heat_maps=0",
    "trainer.accelerator=cpu",
]


def start(name: str, *arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"seq2seq.cli.{name}", *arguments],
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def trained(
    cwd: Path, name: str, *arguments: str, command: Callable = forked
) -> subprocess.CompletedProcess[str]:
    result = command("train", *TINY, f"hydra.run.dir={name}", *arguments, cwd=cwd)
    assert result.returncode == 0, result.stdout + result.stderr
    return result


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("work")
    before = os.environ.get("SEQ2SEQ_CACHE")
    os.environ["SEQ2SEQ_CACHE"] = str(folder / "cache")
    trained(folder, "run", "attention=fusedmax", "validation.heat_maps=2", command=cold)
    yield folder
    if before is None:
        os.environ.pop("SEQ2SEQ_CACHE")
    else:
        os.environ["SEQ2SEQ_CACHE"] = before


def test_hints_of_lightning_are_not_shown(work: Path) -> None:
    result = trained(work, "hints", "trainer.max_steps=2", "trainer.log_every_n_steps=50")
    assert "step 2: " in result.stderr
    assert "logging interval" not in result.stderr
    assert "site-packages" not in result.stderr


def weights(run: Path, checkpoint: str) -> dict[str, torch.Tensor]:
    return load_file(str(run / "checkpoints" / checkpoint / "model.safetensors"))


def test_a_run_folder_holds_all_that_the_run_was(work: Path) -> None:
    run = work / "run"
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["attention"]["_target_"] == "seq2seq.mappings.Fusedmax"
    assert config["model"]["target_vocabulary_size"] <= 500
    assert (run / "train.log").read_text().count("step 12:") == 1
    assert len((run / "hypotheses.test.txt").read_text().splitlines()) == 12
    best = run / "checkpoints" / "best"
    weights = {"model.safetensors", "model.safetensors.sha256"}
    outputs = {"hypotheses.validation.txt", "references.validation.txt"}
    expected = {*weights, *outputs, "config.yaml", "subwords.model", "metrics.json"}
    assert {path.name for path in best.iterdir()} == expected
    assert len(list((run / "checkpoints").glob("step-*"))) == 3
    assert (run / "checkpoints" / "last" / "model.safetensors").is_file()
    assert [path.name for path in run.rglob(".*")] == [".hydra"], "no file half written"


def test_metrics_have_scores_with_signatures_statistics_and_alignment(work: Path) -> None:
    metrics = json.loads((work / "run" / "metrics.json").read_text())["test"]
    for name in ("bleu", "chrf", "ter"):
        assert isinstance(metrics[name]["score"], float)
        assert "version:" in metrics[name]["signature"]
    assert 1 <= metrics["attention"]["overall"]["support_size"] <= 60
    assert 0 <= metrics["alignment"]["overall"]["aer"] <= 1


def test_evaluate_finds_the_scores_with_which_training_ended(work: Path) -> None:
    result = cold(
        *("evaluate", "checkpoint=run", "output=evaluated", "heat_maps=1"),
        cwd=work,
        environment={"MPLCONFIGDIR": "/proc/nowhere"},
    )
    assert result.returncode == 0, result.stderr
    assert "atplotlib" not in result.stderr
    ours = json.loads((work / "evaluated" / "metrics.json").read_text())["test"]
    theirs = json.loads((work / "run" / "metrics.json").read_text())["test"]
    assert ours == theirs
    assert (work / "evaluated" / "hypotheses.test.txt").read_bytes() == (
        work / "run" / "hypotheses.test.txt"
    ).read_bytes()
    assert "BLEU" in result.stdout.upper()
    assert (work / "evaluated" / "attention.test.1.png").read_bytes().startswith(b"\x89PNG")


def test_tensorboard_shows_scalars_heat_maps_translations_and_hyperparameters(work: Path) -> None:
    events = EventAccumulator(str(work / "run" / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    scalars = set(tags["scalars"])
    assert {
        "train/loss",
        "train/perplexity",
        "train/learning_rate",
        "train/gradient_norm",
        "train/tokens_per_second",
        "validation/bleu",
        "validation/chrf",
        "validation/loss",
        "validation attention/support_size",
        "validation alignment/aer",
    } <= scalars
    assert any("layer 1 head 1" in tag for tag in scalars)
    groups = sorted({tag.partition("/")[0] for tag in scalars})  # as TensorBoard sorts them
    assert groups[:3] == ["final", "train", "validation"]
    names = {tag.split("/")[1] for tag in scalars}
    assert not names & {"tokens", "sentences", "coverage_mean"}, "they never change"
    assert [e.step for e in events.Scalars("validation/bleu")] == [4, 8, 12]
    assert {"attention/example 1", "attention/example 2"} <= set(tags["images"])
    image = events.Images("attention/example 1")[-1]
    assert image.encoded_image_string.startswith(b"\x89PNG")
    assert image.width > 200
    text = events.Tensors("texts/example 1/text_summary")[-1]
    assert b"reference" in text.tensor_proto.string_val[0]
    assert any("hparams" in tag for tag in events.summary_metadata)


def test_translate_answers_every_line_in_order(work: Path) -> None:
    sources = (work / "run" / "hypotheses.test.txt").read_text().splitlines()
    long = "word " * 700
    lines = [sources[0] or "x", "", sources[1] or "y", long, sources[0] or "x"]
    result = cold(
        "translate", "checkpoint=run", "buffer=2", cwd=work, stdin="\n".join(lines) + "\n"
    )
    assert result.returncode == 0, result.stderr
    answers = result.stdout.split("\n")
    assert len(answers) == 6
    assert answers[-1] == ""
    assert answers[1] == ""
    assert answers[0] == answers[4], "the same line has the same translation wherever it stands"
    assert "line 4" in result.stderr
    assert "max_source_length" in result.stderr


def test_translate_streams(work: Path) -> None:
    process = start("translate", "checkpoint=run", "buffer=1", cwd=work)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("first line\n")
    process.stdin.flush()
    assert process.stdout.readline().endswith("\n"), "answered before the input ends"
    _, errors = process.communicate("second line\n", timeout=60)
    assert process.returncode == 0, errors


def test_translate_names_the_line_that_is_not_utf8(work: Path) -> None:
    result = forked("translate", "checkpoint=run", cwd=work, stdin=b"fine\n\xff\xfe\n")
    assert result.returncode == 1
    assert "line 2" in result.stderr
    assert "UTF-8" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(work: Path) -> None:
    trained(work, "again", "attention=fusedmax")
    trained(work, "other", "attention=fusedmax", "seed=2")
    first, again, other = (weights(work / n, "step-000012") for n in ("run", "again", "other"))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.thorough)]
)
def test_an_interrupted_run_resumes_to_the_same_weights(work: Path, number: int) -> None:
    name = f"interrupted-{int(number)}"
    arguments = [*TINY, f"hydra.run.dir={name}", "attention=fusedmax"]
    process = start("train", *arguments, cwd=work)
    log = work / name / "train.log"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if log.exists() and "step 3/" in log.read_text():
            process.send_signal(number)
            break
        time.sleep(0.01)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number, errors
    assert f"resume={name}" in errors
    resumed = cold("train", f"resume={name}", cwd=work)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    straight, again = weights(work / "run", "step-000012"), weights(work / name, "step-000012")
    assert all(torch.equal(straight[key], again[key]) for key in straight)
    assert json.loads((work / name / "metrics.json").read_text()) == json.loads(
        (work / "run" / "metrics.json").read_text()
    )


def test_a_finished_run_trains_on_with_a_larger_limit(work: Path) -> None:
    trained(work, "straight", "schedule=constant")
    trained(work, "short", "schedule=constant", "trainer.max_steps=8")
    result = forked("train", "resume=short", "trainer.max_steps=12", cwd=work)
    assert result.returncode == 0, result.stderr
    straight, again = (weights(work / name, "step-000012") for name in ("straight", "short"))
    assert all(torch.equal(straight[key], again[key]) for key in straight)


def test_a_schedule_that_ends_with_training_follows_a_larger_limit(work: Path) -> None:
    trained(work, "ended", "trainer.max_steps=4", "trainer.log_every_n_steps=1")
    result = forked("train", "resume=ended", "trainer.max_steps=8", cwd=work)
    assert result.returncode == 0, result.stderr
    events = EventAccumulator(str(work / "ended" / "tensorboard"))
    events.Reload()
    rates = {event.step: event.value for event in events.Scalars("train/learning_rate")}
    assert min(rates[step] for step in (5, 6, 7)) > 0


def test_resuming_a_missing_folder_creates_nothing(work: Path) -> None:
    result = forked("train", "resume=nowhere", cwd=work)
    assert result.returncode == 1
    assert "not a run folder" in result.stderr
    assert not (work / "nowhere").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("test.split=tset", "test.split=tset: the corpus has no such split"),
        ("validation.monitor=blue", "choose one of loss, perplexity, bleu, chrf"),
        ("trainer.devices=2", "torchrun --nproc-per-node=2"),
        ("model.hidden_size=23", "tied embeddings"),
        ("optimizer.lr=abc", "optimizer"),
        ("trainer.accelerator=gpu", "gpu"),
        ("attention.learn=[gama]", "learn='gama' is unknown; Softmax can learn gamma"),
        ("attention.per=row", "per='row' is unknown; choose one of layer, head"),
        ("model.output_mapping.learn=[gamma]", "output_mapping.learn=['gamma']"),
        ("attention.learn=[gamma] annealing=cosine", "take gamma out of learn"),
        ("annealing=linear annealing.attentions=[encoder]", "no encoder attention, only cross"),
        ("annealing=exponential annealing.end=0", "annealing.end=0: gamma must be above 0"),
    ],
)
def test_a_mistake_is_reported_before_training(work: Path, override: str, message: str) -> None:
    result = forked("train", *TINY, *override.split(), "hydra.run.dir=mistake", cwd=work)
    assert result.returncode == 1, result.stdout
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert "step 3/" not in result.stderr


def test_a_part_of_a_split_does_not_pass_for_the_whole(work: Path) -> None:
    result = forked("evaluate", "checkpoint=run", "sentences=5", "output=part", cwd=work)
    assert result.returncode == 0, result.stderr
    assert list(json.loads((work / "part" / "metrics.json").read_text())) == ["test-first-5"]


def test_n_best_lists_are_numbered(work: Path) -> None:
    result = forked(
        "translate", "checkpoint=run", "search.n_best=2", cwd=work, stdin="one line\n\nanother\n"
    )
    assert result.returncode == 0, result.stderr
    rows = [line.split(" ||| ") for line in result.stdout.splitlines()]
    assert [row[0] for row in rows] == ["1", "1", "2", "2", "3", "3"]
    assert rows[2] == rows[3] == ["2", "", "0.000000"]
    assert float(rows[0][2]) >= float(rows[1][2])


def test_samples_continue_prefixes(work: Path) -> None:
    (work / "source.txt").write_text("the dog sees a cat\nanother line\n\n")
    (work / "prefixes.txt").write_text("kor ka\n\nonly this\n")
    options = ["search=sample", "search.n_best=3", "search.max_length=12", "search.top_p=0.9"]
    files = ["input=source.txt", "prefix=prefixes.txt"]
    result = forked("translate", "checkpoint=run", *files, *options, cwd=work)
    assert result.returncode == 0, result.stderr
    rows = [line.split(" ||| ") for line in result.stdout.splitlines()]
    assert [row[0] for row in rows] == ["1", "1", "1", "2", "2", "2", "3", "3", "3"]
    assert all(row[1].startswith("kor ka") for row in rows[:3])
    assert len({row[1] for row in rows[3:6]}) > 1
    assert [row[1] for row in rows[6:]] == ["only this"] * 3


def test_prefixes_are_as_many_as_lines(work: Path) -> None:
    (work / "one.txt").write_text("kor\n")
    result = forked(
        "translate", "checkpoint=run", "prefix=one.txt", cwd=work, stdin="a line\nanother\n"
    )
    assert result.returncode == 1
    assert "prefix one.txt ends before line 2" in result.stderr


def test_an_ensemble_of_equal_models_translates_like_one_of_them(work: Path) -> None:
    twins = ["checkpoint=[run,run/checkpoints/best]"]
    options = ('search.forbid=["<unk>"]', "search.replace_unknown=true")
    for name, checkpoint in (("twins", twins[0]), ("one", "checkpoint=run")):
        result = forked("evaluate", checkpoint, *options, f"output={name}", cwd=work)
        assert result.returncode == 0, result.stderr
    assert (work / "twins" / "hypotheses.test.txt").read_bytes() == (
        work / "one" / "hypotheses.test.txt"
    ).read_bytes()
    ours = json.loads((work / "twins" / "metrics.json").read_text())["test"]
    theirs = json.loads((work / "run" / "metrics.json").read_text())["test"]
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
    result = forked("evaluate", twins[0], cwd=work)
    assert result.returncode == 1
    assert "output=FOLDER" in result.stderr


def test_translate_does_not_overwrite_its_input(work: Path) -> None:
    (work / "lines.txt").write_text("one line\n")
    result = forked("translate", "checkpoint=run", "input=lines.txt", "output=lines.txt", cwd=work)
    assert result.returncode == 1
    assert (work / "lines.txt").read_text() == "one line\n"


def test_an_untrusted_checkpoint_fetches_and_writes_nothing(work: Path) -> None:
    shutil.copytree(work / "run" / "checkpoints" / "best", work / "stranger")
    path = work / "stranger" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    planted = work / "planted"
    config["data"]["cache"] = str(planted)
    fetched = {
        "_target_": "seq2seq.data.corpora.hub.Hub",
        "path": "json",
        "options": {"data_files": "http://127.0.0.1:9/secret"},
        "cache_folder": str(planted),
    }
    hidden = {
        "_target_": "seq2seq.data.corpora.mixture.Mixture",
        "corpora": {"inner": {"corpus": fetched}},
    }
    for corpus in (fetched, hidden):
        config["data"]["corpus"] = corpus
        path.write_text(yaml.safe_dump(config))
        result = forked("evaluate", "checkpoint=stranger", cwd=work)
        assert result.returncode == 1
        assert "corpus is fetched from 'json'; allow it by choosing the corpus" in result.stderr
        assert not planted.exists()


def test_max_time_ends_with_a_tested_checkpoint(work: Path) -> None:
    trained(work, "timed", "trainer.max_steps=100000", "trainer.max_time=00:00:00:04")
    assert json.loads((work / "timed" / "metrics.json").read_text())["test"]["bleu"]
    assert (work / "timed" / "checkpoints" / "best" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=transformer", "model.size=16", "model.heads=2", "schedule=noam"],
        ["schedule=plateau", "optimizer=sgd", "attention=oscarmax", "model.input_feeding=true"],
        ["attention=constrained_sparsemax", "attention.fertility=1.5"],
        [
            "attention@model.output_mapping=entmax15",
            "optimizer=adamw",
            "schedule=cosine",
            "schedule.warmup_steps=2",
        ],
        ["trainer.accumulate_grad_batches=2", "trainer.precision=bf16-mixed", "attention=entmax"],
    ],
)
def test_choices_train(work: Path, overrides: list[str], tmp_path: Path) -> None:
    tiny = [o for o in TINY if not o.startswith("model.")]
    short = ["trainer.max_steps=4", "validation.sentences=4"]
    run = tmp_path / "run"
    result = forked("train", *tiny, *short, *overrides, f"hydra.run.dir={run}", cwd=work)
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads((run / "metrics.json").read_text())["test"]["loss"] > 0


def test_early_stopping_stops(work: Path) -> None:
    result = trained(
        work, "early", "trainer.max_steps=400", "validation.patience=2", "optimizer.lr=0.0"
    )
    assert "no better bleu in 2 validations" in result.stderr
    assert "step 16:" not in (work / "early" / "train.log").read_text()


@pytest.mark.parametrize(
    ("overrides", "learned"),
    [
        (
            [
                # With a larger λ, all scores of a row stay one run, without gradient, for longer.
                *("attention=fusedmax", "attention.lam=1e-4", "attention.learn=[gamma,lam]"),
                "optimizer=adamw",
            ],
            {"cross/gamma": 1.0, "cross/lam": 1e-4},
        ),
        (
            [
                *("model=transformer", "model.size=16", "model.heads=2"),
                *("attention=entmax", "attention.learn=[alpha]", "attention.per=head"),
            ],
            {"cross/alpha": 1.5},
        ),
        (
            [
                *("model=transformer", "model.size=16", "model.heads=2", "attention.gamma=0.5"),
                *("model.encoder_mapping.learn=[gamma]", "model.encoder_mapping.per=head"),
            ],
            {"encoder/gamma": 1.0},
        ),
    ],
)
def test_parameters_of_attention_are_learned(
    work: Path, overrides: list[str], learned: dict[str, float], tmp_path: Path
) -> None:
    tiny = [o for o in TINY if not o.startswith("model.")]
    result = forked("train", *tiny, *overrides, f"hydra.run.dir={tmp_path / 'run'}", cwd=work)
    assert result.returncode == 0, result.stdout + result.stderr
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]
    assert set(found["mapping"]["overall"]) == set(learned)
    numbers = [e[name] for name in learned for e in found["mapping"]["by_layer_head"] if name in e]
    assert len(numbers) == (len(learned) if "attention=fusedmax" in overrides else 3 * 2)
    assert not set(numbers) & set(learned.values()), "all of them moved"
    for name, start in learned.items():
        assert name in result.stdout, "the table shows them"
        assert found["mapping"]["overall"][name] == pytest.approx(start, rel=0.3)
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    for name in learned:
        assert [e.step for e in events.Scalars(f"validation mapping/{name}")] == [4, 8, 12]
        tags = [t for t in events.Tags()["scalars"] if f"by layer and head/{name}/layer 1" in t]
        assert len(tags) == (1 if "attention=fusedmax" in overrides else 2)

    output = tmp_path / "evaluated"
    evaluated = forked("evaluate", f"checkpoint={tmp_path / 'run'}", f"output={output}", cwd=work)
    assert evaluated.returncode == 0, evaluated.stdout + evaluated.stderr
    assert json.loads((output / "metrics.json").read_text())["test"] == found


def test_learning_continues_exactly_in_a_resumed_run(work: Path) -> None:
    arguments = ["attention=fusedmax", "attention.learn=[gamma,lam]", "schedule=constant"]
    trained(work, "learning", *arguments)
    trained(work, "learning-half", *arguments, "trainer.max_steps=8")
    resumed = forked("train", "resume=learning-half", "trainer.max_steps=12", cwd=work)
    assert resumed.returncode == 0, resumed.stderr
    straight, again = (weights(work / n, "step-000012") for n in ("learning", "learning-half"))
    assert all(torch.equal(straight[key], again[key]) for key in straight)
    assert any(key.endswith("lam.free") for key in straight)


def test_gamma_is_annealed_saved_and_resumed(work: Path) -> None:
    arguments = [
        *("attention=sparsemax", "schedule=constant", "annealing=linear"),
        *("annealing.start=4", "annealing.end=1", "annealing.steps=10"),
    ]
    trained(work, "annealed", *arguments)
    expected = {4: 2.8, 8: 1.6, 12: 1.0}
    for step, gamma in expected.items():
        saved = weights(work / "annealed", f"step-{step:06d}")
        assert saved["decoder.attention.mapping.gamma"].item() == pytest.approx(gamma)
    events = EventAccumulator(str(work / "annealed" / "tensorboard"))
    events.Reload()
    logged = {event.step: event.value for event in events.Scalars("validation mapping/cross/gamma")}
    assert logged == pytest.approx(expected)
    assert len(events.Scalars("train/gamma")) == 4
    evaluated = forked("evaluate", "checkpoint=annealed", "output=annealed-again", cwd=work)
    assert evaluated.returncode == 0, evaluated.stderr
    ours = json.loads((work / "annealed-again" / "metrics.json").read_text())["test"]
    theirs = json.loads((work / "annealed" / "metrics.json").read_text())["test"]
    assert ours == theirs
    best = weights(work / "annealed", "best")["decoder.attention.mapping.gamma"].item()
    assert ours["mapping"]["overall"]["cross/gamma"] == best

    trained(work, "annealed-half", *arguments, "trainer.max_steps=4")
    resumed = forked("train", "resume=annealed-half", "trainer.max_steps=12", cwd=work)
    assert resumed.returncode == 0, resumed.stderr
    straight, again = (weights(work / n, "step-000012") for n in ("annealed", "annealed-half"))
    assert all(torch.equal(straight[key], again[key]) for key in straight)


def test_collapsing_attention_is_reported_and_relative_strength_avoids_it(work: Path) -> None:
    steep = ("attention=sparsemax", "attention.gamma=1e-3", "model.strength=absolute")
    result = trained(work, "collapsed", *steep)
    assert "looks at a single word" in result.stderr + result.stdout
    assert "Set model.strength=relative (now absolute)" in result.stderr + result.stdout
    events = EventAccumulator(str(work / "collapsed" / "tensorboard")).Reload()
    shares = events.Scalars("validation attention/one_word_share")
    assert shares[0].value > 0.5
    layers = "validation attention by layer and head/no_gradient_share/layer 1 head 1"
    assert events.Scalars(layers)[0].value > 0.9

    result = trained(work, "relative", "attention=sparsemax")
    assert "looks at a single word" not in result.stderr + result.stdout


def test_scores_are_not_written_through_a_link_in_the_run_folder(work: Path) -> None:
    shutil.copytree(work / "run", work / "linked")
    (work / "elsewhere").mkdir()
    (work / "linked" / "evaluations").symlink_to(work / "elsewhere")
    other = ["data=toy", "data.corpus.seed=5", "data.corpus.train_size=9"]
    few = ["data.corpus.validation_size=2", "data.corpus.test_size=2"]
    result = forked("evaluate", "checkpoint=linked", *other, *few, cwd=work)
    assert result.returncode == 1
    assert "linked/evaluations is a symbolic link" in result.stderr
    assert not [*(work / "elsewhere").iterdir()]
