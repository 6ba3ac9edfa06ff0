"""The training loss of sequence models: a Fenchel–Young loss with label smoothing."""

from functools import partial
from typing import NamedTuple

from torch import Tensor

from seq2seq.mappings import Mapping
from seq2seq.nn.chunked_loss import Projected, in_chunks
from seq2seq.nn.coverage import coverage_loss


class SequenceLossOutput(NamedTuple):
    """Sums over the target tokens, without padding.

    - ``loss_sum``: the loss to differentiate.
    - ``nll_sum``: −log p of the true tokens, without smoothing and without a gradient. It is inf if
      a sparse mapping gives a true token the probability 0.
    - ``tokens``: the number of tokens.
    """

    loss_sum: Tensor
    nll_sum: Tensor
    tokens: Tensor


class SequenceLoss:
    r"""The Fenchel–Young loss of the output mapping, with label smoothing, summed over tokens.

    ``L(x; q) = max_Ω(x) + γΩ(q) − ⟨x, q⟩`` with the smoothed target ``q = (1−ε) y + ε u``. Here x
    are the logits of one position, y is the one-hot true token, and u is uniform over the
    vocabulary, including padding (as in PyTorch). The gradient is ``Π_Ω(x) − q``. The loss is never
    negative, and it is 0 if Π_Ω(x) = q.

    A mapping may replace it by its own :meth:`Mapping.training_loss`: softmax by cross-entropy,
    which lacks the constant γΩ(q), and :class:`LogProbabilities` by ``−Σ q log p``.

    With ``r_drop`` α, the model reads each batch twice, with two draws of dropout, and its two
    outputs are pulled together (R-Drop, Liang et al. 2021); see :meth:`of_two_passes`.

    With ``coverage`` λ, the loss λ Σ_t Σ_i min(a_ti, c_ti) of the attention a is added
    (``nn.coverage``).

    Args:
        label_smoothing: ε, 0 ≤ ε < 1.
        ignore_index: target id of positions that are ignored.
        coverage: λ ≥ 0, the weight of the coverage loss. If λ > 0, the loss needs the attention.
        r_drop: α ≥ 0, the weight of the divergence of two passes; 0: one pass.

    Raises:
        ValueError: if an option is out of range.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        ignore_index: int = 0,
        *,
        coverage: float = 0.0,
        r_drop: float = 0.0,
    ) -> None:
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(f"label_smoothing={label_smoothing} has to be in [0, 1)")
        if not coverage >= 0.0:
            raise ValueError(f"loss.coverage={coverage} has to be at least 0; 0 disables it")
        if not r_drop >= 0.0:
            raise ValueError(f"loss.r_drop={r_drop} has to be at least 0; 0 disables it")
        self.r_drop = r_drop
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index
        self.coverage = coverage

    @property
    def reads_attention(self) -> bool:
        """Whether the loss needs the attention of the model."""
        return self.coverage > 0.0

    def __call__(
        self,
        logits: Tensor | Projected,
        target: Tensor,
        mapping: Mapping,
        attention: Tensor | None = None,
    ) -> SequenceLossOutput:
        """Compute the sums over a batch.

        Args:
            logits: ``[batch, length, vocabulary]``, or a ``Projected``. The logits of a
                ``Projected`` are computed in chunks and never stored as a whole; the loss is then
                differentiable only once.
            target: ``[batch, length]`` ids.
            mapping: logits → probabilities, the model's ``output_mapping``.
            attention: ``[batch, layer, head, length, source_length]``; required if
                ``reads_attention``.

        Raises:
            ValueError: if the loss needs the attention, but ``attention`` is ``None``.
        """
        real = target != self.ignore_index
        smoothing = self.label_smoothing
        if isinstance(logits, Projected) and not mapping.rows_are_separate:
            logits = logits.whole()
        if isinstance(logits, Projected):
            score = partial(mapping.row_losses, label_smoothing=smoothing)
            loss, nll = in_chunks(score, logits, target, real)
        else:
            loss, nll = mapping.training_loss(
                logits, target, label_smoothing=smoothing, ignore_index=self.ignore_index
            )
        if self.reads_attention:
            if attention is None:
                raise ValueError(
                    f"loss.coverage={self.coverage} needs the attention of the model; call the "
                    "model with return_attention=True"
                )
            loss = loss + self.coverage * coverage_loss(attention, real)
        return SequenceLossOutput(loss, nll, real.sum())

    def of_two_passes(
        self,
        logits: tuple[Tensor | Projected, Tensor | Projected],
        target: Tensor,
        mapping: Mapping,
        attention: tuple[Tensor | None, Tensor | None] = (None, None),
    ) -> SequenceLossOutput:
        r"""Return the mean loss of two passes, with the divergence of their outputs.

        The sum is ``½ (L(x₁; q) + L(x₂; q)) + α/4 (L(x₁; Π(x₂)) + L(x₂; Π(x₁)))``, half of the loss
        in the paper. The second term is the symmetric Fenchel–Young divergence: for softmax,
        ``KL(Π(x₂) ‖ Π(x₁)) + KL(Π(x₁) ‖ Π(x₂))``. It is finite for sparse mappings too, whose KL is
        not. In each of its parts the other pass is a constant, so the gradient of the first is
        ``Π(x₁) − Π(x₂)``.

        Args:
            logits: of both passes, each ``[batch, length, vocabulary]``; they are stored whole.
            target: ``[batch, length]`` ids.
            mapping: logits → probabilities, the model's ``output_mapping``.
            attention: of both passes, as for ``__call__``.
        """
        whole = [x.whole() if isinstance(x, Projected) else x for x in logits]
        first, second = (
            self(x, target, mapping, seen) for x, seen in zip(whole, attention, strict=True)
        )
        rows = [x[target != self.ignore_index] for x in whole]
        divergences = [
            mapping.loss(x, mapping(other).detach(), reduction="sum")
            for x, other in (rows, rows[::-1])
        ]
        loss = (first.loss_sum + second.loss_sum) / 2
        loss = loss + self.r_drop / 4 * (divergences[0] + divergences[1]).to(loss.dtype)
        return SequenceLossOutput(loss, (first.nll_sum + second.nll_sum) / 2, first.tokens)
