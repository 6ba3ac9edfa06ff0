"""Run a command as several processes, started by torchrun or Slurm's srun.

The first process reads the command line and sends the configuration to the others. Only the first
process writes files and logs.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from seq2seq.cli.application import mendable, plain
from seq2seq.cli.hydra_internals import PRINTING
from seq2seq.cli.importing import quick_imports
from seq2seq.cli.interruption import listen, stop_with_launcher

if TYPE_CHECKING:
    from seq2seq.system.processes import Group

    Job = Callable[[DictConfig, Path, Group], float | None]

PATIENCE = timedelta(hours=2)  # the others wait while the first process prepares a large corpus
WORD_TO_THE_FIRST = 3.0  # seconds for rank 0 to report an error first, so that it appears once


def leads() -> bool:
    """Return True if this process reads the command line."""
    return _numbers()[0] == 0


def launched() -> Group:
    """Return the group of processes that torchrun or srun started; without them, a single one.

    Raises:
        ValueError: if machines run different numbers of processes.
    """
    with quick_imports():  # this imports PyTorch
        from seq2seq.system.processes import Group

    group = Group(*_numbers())
    if "TORCHELASTIC_RUN_ID" in os.environ:
        stop_with_launcher()
    if group.size % group.local_size:
        raise ValueError(
            f"{group.size} processes are not a multiple of the {group.local_size} on this machine; "
            "start equally many on each machine"
        )
    return group


def _numbers() -> tuple[int, int, int, int]:
    """Return rank and number of processes, in total and on this machine."""
    environment = os.environ
    if "TORCHELASTIC_RUN_ID" in environment:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        rank, size, local_rank, local_size = (int(environment[name]) for name in names)
        return rank, size, local_rank, local_size
    if int(environment.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        size, machines = (
            int(environment["SLURM_STEP_NUM_TASKS"]),
            int(environment["SLURM_STEP_NUM_NODES"]),
        )
        return (
            int(environment["SLURM_PROCID"]),
            size,
            int(environment["SLURM_LOCALID"]),
            size // machines,
        )
    return 0, 1, 0, 1


@contextmanager
def joined(group: Group) -> Iterator[None]:
    """Connect the processes in the block: by gloo, and their GPUs by NCCL.

    Raises:
        ValueError: if the address of the first process is unknown.
    """
    import torch

    if group.size == 1:
        yield
        return
    if "MASTER_ADDR" not in os.environ:
        raise ValueError(
            "set MASTER_ADDR to the machine of the first process; with Slurm: export MASTER_ADDR="
            '"$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)"'
        )
    os.environ.setdefault("MASTER_PORT", "29500")
    if group.local_rank < torch.cuda.device_count():
        torch.cuda.set_device(group.local_rank)
    torch.distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
        rank=group.rank,
        world_size=group.size,
        timeout=PATIENCE,
    )
    yield
    group.wait()  # do not leave while other processes still need this one
    torch.distributed.destroy_process_group()


def lead(
    job: Job, config: DictConfig, prepare: Callable[[DictConfig], DictConfig] | None = None
) -> float | None:
    """Run the job as the first or only process, and return its result.

    Args:
        job: the job.
        config: the composed configuration.
        prepare: function that changes the configuration before the other processes get it.

    Raises:
        ValueError: if the command is a sweep of several processes.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    group = launched()
    if group.size > 1 and HydraConfig.get().mode == RunMode.MULTIRUN:
        raise ValueError("a sweep (-m) needs a single process; remove torchrun or -m")
    folder = Path(HydraConfig.get().runtime.output_dir)
    with joined(group):
        if prepare is not None:
            config = prepare(config)
        if group.size > 1:
            group.from_first((plain(config), folder))
        return job(config, folder, group)


def follow(job: Job) -> None:
    """Run the job as another process, with configuration and folder from the first one."""
    if PRINTING & {argument.partition("=")[0] for argument in sys.argv[1:]}:
        return  # only the first process prints, and it does not connect
    listen()
    group = launched()
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    logging.basicConfig(level=logging.ERROR, format=f"[process {group.rank}] %(message)s")
    debug = False
    try:
        with joined(group):
            config, folder = group.from_first((dict[str, Any](), Path()))
            debug = config["debug"]
            job(OmegaConf.create(config), folder, group)
    except Exception as error:
        if debug or not mendable(error):
            raise
        time.sleep(WORD_TO_THE_FIRST)
        print(f"error in process {group.rank}: {error}", file=sys.stderr)
        raise SystemExit(1) from error


def check_devices(trainer: DictConfig, group: Group) -> None:
    """Check that the number of devices is the number of started processes.

    Raises:
        ValueError: with the right command.
    """
    if group.size > 1 and trainer.get("strategy") is None:
        raise ValueError(
            f"the command was started as {group.size} processes, but this trainer uses one; "
            "choose trainer=ddp or trainer=fsdp, or start it without torchrun"
        )
    devices, machines = trainer.devices, trainer.get("num_nodes", "auto")
    per_machine = group.local_size
    if str(devices) not in ("auto", str(per_machine)):
        raise ValueError(
            f"trainer.devices={devices}, but the command was started as {per_machine} "
            f"process{'es' * (per_machine > 1)} on this machine; start one process per device: "
            f"torchrun --nproc-per-node={devices} -m seq2seq.cli.train trainer=ddp …"
        )
    if str(machines) not in ("auto", str(group.size // per_machine)):
        raise ValueError(
            f"trainer.num_nodes={machines}, but the command was started on "
            f"{group.size // per_machine}; start torchrun or srun on all of them (docs/scaling.md)"
        )
