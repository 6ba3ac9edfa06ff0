"""Choose the device of a model by the name that a user gives."""

from __future__ import annotations

import torch

from seq2seq.system.processes import ALONE, Group


def choose_device(name: str, group: Group = ALONE) -> torch.device:
    """Return a device by name; ``auto`` is the first CUDA device, or the CPU without CUDA.

    In a group of processes, ``auto`` and ``cuda`` are the CUDA device of this process.

    Raises:
        ValueError: if the name is unknown, or the device does not exist.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and group.size > 1:
        name = f"cuda:{group.local_rank}"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device={name}: choose auto, cpu, cuda or cuda:<number>") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device={name}: this machine has {torch.cuda.device_count()} CUDA devices; choose "
            "another device"
        )
    return device
