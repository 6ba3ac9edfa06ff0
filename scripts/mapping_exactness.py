"""How exact the mappings are: the largest errors of weights and of J·v against exact solutions.

The solutions share no code with the package. Sparsemax, fusedmax and oscarmax are computed in
rational numbers, and their optimality conditions are then checked with no tolerance at all; the
others are roots found in 30 digits. J·v is a difference of two such solutions, so it needs no
formula; where those on the two sides of x differ, x is at a kink, and its J·v is not compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import torch
from mpmath import mp, mpf
from torch import Tensor

Row = list[Any]  # of Fraction or mpf
Solver = Callable[[Row], Row]
LENGTH = 16
STEP = Fraction(1, 2**34)  # of the differences: far below what decides a support
SIDES = 1e4 * (-1) ** torch.arange(LENGTH)
SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "N(0, 1)": lambda x: x,
    "0.1·N(0, 1)": lambda x: 0.1 * x,
    "N(0, 1) + 10⁴": lambda x: x + 1e4,
    "N(0, 1) − 10⁴": lambda x: x - 1e4,
    "N(0, 1) ± 10⁴": lambda x: x + SIDES,
    "10⁴·N(0, 1)": lambda x: 1e4 * x,
}


def simplex(x: Row) -> Row:
    """Compute the projection: τ is the maximum over the numbers of leading scores."""
    ordered = sorted(x, reverse=True)
    total, tau = Fraction(-1), None
    for count, value in enumerate(ordered, 1):
        total += value
        if value * count > total:
            tau = total / count
    assert tau is not None
    y = [max(value - tau, Fraction(0)) for value in x]
    assert sum(y) == 1
    return y


def fusedmax(x: Row, lam: Fraction) -> Row:
    """P_Δ of the pieces of the taut string, split where it is violated most."""

    def pieces(start: int, end: int, left: Fraction, right: Fraction) -> Row:
        """Compute the string over a span; its ends differ from the sums by ``left``, ``right``."""
        slope = (sum(x[start:end]) + right - left) / (end - start)
        gap, worst, knot = left, Fraction(0), None
        for i in range(start, end - 1):
            gap += slope - x[i]  # string less sum
            if abs(gap) - lam > worst:
                worst, knot = abs(gap) - lam, (i + 1, lam if gap > 0 else -lam)
        if knot is None:
            return [slope] * (end - start)
        return pieces(start, knot[0], left, knot[1]) + pieces(knot[0], end, knot[1], right)

    y = simplex(pieces(0, len(x), Fraction(0), Fraction(0)))
    _certify_fused(x, y, lam)
    return y


def _certify_fused(x: Row, y: Row, lam: Fraction) -> None:
    """Find a dual path |u| ≤ λ, u = ±λ where y jumps; x − y + Δu = τ on the support, else ≤ τ."""
    rises = [(b > a) - (b < a) for a, b in pairwise(y)]
    edges = [Fraction(0), *(lam * r for r in rises), Fraction(0)]
    inside = [i for i in range(len(x)) if y[i] > 0]
    tau = sum(x[i] - y[i] + edges[i + 1] - edges[i] for i in inside) / len(inside)
    u = Fraction(0)
    for i in range(len(x)):
        most = tau - x[i] + y[i] + u
        low, high = (-lam, lam) if i + 1 < len(x) else (Fraction(0), Fraction(0))
        if i + 1 < len(x) and rises[i]:
            low = high = lam * rises[i]
        u = most if y[i] > 0 else min(most, high)
        assert low <= u <= high, "the exact fusedmax is not optimal"


def oscarmax(x: Row, lam: Fraction) -> Row:
    """P_Δ of the pooled x_(k) + λk, unsorted; within a pool, leading sums stay below its mean."""
    order = sorted(range(len(x)), key=lambda i: -x[i])
    z = [x[i] + lam * k for k, i in enumerate(order)]
    pools: list[list[int]] = []

    def mean(pool: list[int]) -> Fraction:
        return sum((z[k] for k in pool), Fraction(0)) / len(pool)

    for k in range(len(z)):
        pools.append([k])
        while len(pools) > 1 and mean(pools[-2]) <= mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    fitted = [Fraction(0)] * len(x)
    for pool in pools:
        leading = Fraction(0)
        for k in pool:
            fitted[order[k]] = mean(pool)
            leading += z[k] - mean(pool)
            assert leading <= 0, "the exact oscarmax is not optimal"
        assert leading == 0
    return simplex(fitted)


def softmax(x: Row) -> Row:
    """exp(x − max) / Σ exp(x − max)."""
    top = max(x)
    exponentials = [mp.exp(_real(value - top)) for value in x]
    return [value / sum(exponentials) for value in exponentials]


def thresholded(
    x: Row, power: Any, scale: Any, excess: Callable[[Row], Any], low: Any, high: Any
) -> Row:
    """(scale·(x − max x) − τ)_+^power, normalized; ``excess`` of that decreases to 0 at the τ."""
    top = max(x)
    values = [scale * _real(value - top) for value in x]

    def powers(tau: Any) -> Row:
        return [(v - tau) ** power if v > tau else mpf(0) for v in values]

    for _ in range(mp.prec + 2):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(powers(middle)) > 0 else (low, middle)
    z = powers(low)
    return [value / sum(z) for value in z]


def entmax(x: Row, alpha: Any) -> Row:
    """((α − 1)x − τ)_+^{1/(α − 1)} with the sum 1."""
    scale = alpha - 1
    return thresholded(x, 1 / scale, scale, lambda z: sum(z) - 1, mpf(-1), mpf(0))


def sqpnormmax(x: Row, p: Any) -> Row:
    """In proportion to z = (x − τ)_+^{1/(p − 1)} with Σz = ‖z‖_p^{2 − p}."""

    def excess(z: Row) -> Any:
        return sum(z) - sum(v**p for v in z) ** ((2 - p) / p)

    return thresholded(x, 1 / (p - 1), mpf(1), excess, mpf(-1), mpf(0))


def normmax(x: Row, p: Any) -> Row:
    """In proportion to z = (x − τ)_+^{1/(p − 1)} with ‖z‖_p = 1."""
    return thresholded(x, 1 / (p - 1), mpf(1), lambda z: sum(v**p for v in z) - 1, mpf(-1), mpf(0))


SOLVERS: dict[str, Solver] = {
    "softmax": softmax,
    "sparsemax": simplex,
    "entmax15": lambda x: entmax(x, mpf(1.5)),
    "entmax13": lambda x: entmax(x, mpf(1.3)),
    "sqpnormmax": lambda x: sqpnormmax(x, mpf(1.5)),
    "normmax": lambda x: normmax(x, mpf(1.5)),
    "fusedmax": lambda x: fusedmax(x, Fraction(0.1)),
    "oscarmax": lambda x: oscarmax(x, Fraction(0.01)),
}


def errors(
    mappings: dict[str, Callable[[Tensor], Tensor]], rows: int, device: str
) -> list[dict[str, Any]]:
    """Of every mapping, kind of scores and type: the largest errors over a number of rows."""
    found = []
    mp.dps = 40
    for name, function in mappings.items():
        for scores, change in SCORES.items():
            for dtype in (torch.float64, torch.float32):
                generator = torch.Generator().manual_seed(0)
                drawn = torch.randn(2, rows, LENGTH, dtype=torch.float64, generator=generator)
                x, v = change(drawn[0]).to(dtype), drawn[1].to(dtype)
                largest = _largest(SOLVERS[name], function, x, v, device)
                described = {"mapping": name, "scores": scores, "dtype": str(dtype)[6:]}
                found.append({**described, "rows": rows, **largest})
    return found


def _largest(
    solve: Solver, function: Callable[[Tensor], Tensor], x: Tensor, v: Tensor, device: str
) -> dict[str, Any]:
    """Errors of the weights and of J·v."""
    inputs = x.to(device).requires_grad_()
    y = function(inputs)
    (product,) = torch.autograd.grad(y, inputs, v.to(device))
    weights, products, kinks = 0.0, 0.0, 0
    for i in range(len(x)):
        row, vector = ([Fraction(e) for e in t[i].tolist()] for t in (x, v))
        exact, before, after = (solve(_shifted(row, vector, h)) for h in (0, -STEP, STEP))
        weights = max(weights, _distance(y[i].tolist(), exact))
        step = STEP if isinstance(exact[0], Fraction) else _real(STEP)
        left = [(b - a) / step for a, b in zip(before, exact, strict=True)]
        right = [(b - a) / step for a, b in zip(exact, after, strict=True)]
        if max(abs(a - b) for a, b in zip(left, right, strict=True)) > 1e-6:
            kinks += 1
            continue
        central = [(a + b) / 2 for a, b in zip(left, right, strict=True)]
        products = max(products, _distance(product[i].tolist(), central))
    return {"weights": weights, "product": products, "kinks": kinks}


def _shifted(row: Row, vector: Row, step: Fraction | int) -> Row:
    return [a + step * b for a, b in zip(row, vector, strict=True)]


def _distance(found: Sequence[float], exact: Row) -> float:
    exact_type = type(exact[0])
    return max(float(abs(exact_type(a) - b)) for a, b in zip(found, exact, strict=True))


def _real(value: Fraction) -> Any:
    return mpf(value.numerator) / value.denominator
