"""The mappings as graphs of plain PyTorch operations, which load wherever PyTorch does.

``torch.export`` otherwise records a mapping as one operator of this package. Inside :func:`tracing`
it records what the reference does. A loop whose end depends on the numbers is then one node too,
PyTorch's ``while_loop``, and what a loop over a sorted row can do, a sort does.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor

State = tuple[Tensor, ...]
_active = False


@contextmanager
def tracing() -> Iterator[None]:
    """Inside, programs that are exported hold the operations of mappings."""
    global _active
    before, _active = _active, True
    try:
        yield
    finally:
        _active = before


def active() -> bool:
    """Whether inside of :func:`tracing`."""
    return _active


def repeated(
    going: Callable[..., Tensor], body: Callable[..., State], state: State, most: int | None = None
) -> State:
    """``while going(*state): state = body(*state)``, at most so many times.

    Args:
        going: of the state, one bool.
        body: the state after another round, of the same shapes and types.
        state: before the first.
        most: rounds; None for any number.
    """
    if _active:
        return _recorded(going, body, state, most)
    rounds = 0
    while rounds != most and bool(going(*state)):
        state, rounds = body(*state), rounds + 1
    return state


def _recorded(
    going: Callable[..., Tensor], body: Callable[..., State], state: State, most: int | None
) -> State:
    from torch._higher_order_ops.while_loop import while_loop

    count = state[0].new_zeros(()).long()
    limit = 2**62 if most is None else most

    def still(count: Tensor, *state: Tensor) -> Tensor:
        return (count < limit) & going(*state)

    def once(count: Tensor, *state: Tensor) -> State:
        return (count + 1, *body(*state))

    # Which may not hand back what they were given, nor be given one tensor twice.
    return tuple(while_loop(still, once, (count, *(part.clone() for part in state))))[1:]
