"""How far weights can be from the argmax, proved from the optimality conditions, without a solver.

If y meets the conditions for scores x + e in place of x, it is the argmax there; as every Ω here is
μ-strongly convex, ‖y − Π(x)‖ ≤ ‖e‖/μ. Each bound below constructs such an e and returns its size.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float64]


def simplex_defect(y: Row) -> float:
    """How far y is from the simplex."""
    return float(abs(y.sum() - 1) + np.maximum(-y, 0).sum())


def smooth_bound(x: Row, y: Row, gradient: Row) -> float:
    """For Ω differentiable at y: x − ∇Ω(y) is constant on the support and no larger elsewhere."""
    slack = x - gradient
    tau = slack[y > 0].mean()
    error = np.where(y > 0, slack - tau, np.maximum(slack - tau, 0))
    return float(np.abs(error).sum()) + simplex_defect(y)


def fused_bound(x: Row, y: Row, lam: float) -> float:
    """For ½‖y‖² + λTV(y): build the dual path u, |u| ≤ λ, with u = ±λ where y rises or falls."""
    length = len(x)
    rise = np.sign(np.diff(y))
    edge = np.concatenate([[0.0], lam * rise, [0.0]])  # u wherever it is determined
    support = y > 0
    # x_i − y_i + u_{i+1} − u_i = τ on the support, summed over it: inside runs, u cancels.
    tau = ((x - y)[support].sum() + (edge[1:] - edge[:-1])[support].sum()) / support.sum()
    u, defect = 0.0, 0.0
    for i in range(length):
        free = tau - x[i] + y[i] + u
        last = i + 1 == length
        low, high = (0.0, 0.0) if last else (-lam, lam)
        if not last and rise[i] != 0:
            low = high = lam * rise[i]
        wanted = free if support[i] else min(free, high)  # off the support there is slack downwards
        u = min(max(wanted, low), high)
        defect += abs(u - wanted)
    return defect + simplex_defect(y)


def oscar_bound(x: Row, y: Row, lam: float) -> float:
    """For ½‖y‖² + λΣ_k (d − k)·y_(k): in each group of equal y, the leading sums stay below 0."""
    length = len(x)
    order = np.lexsort((-x, -y))
    x, y = x[order], y[order]
    slack = x - lam * (length - 1 - np.arange(length)) - y
    support = y > 0
    tau = slack[support].mean()
    borders = [0, *(np.flatnonzero(np.diff(y)) + 1), length]
    defect = 0.0
    for start, end in pairwise(borders):
        sums = np.cumsum(slack[start:end] - tau)
        defect += max(0.0, float(sums.max()))
        if y[start] > 0:
            defect += abs(float(sums[-1]))
    return 2 * defect + simplex_defect(y)
