"""The taut string: the shortest path through a tube around cumulative sums, for many sequences.

Two proximal operators are the slopes of such a path. At both ends the path meets the cumulative sum
S of the values. The tube [S − λ, S + λ] gives total variation. The tube [S, ∞) gives non-increasing
isotonic regression.
"""

import torch
from torch import Tensor


def taut_string(
    values: Tensor, starts: Tensor, below: float | Tensor, above: float | Tensor
) -> Tensor:
    """Return the slopes of the shortest path in [S − below, S + above], equal along each piece.

    A piece is a straight part of the path. At first, each sequence is one piece, the chord between
    its ends. Where a chord leaves the tube, the point of largest violation is a knot of the
    solution: the path bends at the extremum of (path − chord), so it touches the tube there, and no
    other bound is farther away.

    Each round pins all these points and splits the pieces there, until no chord leaves the tube.
    There is no loop over positions, and a few rounds usually suffice.

    Args:
        values: ``[positions]`` float64, one sequence after the other.
        starts: ``[positions]`` bool, True where a sequence begins.
        below: how far the tube extends below S; a number, or ``[positions]``, constant within each
            sequence.
        above: how far the tube extends above S; may be inf.

    Returns:
        ``[positions]`` slopes of the path.
    """
    if not len(values):
        return values
    values, knots = values.clone(), starts.clone()
    lower, upper = (
        torch.as_tensor(reach, dtype=values.dtype, device=values.device).expand_as(values)
        for reach in (-below, above)
    )
    size, epsilon = float(values.abs().max()), torch.finfo(values.dtype).eps
    while True:
        piece = knots.cumsum(0) - 1
        slopes = piece_means(values, piece)
        deviation = (values - slopes).cumsum(0)  # S − chord, 0 again at the end of each piece
        tolerance = epsilon * len(values) * max(size, float(deviation.abs().max()))
        violation = torch.maximum(deviation + lower, -deviation - upper)
        violation[knots.roll(-1)] = -torch.inf  # the ends of pieces are already pinned
        largest = violation.new_empty(int(piece[-1]) + 1).scatter_reduce_(
            0, piece, violation, "amax", include_self=False
        )
        knot = ((violation > tolerance) & (violation == largest[piece])).nonzero()[:, 0]
        if not len(knot):
            break
        offset = torch.where(deviation[knot] > 0, lower[knot], upper[knot])
        # The piece on the left now ends at the tube, and the piece on the right begins there.
        values[knot] += offset
        values[knot + 1] -= offset
        knots[knot + 1] = True
    # If three knots lie on a line, remove the middle one, so that both slopes are exactly equal.
    straight = (slopes - slopes.roll(1)).abs() <= tolerance
    return piece_means(values, (starts | (knots & ~straight)).cumsum(0) - 1)


def piece_means(values: Tensor, piece: Tensor) -> Tensor:
    """Return the mean of ``values`` over each piece, at the positions of the piece.

    ``piece`` holds the number of the piece of each position, from 0 on.
    """
    count = int(piece[-1]) + 1 if len(piece) else 0
    ones = torch.ones_like(values)
    total = values.new_zeros(count).index_add(0, piece, values)
    return (total / values.new_zeros(count).index_add(0, piece, ones))[piece]
