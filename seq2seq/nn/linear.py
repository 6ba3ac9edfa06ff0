"""Affine maps, by the faster of the CPU's two matrix products where no gradient is asked for."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
#: Whether oneDNN's product is the one to take: on a CPU without AVX-512, MKL's is up to a quarter
#: faster.
PREFERS_ONEDNN = HAS_ONEDNN and torch.backends.cpu.get_cpu_capability() == "AVX512"


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x Wᵀ + b``, with ``x`` ``[…, size]`` and ``weight`` ``[output_size, size]``.

    PyTorch multiplies float32 matrices by MKL, which leaves half of AVX-512 unused on CPUs that are
    not Intel's; oneDNN, which comes with PyTorch too, uses all of it and is twice as fast there.
    What PyTorch offers of it has no gradient, and is slow where a matrix has gaps.
    """
    if (
        not PREFERS_ONEDNN
        or torch.is_grad_enabled()
        or x.dtype != torch.float32
        or weight.dtype != torch.float32
        or x.device.type != "cpu"
        or not weight.is_contiguous()
        or not x.numel()
        or torch.is_autocast_enabled("cpu")
    ):
        return F.linear(x, weight, bias)
    return torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, "none", [], "")


class Linear(nn.Linear):
    """``nn.Linear`` by :func:`linear`."""

    def forward(self, input: Tensor) -> Tensor:
        """``[…, in_features]`` → ``[…, out_features]``."""
        return linear(input, self.weight, self.bias)
