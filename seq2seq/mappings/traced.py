"""The operators inside :func:`seq2seq.mappings.tracing.tracing`: plain PyTorch operations.

The references of most mappings can be recorded unchanged. Those of fusedmax and oscarmax put the
positions of all rows into one sequence and drop values that cannot be in the support. Their shapes
then depend on the values, which an exporter cannot record. The versions here keep the rows, and put
the dropped values into a sequence of their own.
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
    """Return Π(x; γ, θ) by plain operations, without its derivatives."""
    omega, gamma = call.laid_out(x.dtype)
    if isinstance(gamma, Tensor):
        gamma = gamma.reshape(*x.shape[:-1], 1)
    if mask is not None:
        # Apply the mask before x is flattened, because the exporter cannot express the strides of
        # a flattened mask.
        x = x.masked_fill(~mask, -torch.inf)
    rows = as_rows(x, None, -1, gamma)
    argmax = ARGMAX.get(omega.name)
    if argmax is None:
        return rows.restore(omega.argmax(rows.values, rows.valid))
    return rows.restore(argmax(omega, rows.values, rows.valid))


def fusedmax(omega: TotalVariation, values: Tensor, valid: Tensor) -> Tensor:
    """Return P_Δ(prox_{λTV}(x)) as the reference does.

    The valid positions of a row come first, in their order. Values below −1 − 4λ cannot be in the
    support, so they are raised to −1 − 4λ. That changes no prox above −1 − 2λ. Fusion with two
    neighbors moves a value by at most 2λ, so a value that lies 2λ lower acts the same as any lower
    one.
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
    """Return P_Δ of the non-increasing isotonic regression of x_(k) + λk, unsorted.

    See the reference.
    """
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
    """Compute ``taut_string`` for rows ``[rows, length]`` of sequences, which begin at ``starts``.

    ``below`` and ``above`` are ``[rows, 1]``.
    """
    size = values.abs().amax(-1, keepdim=True)
    epsilon = torch.finfo(values.dtype).eps
    width = simplex.width(values)

    def chords(values: Tensor, knots: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the slopes of the chords, how far S lies above them, and the tolerance."""
        slopes = _piece_means(values, knots)
        deviation = (values - slopes).cumsum(-1)
        reach = torch.maximum(size, deviation.abs().amax(-1, keepdim=True))
        return slopes, deviation, epsilon * width * reach

    def split(values: Tensor, knots: Tensor, going: Tensor) -> tuple[Tensor, ...]:
        _, deviation, tolerance = chords(values, knots)
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
    slopes, _, tolerance = chords(values, knots)
    straight = (slopes - _after(slopes)).abs() <= tolerance
    return _piece_means(values, starts | (knots & ~straight))


def _piece_means(values: Tensor, knots: Tensor) -> Tensor:
    """Return the mean over each piece, at its positions; each piece begins at a knot."""
    piece = knots.long().cumsum(-1) - 1
    total = torch.zeros_like(values).scatter_add(-1, piece, values)
    count = torch.zeros_like(values).scatter_add(-1, piece, torch.ones_like(values))
    return total.gather(-1, piece) / count.gather(-1, piece)


def _after(x: Tensor) -> Tensor:
    """Return the values shifted one place to the right, with 0 or False in front."""
    return F.pad(x, (1, 0))[:, :-1]


def _before(x: Tensor) -> Tensor:
    """Return the values shifted one place to the left, with True at the end."""
    return F.pad(x, (0, 1), value=True)[:, 1:]


def _starts(first: Tensor) -> Tensor:
    """Return True where the first positions begin, and where the remaining ones begin."""
    return (_after(first) != first) | (torch.ones_like(first).cumsum(-1) == 1)


def _column(theta: float | Tensor, values: Tensor) -> Tensor:
    """Return θ as ``[rows, 1]`` float64."""
    if isinstance(theta, Tensor):
        return theta.double()
    return torch.full_like(values[:, :1], theta, dtype=torch.float64)


def maximum(x: Tensor, mask: Any, gammas: Any, thetas: Any, call: Call) -> Tensor:
    """Return the smoothed max by this package's operator, because no exported program needs it."""
    return FORMS["registered"]["maximum"](x, mask, gammas, thetas, call)


FORMS["traced"] = {"weights": weights, "maximum": maximum}
