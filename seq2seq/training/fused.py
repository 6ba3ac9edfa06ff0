"""The optimizer, in the kind that fits the device."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from torch.optim import SGD, Adam, AdamW, Optimizer

#: Arguments by which a user chooses the kind.
KINDS = {"fused", "foreach", "capturable", "differentiable"}


def build_optimizer(build: Callable[..., Optimizer], groups: list[Any], scaled: bool) -> Optimizer:
    """The optimizer of some parameters: fused on a GPU, unless the user chose another kind.

    A fused one is the fastest, and can pass over an update without waiting for the GPU.

    Args:
        build: makes it, given parameters or groups of them.
        groups: what it is given.
        scaled: whether the loss is scaled, as with ``16-mixed``.

    Raises:
        ValueError: if it is fused and the loss is scaled: it would clip scaled gradients.
    """
    optimizer = build(groups)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    if not scaled and all(p.is_cuda for p in parameters) and _may_be_fused(build):
        return build(groups, fused=True)
    if scaled and any(group.get("fused") for group in optimizer.param_groups):
        raise ValueError(
            "optimizer.fused=true would clip the scaled gradients of trainer.precision=16-mixed; "
            "take it away, or use bf16-mixed"
        )
    return optimizer


def _may_be_fused(build: Callable[..., Optimizer]) -> bool:
    """Whether there is the choice on a GPU, and the user has not made it."""
    if not isinstance(build, functools.partial) or build.func not in (Adam, AdamW, SGD):
        return False
    return not KINDS & {*build.keywords}
