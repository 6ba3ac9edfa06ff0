"""The processes that share the work of one command, and what they tell each other."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed

T = TypeVar("T")
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Group:
    """The processes that one command runs as; alone by default.

    All calls but ``leads`` have to be made by every process, in the same order. They wait for each
    other through the CPU, whatever the device of the model.

    Attributes:
        rank: the number of this process, from 0.
        size: number of processes.
        local_rank: the number of this process on its machine, so that of its device.
        local_size: number of processes on this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one process that writes files and talks."""
        return self.rank == 0

    def gathered(self, part: T) -> list[T]:
        """What every process gives, in the order of ranks; the same on every process."""
        if self.size == 1:
            return [part]
        parts: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(parts, part)
        return parts

    def united(self, part: Mapping[Key, T]) -> dict[Key, T]:
        """The entries that all processes give together; each key is of one process."""
        return {key: value for given in self.gathered(part) for key, value in given.items()}

    def from_first(self, value: T) -> T:
        """What the first process gives."""
        if self.size == 1:
            return value
        values = [value]
        torch.distributed.broadcast_object_list(values, src=0)
        return values[0]

    def wait(self) -> None:
        """Go on when all have come here."""
        self.gathered(None)

    @contextmanager
    def first_on_each_machine(self) -> Iterator[None]:
        """The block, on the first process of a machine before its others: they find its cache."""
        if self.local_rank > 0:
            self.wait()
        yield
        if self.local_rank == 0:
            self.wait()


ALONE = Group()


class Agreement:
    """A number that any process may raise, and that all learn at the same call.

    It travels while the processes work: what is given at one call is known at the next, so that
    nobody waits.

    Args:
        group: of the processes.
    """

    def __init__(self, group: Group) -> None:
        self.group = group
        self._number = torch.zeros((), dtype=torch.int64)
        self._sending: Any = None

    def exchange(self, number: int) -> int:
        """The largest number that any process gave at the call before; alone, the number itself."""
        if self.group.size == 1:
            return number
        known = self.finish()
        self._number = torch.tensor(number)
        self._sending = torch.distributed.all_reduce(
            self._number, torch.distributed.ReduceOp.MAX, async_op=True
        )
        return known

    def finish(self) -> int:
        """The largest number of the last call."""
        if self._sending is None:
            return 0
        self._sending.wait()
        self._sending = None
        return int(self._number)
