"""Dropout with fast random numbers on CPUs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _kept(x: Tensor, p: float) -> Tensor:
    """Draw a mask in the shape of ``x``, as int8: 1 with probability 1 − p, else 0."""
    words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64)
    bits = words.random_(-(2**63), None).view(torch.int16)[: x.numel()].view(x.shape)
    return (bits >= round(p * 2**16) - 2**15).view(torch.int8)


# torch.compile cannot trace how the mask is drawn, and would break the graph at every dropout. One
# custom operator avoids this. (Inductor draws in an order of its own, the same in every run.)
_operator = torch.library.custom_op(
    "seq2seq::kept", _kept, mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,)
)
_operator.register_fake(lambda x, p: x.new_empty(x.shape, dtype=torch.int8))


class Dropout(nn.Module):
    """Dropout: in training, zero elements with probability p and scale the rest by ``1 / (1 − p)``.

    On CPUs, PyTorch draws at least 64 random bits per element, which takes a twelfth of the
    training time of a Transformer. This layer draws 16 bits, so p is exact to 1/65536. The mask is
    int8 and multiplied. This is three times as fast as ``masked_fill``, and takes a quarter of the
    memory of a float mask.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0.0 <= p < 1.0:
            raise ValueError(f"dropout={p} has to be at least 0 and below 1")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Apply dropout to ``x`` of any shape."""
        if not self.training or not self.p:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p)
        draw = torch.ops.seq2seq.kept if torch.compiler.is_compiling() else _kept
        return (x * draw(x, self.p)).mul_(1 / (1 - self.p))

    def extra_repr(self) -> str:
        """Return the probability for ``repr``."""
        return f"p={self.p}"
