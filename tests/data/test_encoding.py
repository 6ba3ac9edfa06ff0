import numpy as np
import pytest
from datasets import Dataset

from seq2seq.data.encoding import drawn_column, encoded_column

TEXTS = [f"the {'small ' * (k % 7)}dog sees a cat" for k in range(1_000)]


@pytest.fixture
def split():
    return Dataset.from_dict({"source": TEXTS})


@pytest.fixture
def encode(split, subwords, tmp_path):
    def encode(processes, name="ids"):
        path = tmp_path / name / "key.arrow"
        found = encoded_column(split, "source", subwords.source, path, processes=processes)
        return [ids.tolist() for ids in (found[k] for k in range(len(found)))]

    return encode


def test_ids_do_not_depend_on_the_number_of_processes(encode, subwords):
    expected = [subwords.source.encode(text) for text in TEXTS]
    assert encode(1, "one") == encode(2, "two") == encode(3, "three") == expected


@pytest.mark.parametrize(("first", "second"), [(1, 2), (3, 1)])
def test_ids_of_any_number_of_processes_serve_others(encode, tmp_path, first, second):
    made = encode(first)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "ids").iterdir()}
    assert len(files) == first
    assert encode(second) == made
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "ids").iterdir()} == files


def test_a_damaged_file_among_several_is_rebuilt(encode, tmp_path):
    made = encode(2)
    (tmp_path / "ids" / "key_00001_of_00002.arrow").write_bytes(b"damaged")
    assert encode(2) == made


def test_drawn_ids_repeat_by_seed_and_leave_no_file(split, subwords, encode, tmp_path):
    path = tmp_path / "ids" / "key.arrow"
    best = encoded_column(split, "source", subwords.source, path)

    def draw(seed):
        drawn = drawn_column(
            split, "source", subwords.source, best,
            seed=[seed], limit=12, sampling={"alpha": 0.1}, folder=tmp_path / "drawn",
        )  # fmt: skip
        return [drawn[k].tolist() for k in range(len(drawn))]

    assert draw(1) == draw(1) != draw(2)
    assert list((tmp_path / "drawn").iterdir()) == []
    long = [k for k, ids in enumerate(draw(1)) if len(ids) > 12]
    assert all(len(best[k]) > 12 for k in long)
    assert [subwords.source.decode(ids) for ids in draw(1)] == TEXTS


def test_lengths_and_ids_take_no_memory_of_their_own(encode, split, subwords, tmp_path):
    path = tmp_path / "ids" / "key.arrow"
    found = encoded_column(split, "source", subwords.source, path)
    assert not any(array.flags.owndata for array in (*found._values, *found._offsets))
    assert found.lengths.dtype == np.int32
