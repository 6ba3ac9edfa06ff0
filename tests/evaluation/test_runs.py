import shutil

import pytest
from run_folders import REFERENCES, WriteRun, spoiled

from seq2seq.evaluation.runs import find_runs


def names(entries) -> list[str]:
    return [entry.folder.name for entry in entries]


def test_runs_are_found_in_folders_below_and_by_patterns_each_once(
    write_run: WriteRun, tmp_path
) -> None:
    for name in ("sweep/0", "sweep/2", "sweep/10", "other/a"):
        write_run(name)
    (tmp_path / "sweep" / "multirun.yaml").write_text("hydra: {}\n")
    assert names(find_runs([tmp_path])[0]) == ["a", "0", "2", "10"]
    assert names(find_runs([tmp_path / "sweep"])[0]) == ["0", "2", "10"]
    assert names(find_runs([f"{tmp_path}/*/[0-9]*", tmp_path / "sweep" / "2"])[0]) == [
        "0",
        "2",
        "10",
    ]
    with pytest.raises(ValueError, match="nothing: there is no run folder"):
        find_runs([tmp_path / "nothing"])


def test_a_checkpoint_in_a_run_folder_is_no_run_of_its_own(write_run: WriteRun, tmp_path) -> None:
    folder = write_run("run")
    best = folder / "checkpoints" / "best"
    best.mkdir(parents=True)
    shutil.copy(folder / "config.yaml", best)
    assert names(find_runs([tmp_path])[0]) == ["run"]


def test_a_run_gives_its_measures_and_texts(write_run: WriteRun) -> None:
    run = find_runs([write_run("run", rate=5)])[0][0]
    assert run.hypotheses() == spoiled(5)
    assert run.references() == [REFERENCES]
    assert run.values("bleu") is None
    assert 0 < run.scores["bleu"] == run.measure("bleu") < 100
    assert run.measure("support_size") == 3.0
    assert run.measure("parameters") == 1234567
    assert run.measure("loss") == 2.0
    assert run.measure("nothing") is None


def test_incomplete_runs_say_what_they_lack(write_run: WriteRun, tmp_path) -> None:
    stopped, failed, broken, other = (
        write_run(n) for n in ("stopped", "failed", "broken", "other")
    )
    (stopped / "metrics.json").unlink()
    (stopped / "resume.ckpt").touch()
    for path in list(failed.iterdir()):
        path.unlink()
    (failed / "train.log").touch()
    (broken / "metrics.json").write_text("{")
    (other / "metrics.json").write_text('{"dev": {"bleu": {"score": 1.0}}}')
    runs, left_out = find_runs([tmp_path])
    assert runs == []
    reasons = {entry.folder.name: entry.reason for entry in left_out}
    assert "training has not ended; resume it with seq2seq-train resume=" in reasons["stopped"]
    assert "ended before training began" in reasons["failed"]
    assert "is not JSON" in reasons["broken"]
    assert "no results on test, only on dev; compute them with seq2seq-evaluate" in reasons["other"]


def test_another_split_is_read_where_evaluation_wrote_it(write_run: WriteRun) -> None:
    folder = write_run("run")
    best = folder / "checkpoints" / "best"
    best.mkdir(parents=True)
    (best / "metrics.json").write_text('{"newstest": {"bleu": {"score": 7.0}, "search": {"k": 1}}}')
    run = find_runs([folder], "newstest")[0][0]
    assert (run.split, run.place, run.scores) == ("newstest", best, {"bleu": 7.0})
    assert run.config["test"] == {"search": {"k": 1}}, "the search that made the hypotheses"
    assert run.hypotheses() is None


@pytest.mark.parametrize("split", ["../../secret", "/etc/passwd", "a*", ["test"], ".hidden", ""])
def test_the_name_of_a_split_cannot_leave_the_folder(write_run: WriteRun, split: object) -> None:
    folder = write_run("run", test={"split": split or "a/b"})
    (left_out,) = find_runs([folder])[1]
    assert "is not the name of a split" in left_out.reason


def test_numbers_that_are_none_and_names_that_move_the_cursor_are_left_out(
    write_run: WriteRun,
) -> None:
    folder = write_run("run")
    scores = '{"bleu": {"score": 7.5}, "chrf": {"score": NaN}, "ter": {"score": 1e999}}'
    odd = scores.replace("}}", '}, "a\\u001b[2J": {"score": 1.0}}')
    (folder / "metrics.json").write_text(f'{{"test": {odd}}}')
    (run,) = find_runs([folder])[0]
    assert run.scores == {"bleu": 7.5}
    assert run.measure("chrf") is None
