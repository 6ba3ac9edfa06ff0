"""Fusedmax and oscarmax as their authors published them, so that they can still be measured.

`torchsparseattn` 0.2 imports, but PyTorch refuses to run its legacy autograd functions. Here its
base class, a loop over rows in Python, is ported to a static function, which calls the package's
own compiled functions of one row. It builds from source only, where NumPy and Cython are found:

    pip install numpy cython setuptools && pip install --no-build-isolation torchsparseattn

Without it, the recipe of the paper is followed by functions of our own, compiled by numba where it
is installed. `SOURCE` says which of the two is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Values = NDArray[Any]
compiled: Callable[[Any], Any]
try:
    import numba

    compiled = numba.njit
    COMPILER = "numba"
except ImportError:
    compiled = lambda function: function  # noqa: E731
    COMPILER = "plain Python"

try:
    import torchsparseattn as package

    SOURCE = f"torchsparseattn {version('torchsparseattn')}, its base class ported"
except ImportError:
    package = None
    SOURCE = f"the published recipe, rewritten ({COMPILER}): torchsparseattn is not installed"


@dataclass(frozen=True)
class Projection:
    """A projection of one row, and its Jacobian–vector product at the row it gave."""

    project: Callable[[Tensor], Tensor]
    product: Callable[[Tensor, Tensor], Tensor]  # (vector, projected)


class _RowByRow(torch.autograd.Function):
    """The published base class: a projection of each row in turn."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, projection: Projection) -> Tensor:
        y = torch.zeros_like(x)
        for i in range(len(x)):
            y[i] = projection.project(x[i])
        ctx.projection = projection
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        vectors = gradients[0].contiguous()
        result = torch.zeros_like(y)
        for i in range(len(y)):
            result[i] = ctx.projection.product(vectors[i], y[i])
        return result, None


def published(
    name: str, lam: float, rewritten: bool = package is None
) -> Callable[[Tensor], Tensor]:
    """Apply the mapping ``name``, fusedmax or oscarmax, to ``[rows, length]`` on the CPU."""
    prox, simplex = (_rewritten if rewritten else _package)(name, lam)
    return lambda x: _RowByRow.apply(_RowByRow.apply(x, prox), simplex)


def _package(name: str, lam: float) -> tuple[Projection, Projection]:
    """Return the package's functions of a row: methods that read only λ from ``self``."""
    prox = {"fusedmax": package.FusedProxFunction, "oscarmax": package.OscarProxFunction}[name]
    own = SimpleNamespace(alpha=lam if name == "fusedmax" else 0, beta=lam)

    def bound(function: Any) -> Projection:
        return Projection(
            lambda x: function.project(own, x), lambda v, y: function.project_jv(own, v, y)
        )

    return bound(prox), bound(package.SparsemaxFunction)


def _rewritten(name: str, lam: float) -> tuple[Projection, Projection]:
    return {"fusedmax": _fused, "oscarmax": _oscar}[name](lam), Projection(_sparsemax, _deviation)


def _fused(lam: float) -> Projection:
    def project(x: Tensor) -> Tensor:
        return torch.from_numpy(total_variation_prox(x.detach().numpy(), lam))

    def product(vector: Tensor, y: Tensor) -> Tensor:
        return torch.from_numpy(_run_means(vector.numpy(), y.numpy()))

    return Projection(project, product)


def _oscar(lam: float) -> Projection:
    """By |x|, clipped at 0, signs put back: the prox of OSCAR, which is not the argmax."""

    def project(x: Tensor) -> Tensor:
        values = x.detach().numpy()
        size = np.abs(values)
        order = np.argsort(size)[::-1]
        charge = (lam * np.arange(len(size) - 1, -1, -1)).astype(size.dtype)
        result = np.empty_like(size)
        result[order] = np.maximum(decreasing_fit(size[order] - charge), 0)
        return torch.from_numpy(np.sign(values) * result)

    def product(vector: Tensor, y: Tensor) -> Tensor:
        sign, size = np.sign(y.numpy()), np.abs(y.numpy())
        _, group, counts = np.unique(size, return_inverse=True, return_counts=True)
        means = np.bincount(group, weights=vector.numpy() * sign) / counts
        return torch.from_numpy((means[group] * sign).astype(size.dtype))

    return Projection(project, product)


def _sparsemax(x: Tensor) -> Tensor:
    ordered = x.sort(descending=True).values
    excess = ordered.cumsum(0) - 1
    count = torch.arange(1, len(x) + 1, dtype=x.dtype)
    last = int((ordered * count > excess).sum()) - 1
    return (x - excess[last] / count[last]).clamp(min=0)


def _deviation(vector: Tensor, y: Tensor) -> Tensor:
    support = y > 0
    result = torch.zeros_like(vector)
    result[support] = vector[support] - vector[support].mean()
    return result


@compiled
def total_variation_prox(y: Values, lam: float) -> Values:
    """Argmin_x ½‖x − y‖² + λΣ|x_{i+1} − x_i| by Condat's direct algorithm (2013)."""
    x, end = np.empty_like(y), len(y) - 1
    now = start = low_end = high_end = 0  # the run begins at start; its two ends, were it cut
    low, high, low_slack, high_slack = y[0] - lam, y[0] + lam, lam, -lam
    while True:
        if now == end:
            if low_slack < 0:  # the run falls before the end
                x[start : low_end + 1] = low
                start = low_end = now = low_end + 1
                low, low_slack = y[now], lam
                high_slack = low + low_slack - high
            elif high_slack > 0:  # it rises
                x[start : high_end + 1] = high
                start = high_end = now = high_end + 1
                high, high_slack = y[now], -lam
                low_slack = high + high_slack - low
            else:
                x[start:] = low + low_slack / (now - start + 1)
                return x
            continue
        low_slack += y[now + 1] - low
        high_slack += y[now + 1] - high
        if low_slack < -lam:
            x[start : low_end + 1] = low
            now = start = low_end = high_end = low_end + 1
            low, high, low_slack, high_slack = y[now], y[now] + 2 * lam, lam, -lam
        elif high_slack > lam:
            x[start : high_end + 1] = high
            now = start = low_end = high_end = high_end + 1
            low, high, low_slack, high_slack = y[now] - 2 * lam, y[now], lam, -lam
        else:
            now += 1
            if low_slack >= lam:
                low_end = now
                low += (low_slack - lam) / (now - start + 1)
                low_slack = lam
            if high_slack <= -lam:
                high_end = now
                high += (high_slack + lam) / (now - start + 1)
                high_slack = -lam


@compiled
def _run_means(vector: Values, y: Values) -> Values:
    """Return the mean of the vector over each run of equal y."""
    result, start = np.empty_like(vector), 0
    for i in range(1, len(y) + 1):
        if i == len(y) or y[i] != y[start]:
            result[start:i] = vector[start:i].sum() / (i - start)
            start = i
    return result


@compiled
def decreasing_fit(y: Values) -> Values:
    """Non-increasing isotonic regression: adjacent violators are pooled."""
    sums, counts, pools = y.copy(), np.ones(len(y), dtype=np.int64), 0
    for value in y:
        sums[pools], counts[pools] = value, 1
        while pools > 0 and sums[pools - 1] * counts[pools] <= sums[pools] * counts[pools - 1]:
            pools -= 1
            sums[pools] += sums[pools + 1]
            counts[pools] += counts[pools + 1]
        pools += 1
    result, start = np.empty_like(y), 0
    for i in range(pools):
        result[start : start + counts[i]] = sums[i] / counts[i]
        start += counts[i]
    return result
