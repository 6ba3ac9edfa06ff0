import pyarrow as pa
import pytest

from seq2seq.data.cache import cache_folder, column_key, content_key, replacing, write_atomically

TEXTS = ["a b", "", "grün", "c", "d e f"]


def test_column_key_depends_on_texts_not_on_chunks_slices_or_type():
    whole = pa.chunked_array([TEXTS], pa.string())
    chunked = pa.chunked_array([TEXTS[:2], [], TEXTS[2:]], pa.large_string())
    sliced = pa.chunked_array([["x", *TEXTS, "y"]], pa.string()).slice(1, len(TEXTS))
    assert column_key(whole.chunks) == column_key(chunked.chunks) == column_key(sliced.chunks)


def test_column_key_tells_where_texts_end():
    assert column_key([pa.array(["ab", "c"])]) != column_key([pa.array(["a", "bc"])])
    assert column_key([pa.array(["a"])]) != column_key([pa.array(["a", ""])])


def test_content_key_tells_parts_apart():
    assert content_key("ab", "c") != content_key("a", "bc")
    assert content_key(b"1") != content_key(1, 1)


def test_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail():
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.glob(".file*")) == []


def test_environment_names_the_cache(own_cache, monkeypatch, tmp_path):
    assert cache_folder() == own_cache
    assert cache_folder(tmp_path / "mine") == tmp_path / "mine"
    monkeypatch.delenv("SEQ2SEQ_CACHE")
    assert cache_folder().name == "seq2seq"
