"""The next token's distribution, over what may be emitted."""

import torch
from torch import Tensor

from seq2seq.mappings import Mapping, Softmax


def log_probabilities(logits: Tensor, mapping: Mapping, forbidden: Tensor) -> Tensor:
    """Log-probabilities ``[…, vocabulary]`` given that no ``forbidden`` id ``[n]`` comes next.

    To the mapping their logits are −inf, so that they have no probability and the rest sums to
    one. ``logits`` are used up. Tokens out of a sparse mapping's support have −inf.
    Half precision is too coarse for sums over tokens: the result is float32 then.
    """
    logits.index_fill_(-1, forbidden, -torch.inf)
    exact = torch.promote_types(logits.dtype, torch.float32)
    if not isinstance(mapping, Softmax):
        return mapping(logits.to(exact)).log_()
    found = _over(logits, mapping.gamma)
    if found.dtype == exact and found.device.type == "cpu" and not found.requires_grad:
        # In place: memory that is new at every step costs a CPU as much again.
        torch.log_softmax(found, dim=-1, out=found)
    else:
        found = torch.log_softmax(found, dim=-1, dtype=exact)
    # Logits that are log-probabilities themselves may leave nothing but what is forbidden.
    nothing = found[..., forbidden[0]].isnan() if forbidden.numel() else forbidden
    if nothing.any():
        found[nothing] = -torch.inf
    return found


def _over(logits: Tensor, gamma: float | Tensor) -> Tensor:
    return logits if isinstance(gamma, float) and gamma == 1.0 else logits / gamma
