"""The operators where :func:`seq2seq.mappings.tracing.tracing` asks for plain operations.

The references of most mappings can be recorded as they are. Those of fusedmax and oscarmax put the
positions of all rows in a line and drop what cannot count, so that shapes depend on the numbers;
here they have their rows, and what they drop is a sequence of its own.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seq2seq.mappings import simplex
from seq2seq.mappings.domain import is_number
from seq2seq.mappings.fusedmax import TotalVariation
from seq2seq.mappings.implementations import Call
from seq2seq.mappings.operators import FORMS
from seq2seq.mappings.oscarmax import Oscar
from seq2seq.mappings.rows import as_rows
from seq2seq.mappings.sparsemax import SquaredNorm
from seq2seq.mappings.tracing import repeated


def weights(x: Tensor, mask: Any, gammas: Any, thetas: Any, call: Call) -> Tensor:
    """Π(x; γ, θ) in plain operations, without its derivatives."""
    omega, gamma = call.laid_out(x.dtype)
    if isinstance(gamma, Tensor):
        gamma = gamma.reshape(*x.shape[:-1], 1)
    if mask is not None:
        # Before x is flattened: the strides of a flattened mask depend on sizes in ways that the
        # exporter cannot tell.
        x = x.masked_fill(~mask, -torch.inf)
    rows = as_rows(x, None, -1, gamma)
    argmax = ARGMAX.get(omega.name)
    if argmax is None:
        return rows.restore(omega.argmax(rows.values, rows.valid))
    return rows.restore(argmax(omega, rows.values, rows.valid))


def fusedmax(omega: TotalVariation, values: Tensor, valid: Tensor) -> Tensor:
    """P_Δ(prox_{λTV}(x)): see the reference.

    The valid positions of a row come first, in their order. Values below −1 − 4λ, which cannot be
    in the support, are raised to it. That changes no prox above −1 − 2λ: at such a height, to lie
    2λ below is as good as any depth, as fusion with two neighbors is worth no more.
    """
    if is_number(omega.lam, 0):
        return SquaredNorm().argmax(values, valid)
    lam = _column(omega.lam, values)
    place = torch.ones_like(valid).cumsum(-1)
    order = place.where(valid, place + place[:, -1:]).sort(-1).indices
    x = torch.maximum(values.double(), -1 - 4 * lam).gather(-1, order)
    real = valid.gather(-1, order)
    prox = taut_rows(x.masked_fill(~real, 0.0), _starts(real), lam, lam)
    prox = torch.zeros_like(prox).scatter(-1, order, prox.masked_fill(~real, -torch.inf))
    return simplex.project(prox).to(values.dtype)


def oscarmax(omega: Oscar, values: Tensor, valid: Tensor) -> Tensor:
    """P_Δ of the non-increasing isotonic regression of x_(k) + λk, unsorted: see the reference."""
    if is_number(omega.lam, 0):
        return SquaredNorm().argmax(values, valid)
    lam = _column(omega.lam, values)
    descending, order = values.double().sort(-1, descending=True)
    near = descending >= -1 - lam * (valid.sum(-1, keepdim=True) - 1)
    rank = torch.ones_like(descending).cumsum(-1) - 1
    x = torch.where(near, descending + lam * rank, 0.0)
    regressed = taut_rows(x, _starts(near), torch.zeros_like(lam), torch.full_like(lam, torch.inf))
    regressed = regressed.masked_fill(~near, -torch.inf)
    unsorted = torch.zeros_like(regressed).scatter(-1, order, regressed)
    return simplex.project(unsorted).to(values.dtype)


ARGMAX: dict[str, Callable[[Any, Tensor, Tensor], Tensor]] = {
    "fusedmax": fusedmax,
    "oscarmax": oscarmax,
}


def taut_rows(values: Tensor, starts: Tensor, below: Tensor, above: Tensor) -> Tensor:
    """What ``taut_string`` does, on ``[rows, length]`` of sequences, which begin at ``starts``.

    ``below`` and ``above`` are ``[rows, 1]``.
    """
    size = values.abs().amax(-1, keepdim=True)
    epsilon = torch.finfo(values.dtype).eps
    width = simplex.width(values)

    def drawn(values: Tensor, knots: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Slopes of the chords, how far S lies above them, and what counts as nothing."""
        slopes = _piece_means(values, knots)
        deviation = (values - slopes).cumsum(-1)
        reach = torch.maximum(size, deviation.abs().amax(-1, keepdim=True))
        return slopes, deviation, epsilon * width * reach

    def split(values: Tensor, knots: Tensor, going: Tensor) -> tuple[Tensor, ...]:
        _, deviation, tolerance = drawn(values, knots)
        violation = torch.maximum(deviation - below, -deviation - above)
        violation = violation.masked_fill(_before(knots), -torch.inf)
        piece = knots.long().cumsum(-1) - 1
        largest = torch.full_like(violation, -torch.inf).scatter_reduce(
            -1, piece, violation, "amax"
        )
        knot = (violation > tolerance) & (violation == largest.gather(-1, piece))
        offset = torch.where(deviation > 0, -below, above).masked_fill(~knot, 0.0)
        return values + offset - _after(offset), knots | _after(knot), knot.any()

    def going(values: Tensor, knots: Tensor, going: Tensor) -> Tensor:
        return going.any()

    first = (values, starts, torch.ones_like(starts).any())
    values, knots, _ = repeated(going, split, first)
    slopes, _, tolerance = drawn(values, knots)
    straight = (slopes - _after(slopes)).abs() <= tolerance
    return _piece_means(values, starts | (knots & ~straight))


def _piece_means(values: Tensor, knots: Tensor) -> Tensor:
    """The mean of ``values`` over each piece, which begins at a knot, at its positions."""
    piece = knots.long().cumsum(-1) - 1
    total = torch.zeros_like(values).scatter_add(-1, piece, values)
    count = torch.zeros_like(values).scatter_add(-1, piece, torch.ones_like(values))
    return total.gather(-1, piece) / count.gather(-1, piece)


def _after(x: Tensor) -> Tensor:
    """Each value one place to the right, 0 or False in front."""
    return F.pad(x, (1, 0))[:, :-1]


def _before(x: Tensor) -> Tensor:
    """Each value one place to the left, True at the end."""
    return F.pad(x, (0, 1), value=True)[:, 1:]


def _starts(first: Tensor) -> Tensor:
    """Where the positions that come first begin, and where the others do."""
    return (_after(first) != first) | (torch.ones_like(first).cumsum(-1) == 1)


def _column(theta: float | Tensor, values: Tensor) -> Tensor:
    """θ as ``[rows, 1]`` float64."""
    if isinstance(theta, Tensor):
        return theta.double()
    return torch.full_like(values[:, :1], theta, dtype=torch.float64)


def maximum(x: Tensor, mask: Any, gammas: Any, thetas: Any, call: Call) -> Tensor:
    """The smoothed max, which no exported program asks for: one operator of this package."""
    return FORMS["registered"]["maximum"](x, mask, gammas, thetas, call)


FORMS["traced"] = {"weights": weights, "maximum": maximum}
