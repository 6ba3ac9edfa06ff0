import json
import socket

import pytest

from seq2seq.data import DataError
from seq2seq.data.corpora import hub as hub_module
from seq2seq.data.corpora.hub import Hub

PAIRS = [("one dog", "ein Hund"), ("two dogs", "zwei Hunde"), ("three dogs", "drei Hunde")]


@pytest.fixture
def stored(tmp_path):
    """Options of a local dataset of records, read by the builder "json" as a hub set is read."""

    def store(records):
        path = tmp_path / "set.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return {"data_files": str(path), "cache_dir": str(tmp_path / "hub")}

    return store


def hub(options, **arguments):
    given = {"source_language": "en", "target_language": "de", "train": "train"} | arguments
    return Hub("json", validation=None, test=None, options=options, **given)


def pairs(corpus, split="train"):
    loaded = corpus.load()[split]
    return list(zip(loaded["source"], loaded["target"], strict=True))


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "record",
    [
        lambda en, de: {"id": "1", "translation": {"de": de, "en": en}},
        lambda en, de: {"translation.de": de, "translation.en": en},
        lambda en, de: {"de": de, "en": en},
        lambda en, de: {"source": en, "target": de},
    ],
)
def test_a_text_is_found_by_its_language(stored, record, streaming):
    options = stored([record(*pair) for pair in PAIRS])
    assert pairs(hub(options, streaming=streaming)) == PAIRS


def test_columns_can_be_set(stored):
    options = stored([{"en": "no", "de": "nein", "x": {"a": a}, "y": b} for a, b in PAIRS])
    assert pairs(hub(options, source_column="x.a", target_column="y")) == PAIRS


def test_further_references_are_columns(stored):
    options = stored([{"en": a, "de": b, "more": {"x": a[::-1]}} for a, b in PAIRS])
    train = hub(options, reference_columns=["more.x"]).load()["train"]
    assert train["target_2"][:] == [a[::-1] for a, _ in PAIRS]


def test_splits_are_those_of_datasets(stored):
    options = stored([{"en": a, "de": b} for a, b in PAIRS])
    corpus = Hub("json", None, "en", "de", train="train[:2]", validation="train[2:]", test=None,
                 options=options)  # fmt: skip
    assert pairs(corpus) == PAIRS[:2]
    assert pairs(corpus, "validation") == PAIRS[2:]


def test_a_stream_is_read_once_and_not_kept_by_datasets(stored, tmp_path, monkeypatch):
    options = stored([{"en": a, "de": b} for a, b in PAIRS])
    assert pairs(hub(options, streaming=True)) == PAIRS
    assert not list((tmp_path / "hub").rglob("*.arrow"))
    monkeypatch.setattr(hub_module.datasets, "load_dataset", None)
    assert pairs(hub(options, streaming=True)) == PAIRS


def test_local_datasets_reach_no_network(stored, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert pairs(hub(stored([{"en": a, "de": b} for a, b in PAIRS]))) == PAIRS


def test_missing_splits_and_columns_are_named(stored, tmp_path):
    options = stored([{"translation": {"fr": "un", "it": "uno"}, "id": "1"}])
    message = r"^data\.train: train of json has none of translation\.en, en, source; it has: "
    with pytest.raises(DataError, match=message + r"id, translation, translation\.fr"):
        hub(options).load()
    options = {"data_files": str(tmp_path / "no.jsonl"), "cache_dir": str(tmp_path)}
    with pytest.raises(DataError, match=r"data\.train: datasets cannot load 'train' of json"):
        hub(options).load()


@pytest.mark.parametrize("streaming", [False, True])
def test_empty_pairs_are_named_or_skipped(stored, streaming):
    options = stored([{"en": a, "de": b} for a, b in [*PAIRS, ("", "leer")]])
    with pytest.raises(DataError, match="line 4 of train of json is empty"):
        hub(options, streaming=streaming).load()
    assert pairs(hub(options, streaming=streaming, on_empty="skip")) == PAIRS
