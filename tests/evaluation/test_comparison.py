import statistics

import pytest
from run_folders import REFERENCES, WriteRun, spoiled

from seq2seq.evaluation.comparison import compare
from seq2seq.evaluation.runs import find_runs
from seq2seq.evaluation.significance import compare_texts


def compared(tmp_path, **options):
    return compare(find_runs([tmp_path])[0], **options)


def row_of(table, *labels):
    return next(row for row in table.rows if row.labels == labels)


def test_a_row_is_a_mapping_over_its_seeds(write_run: WriteRun, tmp_path) -> None:
    for seed, rate in ((1, 4), (2, 5), (3, 6)):
        write_run(f"soft{seed}", "Softmax", seed, rate)
        write_run(f"sparse{seed}", "Sparsemax", seed, rate + 6, support=1.0 + seed)
    [table] = compared(tmp_path)
    assert table.keys == ("attention",)
    assert [row.labels for row in table.rows] == [("softmax",), ("sparsemax",)]
    scores = [run.scores["bleu"] for run in row_of(table, "softmax").runs]
    cell = row_of(table, "softmax").cells["bleu"]
    assert cell.mean == pytest.approx(sum(scores) / 3)
    assert cell.deviation == pytest.approx(statistics.stdev(scores))
    assert row_of(table, "sparsemax").cells["support_size"].mean == 3.0
    assert row_of(table, "sparsemax").cells["support_size"].deviation == 1.0
    assert row_of(table, "sparsemax").cells["seconds_per_epoch"].mean == 20.0
    assert table.measures == (
        "bleu",
        "support_size",
        "zero_share",
        "run_length",
        "seconds_per_epoch",
        "parameters",
    ), "no aer without gold alignments"
    assert table.about == "translation, toy, test split, 24 examples"


def test_rows_are_tested_seed_by_seed_against_the_baseline(write_run: WriteRun, tmp_path) -> None:
    rates = {1: (3, 12), 2: (4, 15), 3: (4, 5)}
    for seed, (soft, sparse) in rates.items():
        write_run(f"soft{seed}", "Softmax", seed, soft)
        write_run(f"sparse{seed}", "Sparsemax", seed, sparse)
    [table] = compared(tmp_path, samples=200)
    signature = table.rows[0].runs[0].signatures["bleu"]
    p_values = [
        compare_texts(
            "bleu", signature, [spoiled(a), spoiled(b)], [REFERENCES], samples=200
        ).p_values[0]
        for a, b in rates.values()
    ]
    assert row_of(table, "softmax").cells["bleu"].p is None
    expected = min(1, 3 / 2 * sorted(p_values)[1])
    assert row_of(table, "sparsemax").cells["bleu"].p == pytest.approx(expected)
    notes = " ".join(table.notes)
    assert "differs from softmax, p < 0.05: paired bootstrap resampling" in notes
    assert "200 samples, seed 12345" in notes
    assert "Rüger" in notes
    assert f"BLEU: {signature}" in notes


def test_each_model_has_its_own_baseline(write_run: WriteRun, tmp_path) -> None:
    for number, model in enumerate(("Recurrent", "Transformer")):
        for mapping, rate in (("Softmax", 4), ("Entmax", 4 + 8 * number)):
            write_run(f"{model}-{mapping}", mapping, 1, rate, model={"_target_": f"x.{model}"})
    [table] = compared(tmp_path, samples=100)
    assert table.keys == ("attention", "model")
    # The first Entmax is its baseline's equal, the second is not.
    assert row_of(table, "entmax", "recurrent").cells["bleu"].p == 1
    assert row_of(table, "entmax", "transformer").cells["bleu"].p < 0.05
    assert row_of(table, "softmax", "transformer").cells["bleu"].p is None


def test_means_of_values_are_tested_by_their_values(write_run: WriteRun, tmp_path) -> None:
    write_run("a", "Softmax", values={"accuracy": [0.0, 100.0] * 20}, scores=())
    write_run("b", "Fusedmax", values={"accuracy": [100.0, 100.0] * 20}, scores=())
    [table] = compared(tmp_path, test="randomization")
    cell = row_of(table, "fusedmax").cells["accuracy"]
    assert (cell.mean, cell.p) == (100, pytest.approx(1e-4, rel=0.01))
    assert any("approximate randomization" in note for note in table.notes)


def test_a_score_that_the_files_do_not_bear_out_is_not_tested(
    write_run: WriteRun, tmp_path
) -> None:
    write_run("a", "Softmax")
    folder = write_run("b", "Fusedmax", rate=9)
    (folder / "hypotheses.test.txt").write_text("something else\n" * len(REFERENCES))
    [table] = compared(tmp_path, samples=50)
    assert row_of(table, "fusedmax").cells["bleu"].p is None
    assert any(f"bleu of {folder} is" in note and "metrics.json" in note for note in table.notes)
    (folder / "hypotheses.test.txt").unlink()
    [table] = compared(tmp_path)
    assert any("lacks hypotheses.test.txt" in note for note in table.notes)


def test_other_test_sets_and_other_signatures_are_other_tables(
    write_run: WriteRun, tmp_path
) -> None:
    write_run("a")
    write_run("b", "Sparsemax")
    write_run("c", texts="others")
    write_run("d", scores=("bleu", "chrf"))
    tables = compared(tmp_path, test=None)
    assert [[run.folder.name for row in t.rows for run in row.runs] for t in tables] == [
        ["a", "b"],
        ["c"],
        ["d"],
    ]
    assert all(any("nrefs:1" in note for note in table.notes) for table in tables)


def test_other_differences_than_the_named_key_are_reported_and_pair_the_runs(
    write_run: WriteRun, tmp_path
) -> None:
    for mapping, shift in (("Softmax", 0), ("Sparsemax", 9)):
        for rate in (3, 5):
            write_run(f"{mapping}{rate}", mapping, 1, rate + shift, optimizer={"lr": rate})
    [table] = compared(tmp_path, by=["attention"], samples=100)
    assert [len(row.runs) for row in table.rows] == [2, 2]
    assert "Runs of a row also differ in optimizer.lr." in table.notes
    assert row_of(table, "sparsemax").cells["bleu"].p < 0.05
    [table] = compared(tmp_path, by=["optimizer.lr"], test=None)
    assert [row.labels for row in table.rows] == [("3",), ("5",)]


def test_a_duplicate_run_is_reported(write_run: WriteRun, tmp_path) -> None:
    one, two = write_run("a"), write_run("b")
    write_run("c", "Sparsemax")
    [table] = compared(tmp_path, test=None)
    told = f"Row softmax counts runs of the same configuration and seed: {one} and {two}."
    assert told in table.notes


def test_columns_and_baseline_are_the_users_choice(write_run: WriteRun, tmp_path) -> None:
    write_run("a", "Softmax", rate=3)
    write_run("b", "Sparsemax", rate=15)
    [table] = compared(tmp_path, columns=["loss", "bleu"], baseline="sparsemax", samples=50)
    assert table.measures == ("loss", "bleu")
    assert row_of(table, "softmax").cells["bleu"].p < 0.05
    assert row_of(table, "sparsemax").cells["bleu"].p is None
    for wrong, told in (
        ({"columns": ["rouge"]}, "no run has rouge; choose from .*bleu"),
        ({"baseline": "x"}, "no row has this label; choose from softmax, sparsemax"),
        ({"test": "t"}, "choose bootstrap, randomization, or null"),
        ({"level": 5}, "level=5 must be between 0 and 1"),
    ):
        with pytest.raises(ValueError, match=told):
            compared(tmp_path, **wrong)


def test_without_the_baseline_a_warning_says_that_nothing_is_tested(
    write_run: WriteRun, tmp_path
) -> None:
    write_run("a", "Sparsemax")
    write_run("b", "Fusedmax")
    [table] = compared(tmp_path)
    assert any("there is no row softmax" in note for note in table.notes)
