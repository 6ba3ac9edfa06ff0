"""Names of PyTorch that are not public: this is the only module that uses them.

A release of PyTorch may rename them. Each function here says what happens if its name is missing.
``tests/system/test_internals.py`` fails if one of them is missing or behaves differently.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

_transforms_active = getattr(torch._C, "_are_functorch_transforms_active", None)
_is_legacy_batched = getattr(getattr(torch._C, "_functorch", None), "is_legacy_batchedtensor", None)
_PRODUCTS = ("_linear_pointwise", "_reorder_linear_weight")
#: Whether oneDNN's product of matrices exists; without it, use ``F.linear``.
HAS_ONEDNN = torch.backends.mkldnn.is_available() and all(
    hasattr(torch.ops.mkldnn, name) for name in _PRODUCTS
)


def transforms_active() -> bool:
    """Return True inside a transform of ``torch.func``; True if PyTorch does not say.

    An autograd function that supports transforms works without them too, and is slower.
    """
    return True if _transforms_active is None else _transforms_active()


def forward_mode_active() -> bool:
    """Return True inside ``forward_ad.dual_level``; True if PyTorch does not say."""
    return getattr(forward_ad, "_current_level", 0) >= 0


def is_legacy_batched(tensor: Tensor) -> bool:
    """Return True for a tensor that ``torch.autograd.grad(…, is_grads_batched=True)`` passes.

    Return False if PyTorch does not say; this option then fails, and nothing else.
    """
    return False if _is_legacy_batched is None else _is_legacy_batched(tensor)


def onednn_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return ``x Wᵀ + b`` by oneDNN; a search with packed weights takes up to a quarter less."""
    return torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, "none", [], "")


def onednn_packed(weight: Tensor, rows: int) -> Tensor:
    """Return the weight in the memory layout in which oneDNN multiplies about ``rows`` rows."""
    return torch.ops.mkldnn._reorder_linear_weight.default(weight, rows)


def while_loop(condition: Callable[..., Tensor], body: Callable[..., Any], state: Any) -> Any:
    """Repeat ``body`` as one node of an exported graph; raise ``ImportError`` if it is missing."""
    from torch._higher_order_ops.while_loop import while_loop  # loads much

    return while_loop(condition, body, state)


def scan(step: Callable[..., Any], start: Any, inputs: Any) -> Any:
    """Scan the first dimension as one node of a graph; raise ``ImportError`` if it is missing."""
    from torch._higher_order_ops.scan import scan  # loads much

    return scan(step, start, inputs, dim=0)
