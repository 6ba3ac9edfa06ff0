"""The loops over rows that all mappings share.

``forward_kernel`` and ``backward_kernel`` build a loop around the functions of one mapping. A
mapping is a module of this package with four functions:

- ``reach(theta, length)`` returns how far below the largest score the support can reach, at γ = 1,
  for an array of parameters.
- ``workspace(length)`` allocates the memory that the other two need for a row.
- ``solve(x, place, length, theta, y, work, wanted)`` writes the weights of the candidates ``x`` to
  ``y``, and returns the smoothed max if ``wanted``. The largest candidate is 0. ``place`` has the
  position of each among the ``length`` scores that may be attended.
- ``product(y, v, place, theta, u, work)`` writes J·v to ``u``, all on the support.
"""

# numba infers the types of compiled functions, so they have no annotations.
# mypy: disable-error-code="no-untyped-def"

import numpy as np

from seq2seq.mappings.cpu.compilation import jit, kernel
from seq2seq.mappings.cpu.scan import apart, collect, leading, read, room_for


def forward_kernel(solve, workspace, version):
    """Build the kernel that computes weights."""

    @kernel
    def forward(scores, mask, holes, gammas, thetas, spans, weights, maxima):
        """Write the weights of rows of scores.

        Args:
            scores: ``[rows, length]``.
            mask: ``[masks, length]`` bool; consecutive rows, equally many, share a mask.
            holes: whether −inf between other scores changes the mapping.
            gammas: γ ``[rows]``, or ``[1]`` for all.
            thetas: the parameter of the mapping, as many.
            spans: how far the support reaches, as many.
            weights: ``[rows, length]``, the result.
            maxima: ``[rows]``, receives the smoothed max; ``[0]`` if it is not wanted.
        """
        _ = version
        rows, length = scores.shape
        shared = rows // len(mask)
        room, work, wanted = room_for(scores), workspace(length), len(maxima) > 0
        for group in range(len(mask)):
            valid, whole = leading(mask[group])
            for row in range(group * shared, (group + 1) * shared):
                at = row if len(gammas) > 1 else 0
                gamma, theta, span = gammas[at], thetas[at], spans[at]
                attended, _, best, count = read(
                    scores[row], mask[group], valid, whole, holes, gamma, span, room
                )
                y = weights[row]
                y[:] = np.nan if best != best else 0
                value = np.nan if best != best else 0.0
                if count > 0:
                    x, place, result = room.values[:count], room.place[:count], room.result[:count]
                    value = solve(x, place, len(attended), theta, result, work, wanted)
                    value = value * gamma + best
                    for i in range(count):
                        y[room.position[i]] = result[i]
                if wanted:
                    maxima[row] = value

    return forward


def backward_kernel(product, workspace, version):
    """Build the kernel that multiplies by the Jacobian."""

    @kernel
    def backward(weights, vectors, scores, mask, neighbors, gammas, thetas, result):
        """Write J·v of rows, computed from the weights alone.

        Args:
            weights: ``[rows, length]``.
            vectors: v ``[rows, length]``.
            scores: ``[rows, length]``; only their −inf matter, and only if ``neighbors``.
            mask: ``[masks, length]`` bool, likewise; consecutive rows share a mask.
            neighbors: whether the mapping depends on which positions are next to each other.
            gammas: γ ``[rows]``, or ``[1]`` for all.
            thetas: the parameter of the mapping, as many.
            result: ``[rows, length]``.
        """
        _ = version
        rows, length = weights.shape
        shared = rows // len(mask)
        room, work, directions = room_for(weights), workspace(length), np.empty(length)
        for row in range(rows):
            y, out, index, place = weights[row], result[row], room.position, room.place
            out[:] = np.nan if y[0] != y[0] else 0
            count = collect(y, y.dtype.type(0), index)
            if count <= 1:  # a single weight is 1, whatever the scores are
                continue
            at = row if len(gammas) > 1 else 0
            scale = 1.0 / gammas[at]
            for i in range(count):
                room.values[i] = y[index[i]]
                directions[i] = vectors[row, index[i]] * scale
            if neighbors:
                close_holes(y, scores[row], mask[row // shared], index[:count], place)
            u = room.result[:count]
            product(room.values[:count], directions[:count], place[:count], thetas[at], u, work)
            for i in range(count):
                out[index[i]] = u[i]

    return backward


@jit
def close_holes(y, x, mask, index, place):
    """Write places for the support, 1 apart if nothing that may be attended lies between them.

    The others are 2 apart. Positions of different weight are in different runs, so it does not
    matter whether these are neighbors.
    """
    place[0] = index[0]
    for i in range(1, len(index)):
        left, right = index[i - 1], index[i]
        near = right == left + 1 or (y[left] == y[right] and not apart(x, mask, left, right))
        place[i] = place[i - 1] + (1 if near else 2)
