"""The mappings as Triton kernels: read a row once, then scale, mask and map it on the chip.

They compute the same functions as the references in ``seq2seq.mappings``, but without loops over
positions: by sums and scans over a whole row. Importing this package does not import Triton; the
first call does.
"""

from importlib.util import find_spec

from torch import Tensor

NAMES = frozenset({"sparsemax", "entmax", "sqpnormmax", "normmax", "fusedmax", "oscarmax"})
LONGEST = 4096  # because the registers of one program must hold the row

__all__ = ["argmax", "jacobian_product", "supports"]


def supports(name: str, length: int) -> bool:
    """Return True if a kernel supports rows of this length; if not, callers use the reference."""
    return name in NAMES and length <= LONGEST and find_spec("triton") is not None


def argmax(
    name: str,
    scores: Tensor,
    mask: Tensor | None,
    gamma: Tensor | None,
    theta: Tensor | None,
    gamma_value: float = 1.0,
    theta_value: float = 0.0,
) -> Tensor:
    """Return Π(x) = argmax_y ⟨y, x⟩ − γΩ(y) of each row of ``scores``.

    The call does not synchronise with the GPU, and does not change ``scores``.

    Args:
        name: the name of the mapping.
        scores: ``[..., length]`` of any float type and strides; half precision is computed in
            float32. Scores of −inf count as masked.
        mask: bool, broadcastable to ``scores`` and read in place; True = may be attended.
        gamma: γ of each row, broadcastable to ``scores.shape[:-1] + (1,)``.
        theta: the mapping's own parameter of each row (λ, α or p), with a shape like ``gamma``.
        gamma_value: γ of all rows if ``gamma`` is None.
        theta_value: the mapping's own parameter for all rows if ``theta`` is None.

    Returns:
        Contiguous weights like ``scores``, exactly 0 where masked. A row without valid positions is
        all 0. A row with NaN or +inf at an unmasked position is all NaN.
    """
    from seq2seq.mappings.gpu import launch

    return launch.argmax(name, scores, mask, gamma, theta, gamma_value, theta_value)


def jacobian_product(
    name: str,
    weights: Tensor,
    vectors: Tensor,
    scores: Tensor | None,
    mask: Tensor | None,
    gamma: Tensor | None,
    theta: Tensor | None,
    gamma_value: float = 1.0,
    theta_value: float = 0.0,
) -> Tensor:
    """Return J·v with J = ∂Π/∂x, including the factor 1/γ, from the ``weights`` Π(x).

    J is symmetric. Fusedmax and oscarmax find their groups by comparing weights, and half precision
    would merge groups. So pass the weights in the type in which they were computed.

    Args:
        name: the name of the mapping.
        weights: ``[..., length]``, the result of :func:`argmax`.
        vectors: v, like ``weights``; values outside the support are not read.
        scores: only for fusedmax. Positions of −inf are removed from the row, as masked ones are,
            and the positions on both sides become neighbors.
        mask: as for :func:`argmax`; only fusedmax reads it.
        gamma: as for :func:`argmax`.
        theta: as for :func:`argmax`.
        gamma_value: as for :func:`argmax`.
        theta_value: as for :func:`argmax`.

    Returns:
        J·v like ``vectors``, contiguous; 0 outside the support, NaN in a row whose weights are NaN.
    """
    from seq2seq.mappings.gpu import launch

    return launch.jacobian_product(
        name, weights, vectors, scores, mask, gamma, theta, gamma_value, theta_value
    )
