"""The loop over rows that computes Fenchel–Young losses: L = max_Ω(x) + γΩ(q) − ⟨x, q⟩.

q = (1 − ε)·onehot + ε·uniform over the n positions of a row that may be attended. The gradient
Π(x) − q is −ε/n except in the support and at the target. The kernel writes these few *entries*
only, so it never holds an array of gradients.
"""

# numba infers the types of compiled functions, so they have no annotations.
# mypy: disable-error-code="no-untyped-def"

import numpy as np

from seq2seq.mappings.cpu.compilation import jit, kernel
from seq2seq.mappings.cpu.scan import leading, read, room_for

LEFT, RIGHT = 1, 2  # the sides on which a target has a neighbor


def loss_kernel(solve, workspace, version):
    """Build the kernel that computes losses."""

    @kernel
    def losses(
        scores,
        mask,
        holes,
        targets,
        gamma,
        theta,
        span,
        smoothing,
        entries,
        places,
        counts,
        losses,
        surprises,
        sizes,
        sides,
    ):
        """Write the losses of rows, and the entries of their gradients.

        Args:
            scores: ``[rows, length]``.
            mask: ``[masks, length]`` bool; consecutive rows, equally many, share a mask.
            holes: whether −inf between other scores changes the mapping.
            targets: the true class ``[rows]``; −1 for a row without a loss.
            gamma: the strength γ.
            theta: the parameter of the mapping.
            span: how far the support reaches.
            smoothing: ε.
            entries: ``[rows · length]``, receives the entries one after another.
            places: ``[rows · length]``, the place of each entry in the flattened scores.
            counts: ``[rows]``, receives the number of entries.
            losses: ``[rows]``, receives the loss without γΩ(q).
            surprises: ``[rows]``, receives −log of the weight of the target.
            sizes: ``[rows]``, receives n; 0 if a row has no loss.
            sides: ``[rows]``, receives the sides on which the target has a neighbor.

        Returns:
            The number of entries of all rows.
        """
        _ = version
        rows, length = scores.shape
        shared = rows // len(mask)
        room, work, used = room_for(scores), workspace(length), 0
        for group in range(len(mask)):
            valid, whole = leading(mask[group])
            for row in range(group * shared, (group + 1) * shared):
                counts[row], sizes[row], sides[row] = 0, 0, 0
                losses[row], surprises[row] = 0.0, 0.0
                if targets[row] < 0:
                    continue
                attended, packed, best, count = read(
                    scores[row], mask[group], valid, whole, holes, gamma, span, room
                )
                if count == 0:  # no maximum: NaN, or nothing may be attended
                    losses[row] = np.nan if best != best else 0.0
                    surprises[row] = np.nan if best != best else np.inf
                    continue
                members = len(attended)
                x, place, y = room.values[:count], room.place[:count], room.result[:count]
                value = solve(x, place, members, theta, y, work, True)
                target = targets[row]
                if packed:
                    target = find(room.where[:members], target)
                elif target >= members:
                    target = -1
                seen = target >= 0 and attended[target] > -np.inf
                score = np.float64(attended[target]) - best if seen else 0.0
                if smoothing > 0.0:
                    mean = total(attended) / members - best
                    score = (1.0 - smoothing) * score + smoothing * mean
                losses[row] = value * gamma - score if seen else np.inf
                spot = find(place, target)
                surprises[row] = -np.log(y[spot]) if spot >= 0 else np.inf
                sizes[row] = members
                sides[row] = (target > 0) * LEFT + (target < members - 1) * RIGHT
                used, before = (
                    keep(
                        y,
                        room.position[:count],
                        spot,
                        targets[row] if seen else -1,
                        smoothing,
                        smoothing / members,
                        row * length,
                        entries,
                        places,
                        used,
                    ),
                    used,
                )
                counts[row] = used - before
        return used

    return losses


@jit
def find(positions, position):
    """Return the place of a position among ascending ones; −1 if it is not among them."""
    place = np.searchsorted(positions, position)
    return place if place < len(positions) and positions[place] == position else -1


@jit
def total(x):
    """Return Σx in double precision."""
    result = 0.0
    for j in range(len(x)):
        result += np.float64(x[j])
    return result


@jit
def keep(y, index, spot, target, smoothing, share, start, entries, places, used):
    """Append the entries of Π − q for a row that begins at ``start``; return their new number.

    ``spot`` is the place of the target among the candidates, or −1.
    """
    for i in range(len(y)):
        if y[i] > 0.0 or i == spot:
            entries[used] = y[i] - share - (1.0 - smoothing if i == spot else 0.0)
            places[used] = start + index[i]
            used += 1
    if spot < 0 and target >= 0:
        entries[used] = smoothing - 1.0 - share
        places[used] = start + target
        used += 1
    return used
