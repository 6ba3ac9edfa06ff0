"""Sparse attention of long sequences in blocks, which never stores a matrix of scores."""

from importlib.util import find_spec

from torch import Tensor

from seq2seq.mappings import Mapping

LONG = 1024  # source positions from which on the matrix of scores dominates the cost
WIDEST = 256  # the largest head size that the kernels support
DEVICES = ("cuda",)

# α of the mappings that need one threshold per query, so that the work can be done in blocks.
ALPHAS = {"sparsemax": lambda omega: 2.0, "entmax": lambda omega: omega.parameter}


def blockwise_alpha(
    mapping: Mapping, queries: Tensor, keys: Tensor, mask: Tensor | None
) -> float | None:
    """Return α for attention in blocks, or ``None`` if that is impossible or slower.

    Blocks need sparsemax or entmax, CUDA, and a mask that is the same for all queries and heads.
    The parameters of the mapping must be numbers, because the gradient of a learned parameter needs
    the scores.

    Args:
        mapping: scores → weights of the attention.
        queries: ``[batch, head, target_length, head_size]``.
        keys: ``[batch, head, source_length, head_size]``.
        mask: broadcastable to ``[batch, head, target_length, source_length]``.
    """
    # The device first: a program that is exported has a symbol for the length, and no answer to
    # how long that is.
    if queries.device.type not in DEVICES:
        return None
    alpha = ALPHAS.get(mapping.omega.name, lambda omega: None)(mapping.omega)
    plain = isinstance(alpha, float) and alpha > 1 and isinstance(mapping.gamma, float | int)
    fits = keys.size(2) >= LONG and queries.size(-1) <= WIDEST
    padding = mask is None or mask.shape == (keys.size(0), 1, 1, keys.size(2))
    suits = plain and fits and padding and mapping.dim == -1
    return alpha if suits and find_spec("triton") else None
