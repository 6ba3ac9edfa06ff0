import os

import pyarrow as pa
from datasets import Dataset

from seq2seq.data import cache
from seq2seq.data.cache import cache_folder, column_key, content_key, file_key, texts_key

TEXTS = ["a b", "", "grün", "c", "d e f"]


def test_column_key_depends_on_texts_not_on_chunks_slices_or_type():
    whole = pa.chunked_array([TEXTS], pa.string())
    chunked = pa.chunked_array([TEXTS[:2], [], TEXTS[2:]], pa.large_string())
    sliced = pa.chunked_array([["x", *TEXTS, "y"]], pa.string()).slice(1, len(TEXTS))
    assert column_key(whole) == column_key(chunked) == column_key(sliced)


def test_column_key_tells_where_texts_end():
    assert column_key(pa.chunked_array([["ab", "c"]])) != column_key(
        pa.chunked_array([["a", "bc"]])
    )
    assert column_key(pa.chunked_array([["a"]])) != column_key(pa.chunked_array([["a", ""]]))


def test_content_key_tells_parts_apart():
    assert content_key("ab", "c") != content_key("a", "bc")
    assert content_key(b"1") != content_key(1, 1)


def test_environment_names_the_cache(own_cache, monkeypatch, tmp_path):
    assert cache_folder() == own_cache
    assert cache_folder(tmp_path / "mine") == tmp_path / "mine"
    monkeypatch.delenv("SEQ2SEQ_CACHE")
    assert cache_folder().name == "seq2seq"


def test_key_of_texts_is_that_of_the_rows_chosen_and_is_computed_once(tmp_path, monkeypatch):
    split = Dataset.from_dict({"source": TEXTS})
    chosen = split.select([4, 0, 2])
    expected = column_key(pa.chunked_array([[TEXTS[k] for k in (4, 0, 2)]]))
    assert texts_key(chosen, "source", tmp_path) == expected
    assert texts_key(split, "source", tmp_path) == column_key(pa.chunked_array([TEXTS]))
    monkeypatch.setattr(cache, "_texts_key", None)
    assert texts_key(split.select([4, 0, 2]), "source", tmp_path) == expected


def test_key_of_a_file_is_remembered_until_the_file_changes(tmp_path, monkeypatch):
    path = tmp_path / "file"

    def write(text, age):
        path.write_text(text)
        then = os.stat(path).st_mtime_ns - age * 10**9
        os.utime(path, ns=(then, then))
        return file_key(path, tmp_path / "cache")

    first = write("text", age=60)
    with monkeypatch.context() as patch:
        patch.setattr(cache.hashlib, "file_digest", None)
        assert file_key(path, tmp_path / "cache") == first
    assert write("tent", age=60) != first
    assert write("text", age=60) == first


def test_a_file_that_was_written_just_now_is_not_remembered(tmp_path):
    (tmp_path / "file").write_text("text")
    file_key(tmp_path / "file", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
