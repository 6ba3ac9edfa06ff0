"""Extended vocabularies: old ids stay the same, and new texts need the new pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from seq2seq.data import VocabularyPair, Words, build_subwords
from seq2seq.data.batch import UNK_ID
from seq2seq.data.subwords import Subwords
from seq2seq.data.vocabulary_extension import extend_vocabularies, written_before
from seq2seq.data.words import SPECIALS

OLD = [f"the small dog {verb} number {k}" for k in range(40) for verb in ("sees", "hears")]
NEW = [f"chronic hepatitis requires Treatment {k} weekly ö" for k in range(40)]


def split(source: list[str], target: list[str] | None = None) -> Dataset:
    return Dataset.from_dict({"source": source, "target": target or source})


def built(kind: str, texts: Dataset | None = None, **settings: object) -> VocabularyPair:
    settings = {"byte_fallback": False, "size": 60, **settings}
    return build_subwords(texts or split(OLD), kind=kind, **settings)


@pytest.mark.parametrize("kind", ["unigram", "bpe", "word"])
def test_old_ids_stay_and_the_new_texts_are_written_without_unknowns(kind: str) -> None:
    old = built(kind)
    new = extend_vocabularies(old, split(NEW), size=150)
    assert new.joint
    assert new.source.size > old.source.size
    ids = range(old.source.size)
    assert new.source.pieces(ids) == old.source.pieces(ids)
    before = [np.asarray(x) for x in old.source.encode_batch(NEW)]
    after = [np.asarray(x) for x in new.source.encode_batch(NEW)]
    assert all((x == UNK_ID).any() for x in before)
    assert not any((x == UNK_ID).any() for x in after)
    assert [new.source.decode(x.tolist()) for x in after] == NEW


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_no_new_piece_is_never_used(kind: str) -> None:
    old = built(kind)
    texts = NEW + OLD[:5]
    new = extend_vocabularies(old, split(texts), size=150)
    added = new.source.pieces(range(old.source.size, new.source.size))
    words = [piece.replace("▁", " ").strip() for piece in added if piece.startswith("▁")]
    for word, piece in zip(words, (p for p in added if p.startswith("▁")), strict=True):
        assert not word or new.source.pieces(new.source.encode(word)) == [piece]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_new_piece_is_made_of_the_old_ones_that_wrote_it(kind: str) -> None:
    old = built(kind)
    new = extend_vocabularies(old, split(NEW), size=150)
    added = new.source.pieces(range(old.source.size, new.source.size))
    written = written_before(old.source, new.source)
    assert len(written) == len(added)
    for piece, ids in zip(added, written, strict=True):
        assert "".join(old.source.pieces(ids)) in (piece, "")
        assert bool(ids) == all(
            c in "".join(old.source.pieces(range(4, old.source.size))) for c in piece
        )
    assert any(written)


def test_new_words_were_not_written_before() -> None:
    old = built("word")
    new = extend_vocabularies(old, split(NEW), size=20)
    assert set(map(tuple, written_before(old.source, new.source))) == {()}


def test_new_pieces_are_learned_on_texts_as_the_old_vocabulary_reads_them() -> None:
    for kind in ("unigram", "word"):
        old = built(kind, lowercase=True)
        new = extend_vocabularies(old, split(NEW), size=150)
        assert new.source.encode("TREATMENT") == new.source.encode("treatment")
        assert not any(c.isupper() for c in "".join(new.source.pieces(range(4, new.source.size))))
    old = built("word", tokenizer="treebank")
    new = extend_vocabularies(old, split(["it requires treatment."]))
    assert isinstance(new.source, Words)
    assert new.source.tokenizer == "treebank"
    assert "treatment" in new.source.pieces(range(new.source.size))


def test_each_side_gets_its_own_pieces() -> None:
    old = built("unigram", split(OLD, [text.upper() for text in OLD]), joint=False)
    new = extend_vocabularies(old, split(NEW, [text.upper() for text in NEW]), size=100)
    assert not new.joint
    assert not any(c.isupper() for c in "".join(new.source.pieces(range(4, old.source.size))))
    assert UNK_ID not in new.target.encode("HEPATITIS")
    assert UNK_ID in new.source.encode("HEPATITIS")


@pytest.mark.parametrize("kind", ["unigram", "bpe", "word"])
def test_texts_that_need_nothing_new_leave_the_vocabulary_as_it_is(kind: str) -> None:
    old = built(kind)
    assert extend_vocabularies(old, split(OLD), size=60) == old


def test_characters_of_a_vocabulary_with_bytes_are_not_lost() -> None:
    old = built("unigram", size=330, byte_fallback=True)
    assert isinstance(old.source, Subwords)
    new = extend_vocabularies(old, split(NEW), size=400)
    assert new.source.decode(new.source.encode("Щ hepatitis")) == "Щ hepatitis"
    added = new.source.size - old.source.size
    assert all(written_before(old.source, new.source)[:added]), "bytes write every text"


def test_a_vocabulary_that_is_no_extension_is_refused() -> None:
    old, other = built("word").source, built("word", split(NEW)).source
    with pytest.raises(ValueError, match="does not begin with the pieces of the old one"):
        written_before(old, other)
    assert written_before(old, old) == []
    assert old.pieces(range(4)) == [*SPECIALS]


def test_the_same_texts_and_settings_give_the_same_vocabulary() -> None:
    old = built("bpe")
    one, other = (
        extend_vocabularies(old, split(NEW), size=150, cache_folder=cache) for cache in (None, None)
    )
    assert one == other


@pytest.mark.parametrize("damage", [b"", b"no model"])
def test_a_damaged_cached_vocabulary_is_rebuilt(tmp_path: Path, damage: bytes) -> None:
    old = built("bpe")
    first = extend_vocabularies(old, split(NEW), size=150, cache_folder=tmp_path)
    (entry,) = (tmp_path / "subwords").iterdir()
    entry.write_bytes(damage)
    assert extend_vocabularies(old, split(NEW), size=150, cache_folder=tmp_path) == first
