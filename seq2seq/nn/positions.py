"""Positional encodings: sinusoidal and learned ones are added, rotary ones rotate.

Every kind has the methods ``add`` and ``rotate``, one of which is the identity. The Transformer
calls both, so that it need not know the kind.
"""

import math

import torch
from torch import Tensor, nn

LARGEST_TABLE = 1 << 28  # elements; 1 GiB in float32


class Positions(nn.Module):
    """The base class of positional encodings: both methods are the identity."""

    def __init__(self, size: int, heads: int, max_length: int) -> None:
        super().__init__()
        self.max_length = max_length

    def add(self, embedded: Tensor, offset: int = 0) -> Tensor:
        """Add positions from ``offset`` on to embeddings ``[batch, length, size]``."""
        return embedded

    def rotate(self, heads: Tensor, offset: int = 0) -> Tensor:
        """Rotate queries or keys ``[…, length, head_size]`` by positions from ``offset`` on."""
        return heads

    def _rows(self, table: Tensor, offset: int, length: int) -> Tensor:
        """Return ``length`` rows, or raise ``ValueError`` if the table has too few."""
        end = offset + length
        if end > self.max_length:
            raise ValueError(
                f"a sequence of {end} tokens is longer than the model's max_length="
                f"{self.max_length}; shorten it, or train with a larger model.max_length"
            )
        return table[offset:end]


class Sinusoidal(Positions):
    """Sinusoidal positions: ``p[t, 2i] = sin(t / 10000^(2i/size))``, ``p[t, 2i+1] = cos(…)``.

    See Vaswani et al. (2017).
    """

    table: Tensor

    def __init__(self, size: int, heads: int, max_length: int) -> None:
        super().__init__(size, heads, max_length)
        angles = _angles(max_length, size)
        table = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :size]
        self.register_buffer("table", table, persistent=False)

    def add(self, embedded: Tensor, offset: int = 0) -> Tensor:
        """Add the sinusoids."""
        rows = self._rows(self.table, offset, embedded.size(1))
        return embedded + rows.to(embedded.dtype)


class Learned(Positions):
    """Learned positions: one trained vector per position (Gehring et al. 2017)."""

    def __init__(self, size: int, heads: int, max_length: int) -> None:
        super().__init__(size, heads, max_length)
        self.table = nn.Parameter(nn.init.normal_(torch.empty(max_length, size), std=0.02))

    def add(self, embedded: Tensor, offset: int = 0) -> Tensor:
        """Add the trained vectors."""
        return embedded + self._rows(self.table, offset, embedded.size(1))


class Rotary(Positions):
    r"""Rotary positions: queries and keys are rotated, so that scores depend only on distances.

    Each pair of coordinates of a head is a complex number z_i. Position t multiplies it:
    ``z_i → z_i · exp(√−1 t θ_i)`` with ``θ_i = 10000^(−2i/head_size)``. The score
    ``⟨R_t q, R_s k⟩`` then depends only on ``t − s``. See Su et al. (2021).
    """

    cosine: Tensor
    sine: Tensor

    def __init__(self, size: int, heads: int, max_length: int) -> None:
        super().__init__(size, heads, max_length)
        head_size = size // heads
        if head_size % 2:
            raise ValueError(
                f"positions=rotary needs an even size per head, but size={size} over "
                f"heads={heads} gives {head_size}; change size or heads"
            )
        angles = _angles(max_length, head_size).repeat(1, 2)
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)

    def rotate(self, heads: Tensor, offset: int = 0) -> Tensor:
        """Rotate each pair ``(i, i + head_size/2)`` by its angle."""
        cosine = self._rows(self.cosine, offset, heads.size(-2)).to(heads.dtype)
        sine = self._rows(self.sine, offset, heads.size(-2)).to(heads.dtype)
        left, right = heads.chunk(2, dim=-1)
        return heads * cosine + torch.cat([-right, left], dim=-1) * sine


POSITIONS: dict[str, type[Positions]] = {
    "sinusoidal": Sinusoidal,
    "learned": Learned,
    "rotary": Rotary,
}


def _angles(length: int, size: int) -> Tensor:
    """Return ``t / 10000^(2i/size)`` as ``[length, ceil(size / 2)]``.

    The table is always computed on the CPU, also if the model is built on the device ``meta``,
    because it is not part of the weights that are loaded later.
    """
    if length * size > LARGEST_TABLE:
        raise ValueError(
            f"max_length={length:,} positions with {size:,} numbers each would take "
            f"{length * size * 4 / 1e9:.1f} GB; set a smaller max_length"
        )
    frequencies = torch.exp(torch.arange(0, size, 2, device="cpu") * (-math.log(10000.0) / size))
    return torch.arange(length, device="cpu")[:, None] * frequencies
