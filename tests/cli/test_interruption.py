"""Signals: the first one stops, the second one kills, ignored ones stay ignored."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from seq2seq.cli.interruption import SIGNALS, Interruption, listen


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Give the handlers back after a test."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_becomes_an_exit_with_its_code_and_the_next_one_ends(number: int) -> None:
    for each in SIGNALS:  # none ignored, as the tests themselves may be under nohup
        signal.signal(each, signal.SIG_DFL)
    listen()
    with pytest.raises(Interruption) as stop:
        signal.raise_signal(number)
    assert stop.value.code == 128 + number
    assert stop.value.name == signal.Signals(number).name
    assert all(signal.getsignal(each) == signal.SIG_DFL for each in SIGNALS)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="terminals of POSIX")
def test_nohup_works_and_ctrl_c_does_in_the_background() -> None:
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # as nohup and a shell's & do
    listen()
    signal.raise_signal(signal.SIGHUP)
    with pytest.raises(Interruption):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone tells of it")
def test_processes_end_with_a_launcher_that_is_killed(tmp_path: Path) -> None:
    worker = """
import sys, time
from seq2seq.cli.interruption import listen, stop_with_launcher
listen()
stop_with_launcher()
try:
    print("ready", flush=True)
    time.sleep(60)
except SystemExit as stop:
    open(sys.argv[1], "w").write(str(stop.code))
"""
    launcher = """
import subprocess, sys
subprocess.run([sys.executable, "-c", *sys.argv[1:]])
"""
    told = tmp_path / "told"
    command = [sys.executable, "-c", launcher, worker, str(told)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.kill()
    deadline = time.monotonic() + 20
    while not (told.exists() and told.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert told.read_text() == "143"
