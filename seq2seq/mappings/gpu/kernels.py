"""The Triton kernels with the interface that ``implementations`` calls."""

from torch import Tensor

from seq2seq.mappings import gpu
from seq2seq.mappings.gpu import supports
from seq2seq.mappings.implementations import Call

__all__ = ["argmax", "jacobian_product", "supports"]


def argmax(scores: Tensor, mask: Tensor | None, call: Call) -> Tensor:
    """See ``implementations``."""
    return gpu.argmax(call.omega.name, scores, mask, *_parameters(scores, call))


def jacobian_product(
    weights: Tensor, vectors: Tensor, scores: Tensor | None, mask: Tensor | None, call: Call
) -> Tensor:
    """See ``implementations``."""
    if not call.omega.neighbors:
        scores = mask = None
    parameters = _parameters(weights, call)
    return gpu.jacobian_product(call.omega.name, weights, vectors, scores, mask, *parameters)


def _parameters(rows: Tensor, call: Call) -> tuple[Tensor | None, Tensor | None, float, float]:
    """Return γ and θ of each row, or None, and their numbers for all rows."""
    shape = (*rows.shape[:-1], 1)
    gammas = None if call.gammas is None else call.gammas.reshape(shape)
    thetas = None if call.thetas is None else call.thetas.reshape(shape)
    return gammas, thetas, call.gamma, call.theta
