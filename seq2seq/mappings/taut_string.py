"""The taut string: the shortest path through a tube around cumulative sums, of many sequences.

Two proximal operators are slopes of such a path, pinned at both ends to the cumulative sum S of the
values: with the tube [S − λ, S + λ] total variation, with the tube [S, ∞) non-increasing isotonic
regression.
"""

import torch
from torch import Tensor


def taut_string(
    values: Tensor, starts: Tensor, below: float | Tensor, above: float | Tensor
) -> Tensor:
    """Slopes of the shortest path in [S − below, S + above], equal along each straight piece.

    Every sequence begins as one piece, drawn as the chord between its ends. Where a chord leaves
    the tube, the point of largest violation is a knot of the solution: at the extremum of (path −
    chord) the path bends, so it touches the tube there, and no other bound is farther out. Such
    points are pinned and pieces split, all at once, until no chord leaves the tube. There is no
    loop over positions; a few rounds are usual.

    Args:
        values: ``[positions]`` float64, sequences one after the other.
        starts: ``[positions]`` bool, True where a sequence begins.
        below: how far the tube reaches below S; a number, or ``[positions]`` with one for each
            sequence, at all of its positions.
        above: how far the tube reaches above S; may be inf.

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
        violation[knots.roll(-1)] = -torch.inf  # ends of pieces are pinned already
        largest = violation.new_empty(int(piece[-1]) + 1).scatter_reduce_(
            0, piece, violation, "amax", include_self=False
        )
        knot = ((violation > tolerance) & (violation == largest[piece])).nonzero()[:, 0]
        if not len(knot):
            break
        offset = torch.where(deviation[knot] > 0, lower[knot], upper[knot])
        values[knot] += offset  # the piece on the left ends at the tube,
        values[knot + 1] -= offset  # and the one on the right begins there
        knots[knot + 1] = True
    # Where three knots are in line the middle one does not bend: slopes are to be exactly equal.
    straight = (slopes - slopes.roll(1)).abs() <= tolerance
    return piece_means(values, (starts | (knots & ~straight)).cumsum(0) - 1)


def piece_means(values: Tensor, piece: Tensor) -> Tensor:
    """The mean of ``values`` over each piece, at its positions; ``piece`` numbers them from 0."""
    count = int(piece[-1]) + 1 if len(piece) else 0
    ones = torch.ones_like(values)
    total = values.new_zeros(count).index_add(0, piece, values)
    return (total / values.new_zeros(count).index_add(0, piece, ones))[piece]
