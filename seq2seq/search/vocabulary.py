"""The distribution of the next token, over the tokens that may be emitted."""

import torch
from torch import Tensor

from seq2seq.mappings import Mapping, Softmax


def log_probabilities(logits: Tensor, mapping: Mapping, forbidden: Tensor) -> Tensor:
    """Return log-probabilities ``[…, vocabulary]``, −inf for the ``forbidden`` ids ``[n]``.

    The logits of forbidden ids become −inf before the mapping, so that the probabilities of the
    other tokens sum to 1. Tokens outside the support of a sparse mapping have −inf too. The
    function overwrites ``logits``. The result is float32 for logits in half precision, which is too
    coarse for sums over tokens.
    """
    logits.index_fill_(-1, forbidden, -torch.inf)
    exact = torch.promote_types(logits.dtype, torch.float32)
    if not isinstance(mapping, Softmax):
        return mapping(logits.to(exact)).log_()
    scores = _over(logits, mapping.gamma)
    if scores.dtype == exact and scores.device.type == "cpu" and not scores.requires_grad:
        # In place, because allocating memory at every step would double the time on a CPU.
        torch.log_softmax(scores, dim=-1, out=scores)
    else:
        scores = torch.log_softmax(scores, dim=-1, dtype=exact)
    # If the logits are log-probabilities, all allowed tokens may have −inf: log_softmax gives NaN.
    impossible = scores[..., forbidden[0]].isnan() if forbidden.numel() else forbidden
    if impossible.any():
        scores[impossible] = -torch.inf
    return scores


def _over(logits: Tensor, gamma: float | Tensor) -> Tensor:
    return logits if isinstance(gamma, float) and gamma == 1.0 else logits / gamma
