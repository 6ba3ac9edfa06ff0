"""The mappings as graphs of plain PyTorch operations, which load without this package.

By default, ``torch.export`` records a mapping as one operator of this package. Inside
:func:`tracing` it records the operations of the reference instead. A loop whose number of rounds
depends on the values becomes one node, PyTorch's ``while_loop``. Where a sort can replace a loop,
the reference sorts.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor

from seq2seq.system.torch_internals import while_loop

State = tuple[Tensor, ...]
_active = False


@contextmanager
def tracing() -> Iterator[None]:
    """Make ``torch.export`` record the operations of mappings inside this context."""
    global _active
    before, _active = _active, True
    try:
        yield
    finally:
        _active = before


def active() -> bool:
    """Return True inside of :func:`tracing`."""
    return _active


def repeated(
    going: Callable[..., Tensor], body: Callable[..., State], state: State, most: int | None = None
) -> State:
    """Run ``while going(*state): state = body(*state)`` for at most ``most`` rounds.

    Args:
        going: returns one bool tensor for a state.
        body: returns the next state, with the same shapes and types.
        state: the first state.
        most: the maximum number of rounds; None for no limit.
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
    count = state[0].new_zeros(()).long()
    limit = 2**62 if most is None else most

    def condition(count: Tensor, *state: Tensor) -> Tensor:
        return (count < limit) & going(*state)

    def counted(count: Tensor, *state: Tensor) -> State:
        return (count + 1, *body(*state))

    # ``while_loop`` forbids returning an input tensor, and passing a tensor twice, so clone them.
    return tuple(while_loop(condition, counted, (count, *(part.clone() for part in state))))[1:]
