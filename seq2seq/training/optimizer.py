"""Build the optimizer, fused on a GPU."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from torch.optim import SGD, Adam, AdamW, Optimizer

#: Arguments of an optimizer that choose its implementation.
KINDS = {"fused", "foreach", "capturable", "differentiable"}


def build_optimizer(build: Callable[..., Optimizer], groups: list[Any], scaled: bool) -> Optimizer:
    """Return the optimizer: fused on a GPU, unless the user chose another implementation.

    A fused optimizer is the fastest and can skip an update without synchronising with the GPU.

    Args:
        build: builds the optimizer from parameters or parameter groups.
        groups: the parameters or parameter groups.
        scaled: whether the loss is scaled, as with ``16-mixed``.

    Raises:
        ValueError: if the optimizer is fused and the loss is scaled, because training would then
            clip scaled gradients.
    """
    optimizer = build(groups)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    if not scaled and all(p.is_cuda for p in parameters) and _may_be_fused(build):
        return build(groups, fused=True)
    if scaled and any(group.get("fused") for group in optimizer.param_groups):
        raise ValueError(
            "optimizer.fused=true does not work with trainer.precision=16-mixed, because training "
            "would clip the scaled gradients. Remove optimizer.fused or use "
            "trainer.precision=bf16-mixed"
        )
    return optimizer


def _may_be_fused(build: Callable[..., Optimizer]) -> bool:
    """Return True if the optimizer has a fused version and the user chose no implementation."""
    if not isinstance(build, functools.partial) or build.func not in (Adam, AdamW, SGD):
        return False
    return not KINDS & {*build.keywords}
