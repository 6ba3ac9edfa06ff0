"""The benchmark of large corpora measures memory correctly, and generates the right texts."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="memory is read from Linux's /proc"
)
MIB = 1 << 20
CHILD = """
import mmap, subprocess, sys
own = bytearray(b"x") * (60 << 20)
file = open(sys.argv[1], "rb")
mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
total = sum(mapped[k] for k in range(0, len(mapped), 4096))
if len(sys.argv) > 2:
    child = subprocess.Popen([sys.executable, "-c", sys.argv[2], sys.argv[1]], stdin=-1, stdout=-1)
    child.stdout.readline()
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def bench():
    path = Path(__file__).parents[2] / "scripts" / "bench_data.py"
    specification = importlib.util.spec_from_file_location("bench_data", path)
    module = importlib.util.module_from_spec(specification)
    sys.modules["bench_data"] = module  # where its dataclass looks for itself
    specification.loader.exec_module(module)
    return module


def test_memory_is_that_of_all_processes_and_shared_pages_count_once(bench, tmp_path):
    (tmp_path / "file").write_bytes(b"y" * (40 * MIB))
    arguments = [sys.executable, "-c", CHILD, str(tmp_path / "file"), CHILD]
    with subprocess.Popen(arguments, stdin=-1, stdout=-1) as process:
        process.stdout.readline()
        anonymous, mapped = bench.memory(process.pid)
        process.kill()
    assert 120 * MIB < anonymous < 170 * MIB
    assert 40 * MIB < mapped < 75 * MIB


def test_pairs_are_the_same_for_the_same_number_and_streamed(bench, tmp_path):
    for name in ("a", "b"):
        bench.generate(25_000, tmp_path, name)
    for side in ("source", "target"):
        first, second = ((tmp_path / f"{name}.{side}").read_text() for name in ("a", "b"))
        assert first == second
        assert first.count("\n") == 25_000
    lengths = [len(x.split()) for x in (tmp_path / "a.source").read_text().splitlines()]
    assert 21 < sum(lengths) / len(lengths) < 23
