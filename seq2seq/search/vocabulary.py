"""The next token's distribution, over what may be emitted."""

import torch
from torch import Tensor

from seq2seq.mappings import Mapping, Softmax


def log_probabilities(logits: Tensor, mapping: Mapping, forbidden: Tensor) -> Tensor:
    """Log-probabilities ``[…, vocabulary]`` given that no ``forbidden`` id ``[n]`` comes next.

    To the mapping their logits are −inf, so that they have no probability and the rest sums to
    one; that is written into ``logits``. Tokens out of a sparse mapping's support have −inf.
    Half precision is too coarse for sums over tokens: the result is float32 then.
    """
    logits.index_fill_(-1, forbidden, -torch.inf)
    exact = torch.promote_types(logits.dtype, torch.float32)
    if isinstance(mapping, Softmax):
        return torch.log_softmax(_over(logits, mapping.gamma), dim=-1, dtype=exact)
    return mapping(logits.to(exact)).log_()


def _over(logits: Tensor, gamma: float | Tensor) -> Tensor:
    return logits if isinstance(gamma, float) and gamma == 1.0 else logits / gamma
