"""Run a command as several processes, without the seconds that torchrun itself takes."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

from commands import forked


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def torchrun(rank: int, size: int) -> dict[str, str]:
    """Return the environment that torchrun sets for a process."""
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
    return {"TORCHELASTIC_RUN_ID": "test", **{name: str(n) for name, n in numbers.items()}}


def srun(rank: int, size: int) -> dict[str, str]:
    """Return the environment that Slurm's srun sets for a process on one machine."""
    numbers = {
        "SLURM_STEP_NUM_TASKS": size,
        "SLURM_STEP_NUM_NODES": 1,
        "SLURM_NTASKS": size,
        "SLURM_NTASKS_PER_NODE": size,
        "SLURM_NNODES": 1,
        "SLURM_PROCID": rank,
        "SLURM_LOCALID": rank,
        "SLURM_NODEID": 0,
        "SLURM_JOB_ID": 1,
    }
    return {**{name: str(n) for name, n in numbers.items()}, "SLURM_NODELIST": "localhost"}


def together(
    name: str,
    *arguments: str,
    cwd: Path,
    size: int = 2,
    stdin: str = "",
    launcher: Callable[[int, int], dict[str, str]] = torchrun,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> list[subprocess.CompletedProcess[str]]:
    """``size`` processes of one command, as a launcher would start them; in the order of ranks."""
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), **environment}

    def one(rank: int) -> subprocess.CompletedProcess[str]:
        given = {**place, **launcher(rank, size)}
        return forked(name, *arguments, cwd=cwd, stdin=stdin, environment=given)

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(one, range(size)))
