"""Where a token stands: sinusoidal and learned positions are added, rotary ones rotate.

Every kind has both methods, one of them the identity, so that the Transformer calls both and
never asks which kind it has.
"""

import math

import torch
from torch import Tensor, nn

LARGEST_TABLE = 1 << 28  # numbers; 1 GiB


class Positions(nn.Module):
    """No position information: the identity, and the face that the kinds below share."""

    def __init__(self, size: int, heads: int, max_length: int) -> None:
        super().__init__()
        self.max_length = max_length

    def add(self, embedded: Tensor, offset: int = 0) -> Tensor:
        """Give embeddings ``[batch, length, size]``, the first at position ``offset``, theirs."""
        return embedded

    def rotate(self, heads: Tensor, offset: int = 0) -> Tensor:
        """Turn queries or keys ``[…, length, head_size]`` by their positions."""
        return heads

    def _rows(self, table: Tensor, offset: int, length: int) -> Tensor:
        end = offset + length
        if end > self.max_length:
            raise ValueError(
                f"a sequence of {end} tokens is longer than the model's max_length="
                f"{self.max_length}; shorten it, or train with a larger model.max_length"
            )
        return table[offset:end]


class Sinusoidal(Positions):
    """Vaswani et al. 2017: ``p[t, 2i] = sin(t / 10000^(2i/size))``, ``p[t, 2i+1] = cos(…)``."""

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
    """A trained vector a position (Gehring et al. 2017)."""

    def __init__(self, size: int, heads: int, max_length: int) -> None:
        super().__init__(size, heads, max_length)
        self.table = nn.Parameter(nn.init.normal_(torch.empty(max_length, size), std=0.02))

    def add(self, embedded: Tensor, offset: int = 0) -> Tensor:
        """Add the trained vectors."""
        return embedded + self._rows(self.table, offset, embedded.size(1))


class Rotary(Positions):
    r"""Su et al. 2021: queries and keys are turned, so that scores see only distances.

    With a head's coordinates taken in pairs as complex numbers, ``z_i → z_i · exp(√−1 t θ_i)``,
    ``θ_i = 10000^(−2i/head_size)``; then ``⟨R_t q, R_s k⟩`` depends on ``t − s`` alone.
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
        """Turn each pair ``(i, i + head_size/2)`` by its angle."""
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
    """``t / 10000^(2i/size)`` as ``[length, ceil(size / 2)]``.

    Numbers also where a model is built without (on the device ``meta``): they are not loaded.
    """
    if length * size > LARGEST_TABLE:
        raise ValueError(
            f"max_length={length:,} positions of {size:,} numbers each would take "
            f"{length * size * 4 / 1e9:.1f} GB: set a smaller max_length"
        )
    frequencies = torch.exp(torch.arange(0, size, 2, device="cpu") * (-math.log(10000.0) / size))
    return torch.arange(length, device="cpu")[:, None] * frequencies
