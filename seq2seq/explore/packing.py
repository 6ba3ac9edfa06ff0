"""Pack attention weights into two bytes each, which preserve exact zeros and exact equality.

A page has hundreds of thousands of weights. It must show exactly which of them are 0, and which are
equal to their neighbors. A weight is stored as a float16, which needs no sign. Its sign bit is set
if the weight is not 0 and exactly equal to the weight before it.
"""

from __future__ import annotations

import base64
from collections import Counter

import numpy as np
from torch import Tensor

JOINED = 0x8000
SMALLEST = 2.0**-24  # the smallest positive float16


def pack(weights: Tensor) -> str:
    """Return base64 of little-endian 16-bit words, for weights ``[..., length]`` in C order.

    Weights are rounded to float16, with an error of at most 1/2048 of the weight. Positive weights
    below ``SMALLEST`` become ``SMALLEST``, so that only an exact 0 is read as 0.
    """
    exact = weights.detach().cpu().numpy()
    half = np.where(exact > 0, np.maximum(exact, SMALLEST), 0.0).astype(np.float16)
    words = half.view(np.uint16)
    words[..., 1:] |= np.where(_joined(exact), JOINED, 0).astype(np.uint16)
    return base64.b64encode(words.astype("<u2").tobytes()).decode("ascii")


def run_lengths(weights: Tensor) -> Counter[int]:
    """Count fused runs by length: the longest spans of equal weights that are not 0.

    Args:
        weights: weights ``[..., length]``.
    """
    exact = weights.detach().cpu().numpy()
    exact = exact.reshape(-1, exact.shape[-1])
    inside = exact > 0
    begins = inside.copy()
    begins[:, 1:] &= ~_joined(exact)
    # The rows are concatenated. Runs do not cross them, because each row begins a new run.
    places = np.flatnonzero(inside)
    firsts = np.flatnonzero(begins)
    runs = np.searchsorted(firsts, places, side="right")
    return Counter(np.bincount(runs)[1:].tolist()) if len(firsts) else Counter()


def _joined(exact: np.ndarray) -> np.ndarray:
    """Return a mask ``[..., length − 1]``: True if a weight is that before it, and is not 0."""
    return (exact[..., 1:] == exact[..., :-1]) & (exact[..., 1:] > 0)
