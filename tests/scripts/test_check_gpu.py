"""The check of a GPU runs on a CPU as well, and reports parts that fail, hang or are killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
PARTS = """
import os, signal, time

def good(args):
    yield {"case": "one|two", "share": 0.5, "passed": True}

def wrong(args):
    yield {"case": "a wrong number", "passed": False}
    yield {"case": "code of others", "output": "their error"}

def broken(args):
    yield {"case": "measured before the error"}
    raise ValueError("a broken part")

def killed(args):
    yield {"case": "measured before the end"}
    print("last words", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

def endless(args):
    yield {"case": "measured in time"}
    time.sleep(600)
"""


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return the script with parts of its own: each has three seconds, but `endless` has one."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "parts_of_a_test.py").write_text(PARTS)
    import check_gpu

    names = ("good", "wrong", "broken", "killed", "endless")
    parts = {name: check_gpu.Part("parts_of_a_test", name, 60, f"About {name}.") for name in names}
    monkeypatch.setattr(check_gpu, "PARTS", parts)
    return check_gpu


def outcomes(
    check: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str
) -> tuple[int, dict[str, Any], str]:
    """Run the script; return its exit code and its report by part and as text."""
    command = ["check_gpu.py", "--device", "cpu", "--quick", "--output", str(folder), *options]
    monkeypatch.setattr(sys, "argv", command)
    code = check.main()
    report = json.loads((folder / "gpu.json").read_text(encoding="utf-8"))
    text = (folder / "gpu.md").read_text(encoding="utf-8")
    return code, {part["name"]: part for part in report["parts"]}, text


@pytest.mark.slow
def test_a_part_that_fails_is_reported_and_the_next_runs(
    check: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--parts", "wrong,broken,killed,good")
    code, parts, text = outcomes(check, tmp_path / "report", monkeypatch, *options)
    assert code == 1
    statuses = {name: part["status"] for name, part in parts.items()}
    assert statuses == {"wrong": "failed", "broken": "failed", "killed": "failed", "good": "passed"}
    assert [row["case"] for row in parts["broken"]["rows"]] == [
        "measured before the error",
        "the part itself",
    ]
    assert "ValueError: a broken part" in parts["broken"]["rows"][1]["traceback"]
    assert parts["killed"]["rows"] == [{"case": "measured before the end"}]
    assert "last words" in parts["killed"]["log"]
    assert "ValueError: a broken part" in text
    assert "their error" in text
    assert "| one\\|two | 0.5 | yes |" in text


@pytest.mark.slow
def test_a_part_that_does_not_end_is_ended(
    check: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows are kept, and the next part runs, with the time that is left."""
    check.PARTS["endless"] = check.Part("parts_of_a_test", "endless", 20, "It hangs.")
    options = ("--parts", "endless,good")
    code, parts, text = outcomes(check, tmp_path / "report", monkeypatch, *options)
    assert code == 1
    assert parts["endless"]["status"] == "out of time"
    assert parts["endless"]["rows"] == [{"case": "measured in time"}]
    assert parts["good"]["status"] == "passed"
    assert "## endless: out of time" in text


def test_the_report_is_written_after_each_part(
    check: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(name: str, args: Any, outcome: Any, seconds: float) -> None:
        if name == "broken":
            raise KeyboardInterrupt
        outcome.status, outcome.rows = "passed", [{"case": name}]

    monkeypatch.setattr(check, "run", stopped)
    with pytest.raises(KeyboardInterrupt):
        outcomes(check, tmp_path, monkeypatch, "--parts", "good,broken")
    report = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert [part["status"] for part in report["parts"]] == ["passed", "not run yet"]


def test_without_a_device_it_says_so_at_once(
    check: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["check_gpu.py"])
    with pytest.raises(SystemExit):
        check.main()
    assert "--device cpu --quick" in capsys.readouterr().err


def test_failed_tests_are_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from gpu_tests import results

    code = "import pytest\ndef test_a(): pass\ndef test_b(): assert 1 == 2\n"
    (tmp_path / "test_two.py").write_text(code + "def test_c(): pytest.skip('a reason')\n")
    report = tmp_path / "junit.xml"
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", f"--junitxml={report}"]
    subprocess.run([*command, tmp_path / "test_two.py"], capture_output=True, cwd=tmp_path)
    summary, failure = results(report)
    assert {key: summary[key] for key in ("passing", "failing", "skipped tests", "passed")} == {
        "passing": 1,
        "failing": 1,
        "skipped tests": 1,
        "passed": False,
    }
    assert failure["test"] == "test_b"
    assert "assert 1 == 2" in failure["traceback"]


@pytest.mark.e2e
@pytest.mark.slow
def test_all_parts_run_on_a_cpu(tmp_path: Path) -> None:
    options = ["--device", "cpu", "--quick", "--minutes", "24", "--output", str(tmp_path)]
    result = subprocess.run(
        [sys.executable, SCRIPTS / "check_gpu.py", *options],
        capture_output=True,
        text=True,
        timeout=1500,
    )
    text = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    assert result.returncode == 0, result.stdout + result.stderr + text
    report = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    rows = {part["name"]: part["rows"] for part in report["parts"]}
    fusedmax = next(row for row in rows["mappings"] if row["mapping"] == "fusedmax")
    assert fusedmax["both ÷ softmax"] > 0
    kinds = {(row["attention"], row["causal"]) for row in rows["attention"]}
    assert {("blockwise entmax 1.3", True), ("matrix of scores, entmax 1.5", False)} <= kinds
    trained = {(row["model"], row["precision"]) for row in rows["training"]}
    assert len(trained) == 5 * 2
    assert all(row["same as on the CPU"] == 1 for row in rows["search"])
    assert {row["case"] for row in rows["graphs"]} >= {
        "Oscarmax, forward and backward",
        "transformer with fusedmax, a training step",
        "input feeding with fusedmax, a decoding step",
    }
    assert rows["compile"]
    assert rows["kernel tests"][0]["passing"] > 1
