"""Handle signals that stop a command: clean up and exit with 128 + the signal's number."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from types import FrameType

#: Ctrl-C, a scheduler or ``kill``, and the end of a terminal.
SIGNALS = tuple(getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n))

PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>


class Interruption(SystemExit):
    """Exception for a signal that stops the command, so that partial files are removed.

    Attributes:
        number: number of the signal.
        name: name of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number
        self.name = signal.Signals(number).name


def listen() -> None:
    """Raise :class:`Interruption` at the first signal; a second one ends the process at once.

    A signal that is ignored, such as SIGHUP under ``nohup``, stays ignored, except for Ctrl-C.
    """
    for number in SIGNALS:
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


def stop_with_launcher() -> None:
    """Ask the system to send SIGTERM when the launcher ends, even if it is killed.

    A killed launcher cannot stop its processes. Without this they would continue to train, and get
    in the way of a second start. Does nothing on systems other than Linux.
    """
    if not sys.platform.startswith("linux"):
        return
    launcher = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != launcher:  # the launcher has ended in the meantime
        os.kill(os.getpid(), signal.SIGTERM)


def _interrupt(number: int, frame: FrameType | None) -> None:
    for each in SIGNALS:
        if signal.getsignal(each) == _interrupt:
            signal.signal(each, signal.SIG_DFL)
    raise Interruption(number)
