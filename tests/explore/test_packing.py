"""Packed weights preserve exact zeros, and which neighbors are equal."""

import base64
import itertools
from collections import Counter

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.explore.packing import JOINED, pack, run_lengths

# Few values, so that equal neighbors are common; some too small for a float16, and two that a
# float16 cannot tell apart.
VALUES = [0.0, 0.0, 1e-30, 3e-9, 1 / 3, 0.2, 0.2 + 1e-7, 0.5, 1.0]
rows = st.integers(1, 8).flatmap(
    lambda length: st.lists(
        st.lists(st.sampled_from(VALUES), min_size=length, max_size=length), min_size=1, max_size=5
    )
)


def unpacked(weights: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Values and joined bits, as the page reads them."""
    words = np.frombuffer(base64.b64decode(pack(weights)), "<u2").reshape(weights.shape)
    values = (words & ~np.uint16(JOINED)).view(np.float16).astype(float)
    return values, words >= JOINED


@given(rows)
def test_zeros_and_equal_neighbors_are_exact_and_the_rest_is_near(drawn: list[list[float]]) -> None:
    weights = torch.tensor(drawn, dtype=torch.float32)
    values, joined = unpacked(weights)
    exact = weights.numpy()
    assert ((values == 0) == (exact == 0)).all()
    np.testing.assert_allclose(values, exact, rtol=2**-11, atol=2**-24)
    assert not joined[:, 0].any()
    for row, column in itertools.product(range(exact.shape[0]), range(1, exact.shape[1])):
        here, left = exact[row, column], exact[row, column - 1]
        assert joined[row, column] == (here == left and here != 0)


@given(rows)
def test_runs_are_maximal_stretches_of_equal_weights(drawn: list[list[float]]) -> None:
    weights = torch.tensor(drawn, dtype=torch.float32)
    stretches = (
        len(list(group))
        for row in weights.tolist()
        for value, group in itertools.groupby(row)
        if value
    )
    assert run_lengths(weights) == Counter(stretches)


def test_runs_do_not_cross_rows_heads_and_layers() -> None:
    weights = torch.full((2, 3, 4, 5), 0.2)
    assert run_lengths(weights) == {5: 24}
