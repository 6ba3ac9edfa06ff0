"""Parts of `check_gpu.py`: the machine, and the tests that need a GPU."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from gpu_report import Row

REPOSITORY = Path(__file__).parents[1]
KERNELS = "tests/mappings/gpu"
PACKAGES = ("triton", "adasplash", "entmax", "numpy", "lightning", "pytest")
MOST_WORKERS = 8  # because each has a CUDA context of its own


def machine(args: argparse.Namespace) -> Iterator[Row]:
    """Give what the figures depend on."""
    yield {"what": "Python", "value": platform.python_version()}
    yield {"what": "processor", "value": f"{platform.machine()}, {os.cpu_count()} cores"}
    yield {"what": "torch", "value": f"{torch.__version__} for CUDA {torch.version.cuda}"}
    for package in PACKAGES:
        installed = importlib.util.find_spec(package) is not None
        value = importlib.metadata.version(package) if installed else "not installed"
        yield {"what": package, "value": value}
    if args.device == "cuda":
        device = torch.cuda.get_device_properties(0)
        yield {"what": "device", "value": f"{device.name}, sm_{device.major}{device.minor}"}
        yield {"what": "memory", "value": f"{device.total_memory / 2**30:.0f} GiB"}
        yield {"what": "multiprocessors", "value": device.multi_processor_count}
        yield {"what": "cuDNN", "value": torch.backends.cudnn.version()}


def kernel_tests(args: argparse.Namespace) -> Iterator[Row]:
    """Run the tests of the kernels; they need only PyTorch, Triton and pytest."""
    chosen = ["-k", "without_rows or supported"] if args.quick else ["-n", str(_workers())]
    # `--confcutdir` leaves out the configuration of the other tests, which imports more packages.
    options = ["--confcutdir", KERNELS, "-m", "not thorough and not slow", *chosen]
    yield from _pytest([KERNELS], options)


def gpu_tests(args: argparse.Namespace) -> Iterator[Row]:
    """Run the other tests that are marked `gpu`."""
    files = sorted(
        str(path.relative_to(REPOSITORY))
        for path in (REPOSITORY / "tests").rglob("test_*.py")
        if "mark.gpu" in path.read_text(encoding="utf-8")
        and not path.is_relative_to(REPOSITORY / KERNELS)
        and path.name != "test_check_gpu.py"
    )
    yield from _pytest(files[:1] if args.quick else files, ["-m", "gpu"])


def _workers() -> int:
    """Return how many tests run at a time; 0 means in one process."""
    return min(MOST_WORKERS, os.cpu_count() or 1) if importlib.util.find_spec("xdist") else 0


def _pytest(files: Iterable[str], options: list[str]) -> Iterator[Row]:
    if "-n" in options and _workers() == 0:
        options = options[: options.index("-n")]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "junit.xml")
        command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *files, *options]
        code = subprocess.run([*command, f"--junitxml={report}"], cwd=REPOSITORY).returncode
        if code not in (0, 1) or not report.exists():
            raise RuntimeError(f"pytest ended with exit code {code}; its last words are below")
        yield from results(report)


def results(report: Path) -> Iterator[Row]:
    """Give a row for each file of tests in a JUnit report, and one for each failed test."""
    counts: dict[str, Counter[str]] = {}
    failures: list[Row] = []
    for case in ElementTree.parse(report).iter("testcase"):
        file = case.get("classname", "").removeprefix("tests.")
        kinds = {child.tag for child in case}
        kind = next((k for k in ("failure", "error", "skipped") if k in kinds), "passing")
        counts.setdefault(file, Counter())[kind] += 1
        for child in case:
            if child.tag in ("failure", "error"):
                text = child.text or child.get("message", "")
                failures.append({"file": file, "test": case.get("name"), "traceback": text})
    for file, count in counts.items():
        kinds_of_failures = count["failure"] + count["error"]
        yield {
            "file": file,
            "passing": count["passing"],
            "failing": kinds_of_failures,
            "skipped tests": count["skipped"],
            "passed": kinds_of_failures == 0,
        }
    yield from failures
