"""Groups of processes that share the work of one command, and how they exchange values."""

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
    """The processes of one command; by default a single process.

    Every process must make the same calls in the same order, except for ``leads``. Processes wait
    for each other on the CPU, whatever the device of the model.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
        local_rank: number of this process on its machine, which is also the number of its device.
        local_size: number of processes on this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one process that writes files and logs."""
        return self.rank == 0

    def gathered(self, part: T) -> list[T]:
        """Return the values of all processes, in the order of ranks, on every process."""
        if self.size == 1:
            return [part]
        parts: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(parts, part)
        return parts

    def united(self, part: Mapping[Key, T]) -> dict[Key, T]:
        """Return the entries of all processes in one dictionary; their keys must differ."""
        return {key: value for entries in self.gathered(part) for key, value in entries.items()}

    def from_first(self, value: T) -> T:
        """Return the value of the first process."""
        if self.size == 1:
            return value
        values = [value]
        torch.distributed.broadcast_object_list(values, src=0)
        return values[0]

    def wait(self) -> None:
        """Wait until all processes have called this."""
        self.gathered(None)

    @contextmanager
    def first_on_each_machine(self) -> Iterator[None]:
        """Run the block on each machine's first process first; the others then use its cache."""
        if self.local_rank > 0:
            self.wait()
        yield
        if self.local_rank == 0:
            self.wait()


ALONE = Group()


class Agreement:
    """The largest of a number of each process, which all processes learn at the same call.

    The exchange runs in the background: each call returns the result of the call before, so that no
    process waits.

    Args:
        group: the processes.
    """

    def __init__(self, group: Group) -> None:
        self.group = group
        self._number = torch.zeros((), dtype=torch.int64)
        self._sending: Any = None

    def exchange(self, number: int) -> int:
        """Return the maximum of the call before; with a single process, the number itself."""
        if self.group.size == 1:
            return number
        known = self.finish()
        self._number = torch.tensor(number)
        self._sending = torch.distributed.all_reduce(
            self._number, torch.distributed.ReduceOp.MAX, async_op=True
        )
        return known

    def finish(self) -> int:
        """Return the maximum of the last call; 0 before the first."""
        if self._sending is None:
            return 0
        self._sending.wait()
        self._sending = None
        return int(self._number)
