"""Random numbers computed from a key and a counter, independent of what was drawn before."""

import torch
from torch import Tensor


def keys(seed: int, source: Tensor, source_lengths: Tensor) -> Tensor:
    """Return a 64-bit number for each source ``[batch, source_length]``.

    It depends only on the seed and the ids of the source without padding.
    """
    state = _mix(torch.full_like(source_lengths, seed))
    for position, ids in enumerate(source.unbind(1)):
        state = torch.where(position < source_lengths, _mix(state ^ ids), state)
    return state


def fork(keys: Tensor, number: int) -> Tensor:
    """Derive ``number`` keys from each key: ``[n]`` → ``[n · number]``, consecutive per key."""
    return _mix(keys[:, None] ^ torch.arange(number, device=keys.device)).flatten()


def uniform(keys: Tensor, counter: int) -> Tensor:
    """Return a float64 number in (0, 1) for each key; it also depends on ``counter``."""
    bits = _shift(_mix(keys ^ counter), 11)
    return (bits.double() + 0.5) * 2.0**-53


def _mix(state: Tensor) -> Tensor:
    """Apply SplitMix64 (Steele et al. 2014), in two's complement."""
    state = state - 0x61C8864680B583EB  # + 0x9E3779B97F4A7C15
    state = (state ^ _shift(state, 30)) * -0x40A7B892E31B1A47  # 0xBF58476D1CE4E5B9
    state = (state ^ _shift(state, 27)) * -0x6B2FB644ECCEEE15  # 0x94D049BB133111EB
    return state ^ _shift(state, 31)


def _shift(state: Tensor, bits: int) -> Tensor:
    """Shift to the right and fill with zeros (a logical shift)."""
    return (state >> bits) & ((1 << (64 - bits)) - 1)
