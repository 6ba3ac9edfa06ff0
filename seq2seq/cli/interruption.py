"""Signals that ask to stop: the process tidies up and exits with 128 + the signal's number."""

from __future__ import annotations

import signal
from types import FrameType

#: Ctrl-C, what a scheduler or ``kill`` sends, the end of a terminal.
SIGNALS = tuple(getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n))


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


def _interrupt(number: int, frame: FrameType | None) -> None:
    for each in SIGNALS:
        if signal.getsignal(each) == _interrupt:
            signal.signal(each, signal.SIG_DFL)
    raise Interruption(number)
