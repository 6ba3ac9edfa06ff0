"""``seq2seq-translate``, ``seq2seq-score`` and ``seq2seq-predict`` as parts of a pipeline."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from commands import SMALL, forked

import seq2seq

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

TINY = (*SMALL, "trainer.max_steps=3", "validation.every_n_steps=3", "trainer.accelerator=cpu")
SENTENCES = ["the old dog sees a small house", "", "she reads"]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("translate")
    options = ["validation.average=false", "attention=sparsemax", "hydra.run.dir=run"]
    result = forked("train", *TINY, *options, cwd=folder)
    assert result.returncode == 0, result.stderr
    (folder / "source").write_text("".join(f"{line}\n" for line in SENTENCES))
    return folder


def lines_of(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_lines_have_what_python_returns(work: Path) -> None:
    options = ["format=jsonl", "return_attention=word", "search.n_best=2", "alignments=links"]
    result = forked("translate", "checkpoint=run", "input=source", *options, cwd=work)
    assert result.returncode == 0, result.stderr
    records = lines_of(result.stdout)
    model = seq2seq.load(work / "run", device="cpu")
    outputs = model.translate(SENTENCES, n_best=2, return_attention=True)
    links = (work / "links").read_text().splitlines()
    assert [record["line"] for record in records] == [1, 2, 3]
    for record, output, pairs in zip(records, outputs, links, strict=True):
        assert record["text"] == output.text
        assert record["tokens"] == output.tokens
        assert record["score"] == pytest.approx(output.score, abs=1e-4)
        assert record["error"] is None
        if output.word_attention is None:  # an empty line
            assert "attention" not in record
            assert pairs == ""
            continue
        assert record["alignment"] == output.alignment == pairs
        assert record["attention"]["source"] == output.word_attention.source
        weights = output.word_attention.weights
        assert sum(map(sum, record["attention"]["weights"][0][0])) == pytest.approx(
            float(weights[0, 0].sum()), rel=1e-4
        )
        zeros = sum(value == 0 for row in record["attention"]["weights"][0][0] for value in row)
        assert zeros == int((weights[0, 0] == 0).sum())
        assert [o["text"] for o in record["alternatives"]] == [o.text for o in output.alternatives]


def test_a_source_that_is_cut_is_marked(work: Path) -> None:
    options = ["format=jsonl", "max_source_length=4"]
    result = forked("translate", "checkpoint=run", "input=source", *options, cwd=work)
    assert [r["source_truncated"] for r in lines_of(result.stdout)] == [True, False, True]


def test_packed_files_are_read_and_written(work: Path) -> None:
    plain = forked("translate", "checkpoint=run", "input=source", cwd=work).stdout
    (work / "source.gz").write_bytes(gzip.compress((work / "source").read_bytes()))
    result = forked("translate", "checkpoint=run", "input=source.gz", "output=o.bz2", cwd=work)
    assert result.returncode == 0, result.stderr
    assert bz2.decompress((work / "o.bz2").read_bytes()).decode() == plain


def test_lines_that_cannot_be_read_stop_or_are_skipped(work: Path) -> None:
    (work / "bad").write_bytes(b"she reads\nz\xf6lf\nshe reads\n")
    stopped = forked("translate", "checkpoint=run", "input=bad", cwd=work)
    assert stopped.returncode == 1
    assert "line 2 of bad is not UTF-8" in stopped.stderr
    skipping = ["checkpoint=run", "input=bad", "on_error=skip"]
    skipped = forked("translate", *skipping, cwd=work)
    assert skipped.returncode == 0
    first, second, third = skipped.stdout.splitlines()
    assert first == third != ""
    assert second == ""
    assert skipped.stderr.count("line 2 of bad is not UTF-8") == 1
    records = lines_of(forked("translate", *skipping, "format=jsonl", cwd=work).stdout)
    assert [bool(record["error"]) for record in records] == [False, True, False]


def test_scores_are_those_of_the_search(work: Path) -> None:
    options = ["format=jsonl", "search.alpha=0"]
    written = lines_of(
        forked("translate", "checkpoint=run", *options, "input=source", cwd=work).stdout
    )
    pairs = zip(SENTENCES, written, strict=True)
    (work / "pairs").write_text("".join(f"{s}\t{w['text']}\n" if s else "\n" for s, w in pairs))
    result = forked("score", "checkpoint=run", "input=pairs", cwd=work)
    assert result.returncode == 0, result.stderr
    for line, record in zip(result.stdout.splitlines(), written, strict=True):
        if not record["text"]:
            assert line == ""
            continue
        total, mean, length = map(float, line.split("\t"))
        assert length == len(record["tokens"])
        assert mean == pytest.approx(total / length, abs=1e-5)
        assert total == pytest.approx(record["log_probability"], abs=1e-3)


def test_pairs_that_are_none_stop_or_are_skipped(work: Path) -> None:
    (work / "no_pairs").write_text("a\tb\nonly one\na\tb\n")
    stopped = forked("score", "checkpoint=run", "input=no_pairs", cwd=work)
    assert stopped.returncode == 1
    assert "input line 2: expected a source, a tab and a target" in stopped.stderr
    options = ["on_error=skip", "format=jsonl"]
    records = lines_of(
        forked("score", "checkpoint=run", "input=no_pairs", *options, cwd=work).stdout
    )
    assert [record["error"] is None for record in records] == [True, False, True]
    assert sum(records[0]["token_log_probabilities"]) == pytest.approx(
        records[0]["log_probability"]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["return_attention=word"], "set format=jsonl"),
        (["format=xml"], "format=xml has to be text or jsonl"),
        (["format=jsonl", "return_attention=letter"], "has to be word or subword or null"),
        (["alignments=source"], "input and alignments are the same file, source"),
        (["output=out", "alignments=out"], "output and alignments are the same file, out"),
        (["on_error=ignore"], "on_error=ignore has to be stop or skip"),
    ],
)
def test_settings_that_do_not_fit_are_refused(work: Path, options: list[str], message: str) -> None:
    result = forked("translate", "checkpoint=run", "input=source", *options, cwd=work)
    assert result.returncode == 1
    assert message in result.stderr


def test_a_bar_is_shown_on_a_terminal_for_a_file(work: Path) -> None:
    primary, secondary = pty.openpty()
    command = [sys.executable, "-m", "seq2seq.cli.translate", "checkpoint=run"]
    files = ["input=source", "output=translated"]
    subprocess.run([*command, *files], cwd=work, stderr=secondary, check=True, timeout=120)
    os.close(secondary)
    shown = b""
    while True:
        try:
            part = os.read(primary, 4096)
        except OSError:  # the end
            break
        shown += part
        if not part:
            break
    os.close(primary)
    assert b"3/3" in shown
    assert len((work / "translated").read_text().splitlines()) == 3
