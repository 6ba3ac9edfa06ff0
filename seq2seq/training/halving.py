"""A batch too big for memory is halved, and its halves where need be; nothing else changes."""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seq2seq.data.batch import Batch
from seq2seq.nn.losses import SequenceLossOutput

log = logging.getLogger(__name__)

Gradients = Sequence[Tensor | None]

#: Words by which a RuntimeError tells that memory is out: torch's allocators, C++, cuBLAS.
_SIGNS = ("out of memory", "DefaultCPUAllocator", "bad_alloc", "bad allocation", "ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was too little memory, of the GPU or of the machine."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


class Halving:
    """The sums of the loss over a batch, which may be too big for memory, forward or backward.

    Such a batch is halved by sentences, as often as it takes. The loss is a sum over sentences, and
    so is its gradient: the parts give what the whole would have given (with dropout, by other
    draws), and the caller divides by all tokens. A part goes forward and backward before the next.

    The loss that is returned holds no graph of the model, so that one that failed can be let go: it
    computes the gradients of the parameters when it is asked for its own. What accumulated before
    is not touched, as these are added only when all are there.

    In several processes, which exchange gradients as they come, no batch is halved.

    Args:
        loss: sums over a batch, of tensors with a graph.
        parameters: all that are trained.
        context: in which the loss is computed, such as that of mixed precision.
    """

    def __init__(
        self,
        loss: Callable[[Batch], SequenceLossOutput],
        parameters: Sequence[Tensor],
        context: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext,
    ) -> None:
        self.loss = loss
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self.context = context
        #: Batches that were halved.
        self.halved = 0
        self._told: set[int] = set()

    def __call__(self, batch: Batch) -> SequenceLossOutput:
        """Sums over the batch.

        Raises:
            ValueError: if a single sentence pair is too big, or a batch of several processes.
        """
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return self._alone(batch)
        found = self._forward(batch)
        if found is not None:
            loss = _Whole.apply(self, batch, found, *self.parameters)
            return found._replace(loss_sum=loss)
        found, gradients = self._parts(batch)
        return found._replace(loss_sum=_Known.apply(found.loss_sum, gradients, *self.parameters))

    def _alone(self, batch: Batch) -> SequenceLossOutput:
        try:
            return self.loss(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise not_halved(_described(batch), batch.slots) from error

    def _forward(self, batch: Batch) -> SequenceLossOutput | None:
        """The loss with its graph; None where memory is out."""
        try:
            return self.loss(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        return None

    def backward(self, loss: Tensor, upstream: Tensor | None = None) -> Gradients | None:
        """The gradients of the parameters; None where memory is out."""
        try:
            return torch.autograd.grad(loss, self.parameters, upstream, allow_unused=True)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        return None

    def _parts(self, batch: Batch) -> tuple[SequenceLossOutput, Gradients]:
        """Sums over the halves of a batch, and their gradients."""
        self.halved += 1
        return self._halves(batch)

    def _halves(self, batch: Batch) -> tuple[SequenceLossOutput, Gradients]:
        _release(batch)
        if len(batch) == 1:
            source, target = (int(n) for n in (batch.source_lengths, batch.target_lengths))
            raise ValueError(
                f"a single pair of sentences, of {source} and {target} subwords (number "
                f"{int(batch.indices)} of the split), does not fit into memory: set "
                "data.limits.max_source_length and max_target_length below that, or take a smaller "
                "model or trainer.precision=bf16-mixed"
            )
        self._tell(batch)
        middle = len(batch) // 2
        first, gradients = self._part(batch.part(slice(middle)))
        second, others = self._part(batch.part(slice(middle, None)))
        sums = SequenceLossOutput(*(a + b for a, b in zip(first, second, strict=True)))
        return sums, [_sum(a, b) for a, b in zip(gradients, others, strict=True)]

    def _part(self, batch: Batch) -> tuple[SequenceLossOutput, Gradients]:
        """Sums over a part, whole or halved again, and their gradients."""
        with torch.enable_grad(), self.context():
            found = self._forward(batch)
        if found is not None:
            gradients = self.backward(found.loss_sum)
            found = SequenceLossOutput(*(number.detach() for number in found))
            if gradients is not None:
                return found, gradients
        return self._halves(batch)

    def again(self, batch: Batch, upstream: Tensor) -> Gradients:
        """The gradients of a batch that went forward, but not backward."""
        _, gradients = self._parts(batch)
        return [None if g is None else g * upstream for g in gradients]

    def _tell(self, batch: Batch) -> None:
        """Once for each size, to the next power of 2."""
        if batch.slots.bit_length() not in self._told:
            self._told.add(batch.slots.bit_length())
            log.warning(
                "%s does not fit into memory: it is taken in halves, which is slower; "
                "data.batch.tokens=%d would not need that",
                _described(batch),
                batch.slots // 2,
            )


def not_halved(batch: str, slots: int) -> ValueError:
    """What to set where a batch of several processes is too big: they halve none."""
    return ValueError(
        f"{batch} does not fit into memory, and in several processes it is not halved; set "
        f"data.batch.tokens={slots // 2}"
    )


def _described(batch: Batch) -> str:
    return f"a batch of {len(batch)} sentence pairs, {batch.slots:,} slots,"


def _sum(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if first is None or second is None:
        return first if second is None else second
    return first + second


def _release(batch: Batch) -> None:
    """Give back what a failed attempt held."""
    gc.collect()
    if batch.source.is_cuda:
        torch.cuda.empty_cache()


class _Whole(torch.autograd.Function):
    """A loss whose own graph is held apart; it goes backward when this does."""

    @staticmethod
    def forward(
        ctx: Any, halving: Halving, batch: Batch, found: SequenceLossOutput, *parameters: Tensor
    ) -> Tensor:
        # As a tensor of its own, the loss would tie its graph to this one.
        ctx.halving, ctx.batch, ctx.loss = halving, batch, found.loss_sum
        return found.loss_sum.detach().clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
        if ctx.loss is None:
            raise RuntimeError("the loss went backward a second time; compute it anew instead")
        loss, ctx.loss = ctx.loss, None
        gradients = ctx.halving.backward(loss, upstream)
        del loss
        if gradients is None:
            gradients = ctx.halving.again(ctx.batch, upstream)
        return None, None, None, *gradients


class _Known(torch.autograd.Function):
    """A loss whose gradients are known already."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, gradients: Gradients, *parameters: Tensor) -> Tensor:
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
        return None, None, *(None if g is None else g * upstream for g in ctx.gradients)
