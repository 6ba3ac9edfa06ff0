"""Logits that are log-probabilities already, as a mixture of distributions has them."""

import math

import torch
from torch import Tensor

from seq2seq.mappings import Softmax

EPSILON = 1e-10  # what the loss takes a probability of zero for


class LogProbabilities(Softmax):
    """The softmax of log-probabilities, which is their exponential.

    A mixture (``nn.pointer_generator``) predicts ``V + extra`` entries: the vocabulary, and source
    words beyond it that differ from example to example. Its loss is the negative log-likelihood,
    read off instead of normalized a second time.

    Args:
        vocabulary_size: V, the entries that label smoothing spreads its mass over.
    """

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size

    def negative_log_likelihood(
        self, logits: Tensor, target: Tensor, real: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        """Sums of ``−Σ_w q_w log p(w)`` and of ``−log p(target)``, over the ``real`` positions.

        With ε the smoothing, ``q = (1 − ε) one-hot(target) + ε/V`` over the vocabulary alone. The
        words beyond it get none of ε: those of other examples are impossible here, and what an
        example is charged must not depend on the batch that it is in.

        In the first sum, log p is at least log 1e-10: sparse attention can leave a word to be
        copied no probability at all, which then costs 23 and has no gradient. The second, without
        gradient, is inf there.

        Args:
            logits: ``[batch, length, V + extra]`` log-probabilities.
            target: ``[batch, length]`` ids below ``V + extra``; any id where not real.
            real: ``[batch, length]``, bool.
            smoothing: ε.
        """
        index = target.where(real, 0)[..., None]
        surprise = -logits.gather(-1, index).squeeze(-1)
        loss = surprise.clamp(max=-math.log(EPSILON))
        if smoothing:
            uniform = -logits[..., : self.vocabulary_size].mean(-1)
            loss = (1 - smoothing) * loss + smoothing * uniform
        plain = surprise.detach()
        return loss.where(real, 0.0).sum(), torch.where(real, plain, 0.0).sum()
