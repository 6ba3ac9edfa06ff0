"""Accidents for commands at a chosen moment, outside of product code."""

from __future__ import annotations

import functools
import importlib
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def kill() -> None:
    """Stop the process at once, without any cleanup."""
    os.kill(os.getpid(), signal.SIGKILL)


def fill_the_disk() -> None:
    """From now on no file grows beyond 20 kB: writing a state fails as it does on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))


@dataclass(frozen=True)
class At:
    """Lets an accident happen when a function is called: ``forked("train", …, before=At(…))``.

    Args:
        function: ``module:name`` or ``module:Class.name``.
        accident: what happens.
        call: at which of the calls, from 1.
        about: only calls that have this text in an argument are counted.
        late: after the call instead of before.
    """

    function: str
    accident: Callable[[], None] = kill
    call: int = 1
    about: str = ""
    late: bool = False

    def __call__(self) -> None:
        """Replace the function by one that counts."""
        module, _, path = self.function.partition(":")
        owner: Any = importlib.import_module(module)
        *classes, name = path.split(".")
        for part in classes:
            owner = getattr(owner, part)
        original = getattr(owner, name)
        calls = 0

        @functools.wraps(original)
        def counting(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += any(self.about in str(a) for a in (*arguments, *named.values()))
            now = calls == self.call
            if now and not self.late:
                self.accident()
            result = original(*arguments, **named)
            if now and self.late:
                self.accident()
            return result

        setattr(owner, name, counting)


@dataclass(frozen=True)
class Signal:
    """Sends the command a signal from outside of its main thread, once something is so.

    Args:
        number: the signal.
        path: a file that exists, or a pipe that is read from.
        text: what the file holds.
    """

    number: int
    path: Path
    text: str = ""

    def __call__(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._is_so():
            time.sleep(0.01)
        os.kill(os.getpid(), self.number)
        time.sleep(60)  # a pipe stays open

    def _is_so(self) -> bool:
        if not self.path.is_fifo():
            return self.path.exists() and self.text in self.path.read_text()
        try:
            os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads yet
            return False
        return True
