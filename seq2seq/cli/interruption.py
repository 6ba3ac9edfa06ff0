"""Signals that ask to stop: the process tidies up and exits with 128 + the signal's number."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from types import FrameType

#: Ctrl-C, what a scheduler or ``kill`` sends, the end of a terminal.
SIGNALS = tuple(getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n))

PR_SET_PDEATHSIG = 1  # of <linux/prctl.h>


class Interruption(SystemExit):
    """A signal asked to stop: files half written are taken away on the way out.

    Attributes:
        number: of the signal.
        name: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number
        self.name = signal.Signals(number).name


def listen() -> None:
    """Raise :class:`Interruption` at the first signal; a second one ends the process at once.

    A signal that is ignored, as ``nohup`` has it of SIGHUP, stays so; Ctrl-C never is.
    """
    for number in SIGNALS:
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


def stop_with_launcher() -> None:
    """Ask the system to send SIGTERM when the launcher ends, however it ends.

    A launcher that is killed cannot stop its processes; without this, they would train on, and a
    second start would meet them. Linux only; elsewhere nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    launcher = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != launcher:  # it has ended in the meantime
        os.kill(os.getpid(), signal.SIGTERM)


def _interrupt(number: int, frame: FrameType | None) -> None:
    for each in SIGNALS:
        if signal.getsignal(each) == _interrupt:
            signal.signal(each, signal.SIG_DFL)
    raise Interruption(number)
