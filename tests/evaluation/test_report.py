import io
import math
import os
import re
import stat
from pathlib import Path

import pytest
import torch
from rich.console import Console
from rich.table import Table

from seq2seq.evaluation.attention_statistics import AttentionStatistics
from seq2seq.evaluation.report import (
    metrics_table,
    read_metrics,
    read_texts,
    write_metrics,
    write_outputs,
)
from seq2seq.evaluation.scores import translation_scores


def printed(table: Table, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_other_splits_stay_and_the_same_split_is_replaced(tmp_path):
    path = tmp_path / "run" / "metrics.json"
    write_metrics(path, {"validation": {"loss": 1.0}})
    write_metrics(path, {"test": {"loss": 2.0, "old": 1}})
    write_metrics(path, {"test": {"loss": 3.0}})
    assert read_metrics(path) == {"validation": {"loss": 1.0}, "test": {"loss": 3.0}}


def test_scores_are_written_at_full_precision(tmp_path):
    path = tmp_path / "metrics.json"
    scores = translation_scores(["a cat sits on a mat"], [["the cat sat on the mat"]])
    write_metrics(path, {"test": scores})
    assert read_metrics(path)["test"] == scores


def test_equal_metrics_are_equal_files_whatever_the_order(tmp_path):
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    write_metrics(one, {"a": {"x": 1, "y": 2}, "b": {}})
    write_metrics(two, {"b": {}, "a": {"y": 2, "x": 1}})
    assert one.read_bytes() == two.read_bytes()


def test_nan_and_infinity_become_null(tmp_path):
    path = tmp_path / "metrics.json"
    write_metrics(path, {"test": {"loss": math.nan, "nested": [{"perplexity": math.inf}]}})
    assert read_metrics(path)["test"] == {"loss": None, "nested": [{"perplexity": None}]}


def test_tensors_become_numbers(tmp_path):
    path = tmp_path / "metrics.json"
    write_metrics(path, {"test": {"loss": torch.tensor(0.5), "tokens": torch.tensor(3)}})
    assert read_metrics(path)["test"] == {"loss": 0.5, "tokens": 3}


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "metrics.json"
    write_metrics(path, {"test": {"loss": 1.0}})
    before = path.read_bytes()

    def full_disk(descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_metrics(path, {"test": {"loss": 2.0}})
    with pytest.raises(TypeError):
        write_metrics(path, {"test": {"loss": object()}})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["metrics.json"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX's")
def test_others_may_read_the_file_like_any_other(tmp_path):
    (tmp_path / "ordinary").touch()
    write_metrics(tmp_path / "metrics.json", {})
    modes = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize("content", ["{", "[1]", ""])
def test_a_broken_file_is_named_and_kept(tmp_path, content):
    path = tmp_path / "metrics.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"metrics\.json .* move it away"):
        write_metrics(path, {"test": {}})
    assert path.read_text() == content


def test_the_table_shows_scores_with_signatures_and_all_averages():
    counter = AttentionStatistics(1, 1)
    counter.update(
        torch.tensor([[[[[0.5, 0.5, 0.0]]]]]), torch.ones(1, 3).bool(), torch.ones(1, 1).bool()
    )
    metrics = {
        "loss": 1.25,
        **translation_scores(["a cat ."], [["a cat ."]], metrics=["chrf"]),
        "attention": counter.summary(),
        "alignment": {"overall": {"aer": 0.125, "segment_mass": None}},
    }
    text = printed(metrics_table(metrics, title="test [beam]"), width=120)
    assert "test [beam]" in text
    rows = {line.split("│")[1].strip(): line for line in text.splitlines() if "│" in line}
    assert "1.25" in rows["loss"]
    assert "100.00" in rows["chrf"]
    assert metrics["chrf"]["signature"] in rows["chrf"]
    assert "0.125" in rows["aer"]
    assert "–" in rows["segment mass"]
    for name in counter.summary()["overall"]:
        assert name.replace("_", " ") in rows


def test_the_page_on_scores_explains_every_row_of_attention():
    page = (Path(__file__).parents[2] / "docs" / "scores.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| ([a-z ,]+) \|", page, re.MULTILINE)
    names = {name for row in explained for name in row.split(", ")}
    counter = AttentionStatistics(1, 1)
    counter.update(torch.ones(1, 1, 1, 1, 1), torch.ones(1, 1).bool(), torch.ones(1, 1).bool())
    assert {name.replace("_", " ") for name in counter.summary()["overall"]} <= names


def test_signatures_are_never_cut_short():
    signature = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"
    text = printed(metrics_table({"bleu": {"score": 30.0, "signature": signature}}), width=50)
    cells = [line.split("│") for line in text.splitlines() if "│" in line]
    assert "".join(cell[-2].strip() for cell in cells) == signature


def test_texts_are_read_from_a_pipe_too() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"one \ntwo\n")
    os.close(writing)
    try:
        assert read_texts(f"/dev/fd/{reading}") == ["one", "two"]
    finally:
        os.close(reading)


def test_outputs_are_a_line_an_example_named_by_the_split(tmp_path: Path) -> None:
    outputs = {"hypotheses.txt": ["one", "two\nlines"], "predictions.tsv": ["a\tb"]}
    paths = write_outputs(tmp_path, "test_2016", outputs)
    assert [path.name for path in paths] == [
        "hypotheses.test_2016.txt",
        "predictions.test_2016.tsv",
    ]
    assert paths[0].read_text(encoding="utf-8") == "one\ntwo lines\n"
    assert paths[1].read_text(encoding="utf-8") == "a\tb\n"
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths}


def test_signatures_break_between_their_fields():
    signature = "nrefs:1|case:mixed|eff:no|tok:ja-mecab-0.996-IPA|smooth:exp|version:2.6.0"
    shown = printed(metrics_table({"bleu": {"score": 1.0, "signature": signature}}), width=80)
    for field in signature.split("|"):
        assert field in shown
