"""Rules for when a beam search stops searching a sentence."""

from collections.abc import Callable

import torch
from torch import Tensor


def exact(reachable: Tensor, last: Tensor) -> Tensor:
    """Continue while a live hypothesis may beat the ``n_best``-th finished one."""
    return reachable > last


def first(reachable: Tensor, last: Tensor) -> Tensor:
    """Continue until ``n_best`` hypotheses have finished."""
    return (last == -torch.inf) & (reachable > -torch.inf)


def never(reachable: Tensor, last: Tensor) -> Tensor:
    """Continue while there are live hypotheses."""
    return reachable > -torch.inf


#: Functions of ``(reachable, last)`` that return whether to continue. ``reachable`` is an upper
#: bound on the scores of live hypotheses, or −inf if no hypothesis is live. ``last`` is the score
#: of the ``n_best``-th finished hypothesis, or −inf if fewer have finished.
STOPPING: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "exact": exact,
    "first": first,
    "never": never,
}
