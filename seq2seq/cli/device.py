"""The ``device=`` of the commands."""

from __future__ import annotations

import torch

from seq2seq.system.processes import ALONE, Group


def choose_device(name: str, group: Group = ALONE) -> torch.device:
    """``auto`` is the first CUDA device, or the CPU without one; other names are PyTorch's.

    Of a group, ``auto`` and ``cuda`` are each process's own CUDA device.

    Raises:
        ValueError: if the name is unknown or the device is not there.
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
            f"device={name}: this machine has {torch.cuda.device_count()} CUDA devices"
        )
    return device
