"""Attention weights in two bytes each, in which exact zeros and exact equality survive.

A page holds hundreds of thousands of weights, and what matters in them is exact: that a weight is
0, and that neighbors are equal. A weight is written as a float16, which needs no sign; the bit of
the sign says that the weight is not 0 and exactly equal to that of the position before it.
"""

from __future__ import annotations

import base64
from collections import Counter

import numpy as np
from torch import Tensor

JOINED = 0x8000
SMALLEST = 2.0**-24  # the smallest positive float16


def pack(weights: Tensor) -> str:
    """``[..., length]`` non-negative → base64 of little-endian 16-bit words, in C order.

    Weights are rounded to float16, whose error is at most 1/2048 of the weight; those below
    ``SMALLEST`` are written as it, so that only an exact 0 is read as 0.
    """
    exact = weights.detach().cpu().numpy()
    half = np.where(exact > 0, np.maximum(exact, SMALLEST), 0.0).astype(np.float16)
    words = half.view(np.uint16)
    words[..., 1:] |= np.where(_joined(exact), JOINED, 0).astype(np.uint16)
    return base64.b64encode(words.astype("<u2").tobytes()).decode("ascii")


def run_lengths(weights: Tensor) -> Counter[int]:
    """How many fused runs of each length: maximal stretches of equal weights that are not 0.

    Args:
        weights: ``[..., length]``.
    """
    exact = weights.detach().cpu().numpy()
    exact = exact.reshape(-1, exact.shape[-1])
    inside = exact > 0
    begins = inside.copy()
    begins[:, 1:] &= ~_joined(exact)
    places = np.flatnonzero(inside)  # of one row after the other: runs never cross rows,
    firsts = np.flatnonzero(begins)  # since the first position of a row begins one
    runs = np.searchsorted(firsts, places, side="right")
    return Counter(np.bincount(runs)[1:].tolist()) if len(firsts) else Counter()


def _joined(exact: np.ndarray) -> np.ndarray:
    """``[..., length − 1]`` bool: the weight is that of the position before it, and not 0."""
    return (exact[..., 1:] == exact[..., :-1]) & (exact[..., 1:] > 0)
