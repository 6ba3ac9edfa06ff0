"""A command as several processes: started by torchrun or Slurm's srun, working as one.

The first process reads the command line and tells the others; it alone writes and talks.
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
from seq2seq.cli.importing import quick_imports
from seq2seq.cli.interruption import listen, stop_with_launcher

if TYPE_CHECKING:
    from seq2seq.system.processes import Group

    Job = Callable[[DictConfig, Path, Group], None]

PATIENCE = timedelta(hours=2)  # the first process may prepare a large corpus while others wait
WORD_TO_THE_FIRST = 3.0  # seconds: what all have to say is said once, the launcher ends the others


def leads() -> bool:
    """Whether this process reads the command line."""
    return _numbers()[0] == 0


def launched() -> Group:
    """This process among those that torchrun or srun started; alone without them.

    Raises:
        ValueError: if machines run different numbers of processes.
    """
    with quick_imports():  # of PyTorch, for all that follows
        from seq2seq.system.processes import Group

    group = Group(*_numbers())
    if "TORCHELASTIC_RUN_ID" in os.environ:
        stop_with_launcher()
    if group.size % group.local_size:
        raise ValueError(
            f"{group.size} processes do not share out evenly over machines of {group.local_size}: "
            "start equally many on each"
        )
    return group


def _numbers() -> tuple[int, int, int, int]:
    """Rank and number of processes, in all and on this machine."""
    given = os.environ
    if "TORCHELASTIC_RUN_ID" in given:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        rank, size, local_rank, local_size = (int(given[name]) for name in names)
        return rank, size, local_rank, local_size
    if int(given.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        size, machines = int(given["SLURM_STEP_NUM_TASKS"]), int(given["SLURM_STEP_NUM_NODES"])
        return int(given["SLURM_PROCID"]), size, int(given["SLURM_LOCALID"]), size // machines
    return 0, 1, 0, 1


@contextmanager
def joined(group: Group) -> Iterator[None]:
    """The processes can talk to each other in the block: by gloo, their GPUs by NCCL.

    Raises:
        ValueError: if nobody says where the first process is.
    """
    import torch

    if group.size == 1:
        yield
        return
    if "MASTER_ADDR" not in os.environ:
        raise ValueError(
            "MASTER_ADDR names the machine of the first process; under Slurm: export MASTER_ADDR="
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
    group.wait()  # nobody leaves while others still need it
    torch.distributed.destroy_process_group()


def lead(
    job: Job, config: DictConfig, prepare: Callable[[DictConfig], DictConfig] | None = None
) -> None:
    """Do the job as the first process, which has the configuration, or the only one.

    Args:
        job: what to do.
        config: composed.
        prepare: changes the configuration before the other processes get it.

    Raises:
        ValueError: for a sweep, whose runs have to be started one by one.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    group = launched()
    if group.size > 1 and HydraConfig.get().mode == RunMode.MULTIRUN:
        raise ValueError("a sweep (-m) starts its runs from one process: leave torchrun or -m out")
    folder = Path(HydraConfig.get().runtime.output_dir)
    with joined(group):
        if prepare is not None:
            config = prepare(config)
        if group.size > 1:
            group.from_first((plain(config), folder))
        job(config, folder, group)


#: Hydra's options that print something and start nothing.
_ONLY_TELLING = {"--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i"}
_ONLY_TELLING |= {"--shell-completion", "-sc"}


def follow(job: Job) -> None:
    """Do the job as one of the other processes: configuration and folder come from the first."""
    if _ONLY_TELLING & {argument.partition("=")[0] for argument in sys.argv[1:]}:
        return  # the first process tells it, and joins nobody
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
    """Refuse to train on other devices than processes were started for.

    Raises:
        ValueError: with the command to type.
    """
    if group.size > 1 and trainer.get("strategy") is None:
        raise ValueError(
            f"the command was started as {group.size} processes, which one device does not need: "
            "choose trainer=ddp or trainer=fsdp, or start it without torchrun"
        )
    devices, machines = trainer.devices, trainer.get("num_nodes", "auto")
    per_machine = group.local_size
    if str(devices) not in ("auto", str(per_machine)):
        raise ValueError(
            f"trainer.devices={devices}, but the command was started as {per_machine} "
            f"process{'es' * (per_machine > 1)} on this machine; a device needs a process of its "
            f"own: torchrun --nproc-per-node={devices} -m seq2seq.cli.train trainer=ddp …"
        )
    if str(machines) not in ("auto", str(group.size // per_machine)):
        raise ValueError(
            f"trainer.num_nodes={machines}, but the command was started on "
            f"{group.size // per_machine}: start torchrun or srun on all of them (docs/scaling.md)"
        )
