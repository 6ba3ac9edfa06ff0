"""When a beam search is done with a sentence."""

from collections.abc import Callable

import torch
from torch import Tensor


def exact(reachable: Tensor, last: Tensor) -> Tensor:
    """Go on as long as a live hypothesis may reach a better score than the last one needed."""
    return reachable > last


def first(reachable: Tensor, last: Tensor) -> Tensor:
    """Go on until as many have finished as are needed."""
    return (last == -torch.inf) & (reachable > -torch.inf)


def never(reachable: Tensor, last: Tensor) -> Tensor:
    """Go on as long as there are live hypotheses."""
    return reachable > -torch.inf


#: ``(reachable, last)`` → whether to go on: the best score that a live hypothesis may come to, −inf
#: if there is none, and that of the ``n_best``-th finished one, −inf if there are fewer.
STOPPING: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "exact": exact,
    "first": first,
    "never": never,
}
