import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data import DataError
from seq2seq.data.corpora.layout import lay_out, spread


def test_pairs_stay_pairs_in_the_files_of_their_split(tmp_path):
    sides = [[f"{side} {k}" for k in range(10)] for side in ("s", "t")]
    counts = lay_out(
        sides, ("en", "de"), tmp_path, ("even", "odd"), lambda k: ("even", "odd")[k % 2]
    )
    assert counts == {"even": 5, "odd": 5}
    assert (tmp_path / "odd.en").read_text() == "".join(f"s {k}\n" for k in range(1, 10, 2))
    assert (tmp_path / "odd.de").read_text() == "".join(f"t {k}\n" for k in range(1, 10, 2))


def test_unequal_sides_leave_nothing(tmp_path):
    with pytest.raises(DataError, match="the de side ends after line 2, but the other does not"):
        lay_out([["a", "b", "c"], ["a", "b"]], ("en", "de"), tmp_path, ("x",), lambda _: "x")
    assert list(tmp_path.iterdir()) == []


@given(total=st.integers(8, 500), held_out=st.integers(1, 60))
def test_as_many_are_held_out_as_asked_and_far_apart(total, held_out):
    if 8 * held_out > total:
        with pytest.raises(DataError, match="are too many of"):
            spread(total, held_out)
        return
    choose = spread(total, held_out)
    splits = [choose(k) for k in range(total)]
    assert splits.count("validation") == splits.count("test") == held_out
    places = [k for k, split in enumerate(splits) if split != "train"]
    assert min(b - a for a, b in itertools.pairwise(places)) >= 4
