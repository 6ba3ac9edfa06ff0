import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data.sequences import Sequences, collate

ids = st.lists(st.lists(st.integers(4, 1000), max_size=9), min_size=1, max_size=12)


@given(rows=ids, cut=st.integers(0, 12), order=st.randoms())
def test_padded_rows_are_the_sequences_wherever_they_are_stored(rows, cut, order):
    chunks = [chunk for chunk in (rows[:cut], rows[cut:]) if chunk]
    sequences = Sequences.from_arrow(pa.chunked_array(chunks, pa.list_(pa.int32())))
    chosen = np.array(order.choices(range(len(rows)), k=5))
    batch = collate(sequences, sequences, chosen, bos=2, eos=3)
    for k, row in enumerate(chosen):
        source = batch.source[k, : batch.source_lengths[k]].tolist()
        target = batch.target[k, : batch.target_lengths[k]].tolist()
        assert source == [*rows[row], 3]
        assert target == [2, *rows[row], 3]
        assert sequences[row].tolist() == rows[row]
    assert not batch.source[~batch.source_mask].any()
    assert not batch.target_output[~batch.target_mask].any()
    assert batch.indices.tolist() == chosen.tolist()


def test_ids_stay_where_arrow_has_them():
    column = pa.chunked_array([[[4, 5], [6]]], pa.list_(pa.int32()))
    stored = column.chunk(0).values.to_numpy()
    assert np.shares_memory(Sequences.from_arrow(column)[0], stored)
