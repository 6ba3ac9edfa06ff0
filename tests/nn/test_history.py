"""Hypotheses share memory, and each one sees only its own past in it."""

import torch
from torch import Tensor

from seq2seq.nn.history import History
from seq2seq.nn.multi_head_attention import KeysValues

SENTENCES, HEADS, SIZE = 2, 3, 4


def entries(first: int, width: int) -> KeysValues:
    """Keys that say whose they are: 10 · position + hypothesis."""
    keys = torch.arange(first, first + width).double()
    keys = keys[None, None, :, None].expand(SENTENCES, HEADS, width, SIZE)
    return KeysValues(keys, -keys)


def past(history: History, attended: KeysValues) -> list[list[list[int]]]:
    """Return what each hypothesis of each sentence sees."""
    assert (attended.keys == -attended.values).all()
    keys = attended.keys[:, 0, :, 0].long()
    if history.visible is None:
        return [[row.tolist()] for row in keys]
    return [
        [row[seen].tolist() for seen in places]
        for row, places in zip(keys, history.visible, strict=True)
    ]


def test_each_hypothesis_sees_the_past_of_its_parent() -> None:
    empty = KeysValues(*(torch.zeros(SENTENCES, HEADS, 5, SIZE).double() for _ in range(2)))
    history = History.empty([empty])
    history = history.advance(1)
    history.write(0, entries(0, 1))
    history = history.widen(3)
    expected = [[[0]] * 3] * SENTENCES
    orders = [
        [2, 2, 1],
        [0, 1, 2],
        [1, 0, 0],
        [2, 1, 1],
    ] * 6  # more than there is room for at first
    for position, order in enumerate(orders, start=1):
        history = history.advance(3)
        attended = history.write(0, entries(10 * position, 3))
        expected = [[row[i] + [10 * position + i] for i in range(3)] for row in expected]
        assert past(history, attended) == expected
        rows = torch.tensor([order, [0, 1, 2]]) + torch.tensor([[0], [3]])
        history = history.reorder(rows.flatten())
        expected = [[expected[0][i] for i in order], expected[1]]
    kept = history.keep(torch.tensor([1])).advance(3)
    attended = kept.write(0, KeysValues(*(side[:1] for side in entries(500, 3))))
    assert past(kept, attended)[0] == [[*row, 500 + i] for i, row in enumerate(expected[1])]
    picked = history.select(torch.tensor([4, 0]), 3)
    keys = KeysValues(*(side[:, :, : picked.entries] for side in picked.room.layers[0]))
    assert past(picked, keys) == [[expected[1][1]], [expected[0][0]]]
    assert picked.length == len(orders) + 1


def test_what_no_hypothesis_sees_leaves() -> None:
    empty = KeysValues(*(torch.zeros(SENTENCES, HEADS, 5, SIZE).double() for _ in range(2)))
    history = History.empty([empty]).widen(3)
    expected: list[int] = []
    for position in range(50):
        history = history.advance(3)
        attended = history.write(0, entries(10 * position, 3))
        place = position % 3
        assert past(history, attended)[1][place] == [*expected, 10 * position + place]
        history = history.reorder(torch.tensor([place] * 3 + [3 + place] * 3))
        expected.append(10 * position + place)
    assert history.length == 50
    assert history.room.capacity < 3 * 50


def test_two_continuations_of_one_history_are_independent() -> None:
    empty = KeysValues(*(torch.zeros(SENTENCES, HEADS, 5, SIZE).double() for _ in range(2)))
    first = History.empty([empty]).advance(1)
    first.write(0, entries(0, 1))
    left, right = first.advance(1), first.advance(1)
    seen_left, seen_right = left.write(0, entries(1, 1)), right.write(0, entries(2, 1))
    assert past(left, seen_left) == [[[0, 1]]] * SENTENCES
    assert past(right, seen_right) == [[[0, 2]]] * SENTENCES


def test_rooms_grow_by_doubling() -> None:
    empty = KeysValues(*(torch.zeros(SENTENCES, HEADS, 5, SIZE).double() for _ in range(2)))
    history = History.empty([empty])
    rooms: list[Tensor] = []
    for position in range(100):
        history = history.advance(1)
        history.write(0, entries(position, 1))
        if not rooms or rooms[-1] is not history.room.layers[0].keys:
            rooms.append(history.room.layers[0].keys)
    assert [room.size(2) for room in rooms] == [8, 16, 32, 64, 128]
