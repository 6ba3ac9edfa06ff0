"""Retry an out-of-memory batch in halves, with the same gradient."""

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

#: Words in the out-of-memory errors of torch's allocators, C++ and cuBLAS.
_SIGNS = ("out of memory", "DefaultCPUAllocator", "bad_alloc", "bad allocation", "ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Return True if the error means that the GPU or the machine ran out of memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


class Halving:
    """Summed loss of a batch, retried in halves when memory runs out.

    If the forward or backward pass runs out of memory, the batch is split by sentences, repeatedly
    if necessary. Each part runs forward and backward before the next one. The loss and its gradient
    are sums over sentences, so the parts add up to the result of the whole batch. Only dropout
    differs, because it draws other random numbers. The caller divides by the number of tokens.

    The returned loss does not hold the model's autograd graph, so the memory of a failed graph can
    be freed. Its backward pass computes the gradients of all parameters first and adds them
    together at the end. A failed attempt therefore leaves accumulated gradients unchanged.

    With several processes no batch is halved, because they exchange gradients during the backward
    pass.

    Args:
        loss: returns the sums over a batch, attached to an autograd graph.
        parameters: all model parameters; frozen ones are ignored.
        context: returns the context manager in which the loss of a part is computed, such as that
            of mixed precision.
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
        #: Number of halved batches.
        self.halved = 0
        self._warned_sizes: set[int] = set()

    def __call__(self, batch: Batch) -> SequenceLossOutput:
        """Return the sums over the batch.

        Raises:
            ValueError: if a single sentence pair does not fit into memory, or, with several
                processes, if a batch does not.
        """
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return self._alone(batch)
        sums = self._forward(batch)
        if sums is not None:
            loss = _Whole.apply(self, batch, sums, *self.parameters)
            return sums._replace(loss_sum=loss)
        sums, gradients = self._parts(batch)
        return sums._replace(loss_sum=_Known.apply(sums.loss_sum, gradients, *self.parameters))

    def _alone(self, batch: Batch) -> SequenceLossOutput:
        try:
            return self.loss(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise not_halved(_describe(batch), batch.slots) from error

    def _forward(self, batch: Batch) -> SequenceLossOutput | None:
        """Return the loss with its graph; None when out of memory."""
        try:
            return self.loss(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        return None

    def backward(self, loss: Tensor, upstream: Tensor | None = None) -> Gradients | None:
        """Return the gradients of the parameters; None when out of memory."""
        try:
            return torch.autograd.grad(loss, self.parameters, upstream, allow_unused=True)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        return None

    def _parts(self, batch: Batch) -> tuple[SequenceLossOutput, Gradients]:
        """Count a halved batch; return the sums over its halves and their gradients."""
        self.halved += 1
        return self._halves(batch)

    def _halves(self, batch: Batch) -> tuple[SequenceLossOutput, Gradients]:
        _release(batch)
        if len(batch) == 1:
            source, target = (int(n) for n in (batch.source_lengths, batch.target_lengths))
            raise ValueError(
                f"a single pair of sentences, of {source} and {target} subwords (number "
                f"{int(batch.indices)} of the split), does not fit into memory. Set "
                "data.limits.max_source_length and max_target_length to smaller values, or use a "
                "smaller model or trainer.precision=bf16-mixed"
            )
        self._warn_once(batch)
        middle = len(batch) // 2
        first, gradients = self._part(batch.part(slice(middle)))
        second, others = self._part(batch.part(slice(middle, None)))
        sums = SequenceLossOutput(*(a + b for a, b in zip(first, second, strict=True)))
        return sums, [_sum(a, b) for a, b in zip(gradients, others, strict=True)]

    def _part(self, batch: Batch) -> tuple[SequenceLossOutput, Gradients]:
        """Return the sums over a part and their gradients; halve it if it is still too large."""
        with torch.enable_grad(), self.context():
            sums = self._forward(batch)
        if sums is not None:
            gradients = self.backward(sums.loss_sum)
            sums = SequenceLossOutput(*(number.detach() for number in sums))
            if gradients is not None:
                return sums, gradients
        return self._halves(batch)

    def again(self, batch: Batch, upstream: Tensor) -> Gradients:
        """Compute the gradients of a batch whose backward pass ran out of memory."""
        _, gradients = self._parts(batch)
        return [None if g is None else g * upstream for g in gradients]

    def _warn_once(self, batch: Batch) -> None:
        """Log a warning once for each power of 2 of the batch size."""
        if batch.slots.bit_length() not in self._warned_sizes:
            self._warned_sizes.add(batch.slots.bit_length())
            log.warning(
                "%s does not fit into memory. It is processed in halves, which is slower; "
                "to avoid this, set data.batch.tokens=%d",
                _describe(batch),
                batch.slots // 2,
            )


def not_halved(batch: str, slots: int) -> ValueError:
    """Return the error for a batch that does not fit and is not halved (several processes)."""
    return ValueError(
        f"{batch} does not fit into memory, and training with several processes cannot halve it. "
        f"Set data.batch.tokens={slots // 2}"
    )


def _describe(batch: Batch) -> str:
    return f"a batch of {len(batch)} sentence pairs, {batch.slots:,} slots,"


def _sum(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if first is None or second is None:
        return first if second is None else second
    return first + second


def _release(batch: Batch) -> None:
    """Free the memory of a failed attempt."""
    gc.collect()
    if batch.source.is_cuda:
        torch.cuda.empty_cache()


class _Whole(torch.autograd.Function):
    """Loss of a whole batch, whose graph is kept outside the graph of the returned tensor."""

    @staticmethod
    def forward(
        ctx: Any, halving: Halving, batch: Batch, sums: SequenceLossOutput, *parameters: Tensor
    ) -> Tensor:
        # The loss is not an argument itself: autograd would link its graph to the returned one.
        ctx.halving, ctx.batch, ctx.loss = halving, batch, sums.loss_sum
        return sums.loss_sum.detach().clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
        if ctx.loss is None:
            raise RuntimeError(
                "backward() was called a second time on the same loss; compute the loss again first"
            )
        loss, ctx.loss = ctx.loss, None
        gradients = ctx.halving.backward(loss, upstream)
        del loss
        if gradients is None:
            gradients = ctx.halving.again(ctx.batch, upstream)
        return None, None, None, *gradients


class _Known(torch.autograd.Function):
    """Loss whose gradients are already computed."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, gradients: Gradients, *parameters: Tensor) -> Tensor:
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
        return None, None, *(None if g is None else g * upstream for g in ctx.gradients)
