"""Sparse attention of long sequences in blocks, where no matrix of scores is ever written."""

from importlib.util import find_spec

from torch import Tensor

from seq2seq.mappings import Mapping

LONG = 1024  # source positions from which on a matrix of scores is what costs
WIDEST = 256  # the largest head that the kernels take
DEVICES = ("cuda",)

# The α of the mappings whose threshold is one number a query, which blocks can be summed up in.
ALPHAS = {"sparsemax": lambda omega: 2.0, "entmax": lambda omega: omega.parameter}


def blockwise_alpha(
    mapping: Mapping, queries: Tensor, keys: Tensor, mask: Tensor | None
) -> float | None:
    """The α to compute attention in blocks with, or None where that cannot be or does not pay.

    It can for sparsemax and entmax at parameters that are numbers (a learned one needs the scores
    on the way back), on CUDA, with a mask that is the same for all queries and heads.

    Args:
        mapping: of the attention.
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
