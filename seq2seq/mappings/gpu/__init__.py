"""The mappings as Triton kernels: a row is read once, and scaled, masked and mapped on the chip.

The mathematics is that of the references in ``seq2seq.mappings``, reformulated without loops over
positions: sums, scans and gathers over a whole row. Importing this package does not import Triton;
the first call does.
"""

from importlib.util import find_spec

from torch import Tensor

NAMES = frozenset({"sparsemax", "entmax", "sqpnormmax", "normmax", "fusedmax", "oscarmax"})
LONGEST = 4096  # a row lives in the registers of one program

__all__ = ["argmax", "jacobian_product", "supports"]


def supports(name: str, length: int) -> bool:
    """Whether a kernel maps rows of this length; where not, the caller takes the reference."""
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
    """Π(x) = argmax_y ⟨y, x⟩ − γΩ(y) of each row of ``scores``.

    Nothing waits for the device, and ``scores`` are not changed.

    Args:
        name: of the mapping.
        scores: ``[..., length]`` of any float type and strides; half precision is computed in
            float32. Scores of −inf count as masked.
        mask: bool, broadcastable to ``scores``, read where it is; True = may be attended.
        gamma: γ of each row, broadcastable to ``scores.shape[:-1] + (1,)``.
        theta: the mapping's own parameter of each row, likewise: λ, α or p.
        gamma_value: γ of all rows, where ``gamma`` is None.
        theta_value: the parameter of all rows, where ``theta`` is None.

    Returns:
        Weights like ``scores``, contiguous: exactly 0 where masked, all 0 in a row with nothing to
        attend, all NaN in a row with NaN or +inf at a valid position.
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
    """J·v, J = ∂Π/∂x with its factor 1/γ, from the ``weights`` Π(x) alone; J is symmetric.

    Fusedmax and oscarmax find their groups as equal weights, which half precision would merge:
    give them the weights in the type that they were computed in.

    Args:
        name: of the mapping.
        weights: ``[..., length]``, the result of :func:`argmax`.
        vectors: v, like ``weights``; what stands outside the support is not read.
        scores: for fusedmax, to tell positions of −inf, which are taken out of the row as masked
            ones are: both sides of such a hole are neighbors.
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
