import io

import pytest
import sentencepiece
from datasets import Dataset
from sentencepiece import sentencepiece_model_pb2

from seq2seq.data import DataError, Subwords, Words, build_subwords, count_words, train_subwords


def own_model(texts, path, **settings):
    """Train a model with SentencePiece's own defaults, as users do."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(texts["train"]["source"]),
        model_writer=model,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
        **settings,
    )
    path.write_bytes(model.getvalue())
    return path


@pytest.mark.parametrize(
    "settings",
    [
        {},  # unk 0, bos 1, eos 2, no pad
        {"model_type": "bpe"},
        {"pad_id": 3},
        {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3},
        {"bos_id": -1, "eos_id": -1},
        {"control_symbols": "<pad>"},
        {"user_defined_symbols": "<pad>,<tag>"},
        {"bos_id": -1, "eos_id": -1, "control_symbols": "<s>,</s>"},
        {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3, "user_defined_symbols": "<s>,<pad>"},
    ],
)
def test_own_model_segments_as_before_under_our_special_ids(texts, tmp_path, settings):
    path = own_model(texts, tmp_path / "own.model", **settings)
    pair = build_subwords(texts["train"], source_model=path)
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(path))
    assert pair.joint
    for text in texts["validation"]["source"]:
        ids = pair.source.encode(text)
        assert pair.source.pieces(ids) == theirs.encode(text, out_type=str)
        assert pair.source.decode(ids) == text
    assert pair.source.pieces([1]) == ["<unk>"]
    assert pair.source.pieces([0, 2, 3]) == ["<pad>", "<s>", "</s>"]
    assert pair.source.decode([0, 2, 3]) == ""
    assert 0 not in pair.source.encode("<pad>")


def test_own_model_of_one_side_and_a_trained_one_of_the_other(texts, tmp_path):
    path = own_model(texts, tmp_path / "own.model")
    pair = build_subwords(texts["train"], target_model=path, joint=False, size=300)
    trained = train_subwords(texts["train"], joint=False, size=300)
    assert (pair.source, pair.target) == (trained.source, build_own(path))


def build_own(path):
    return build_subwords(Dataset.from_dict({}), source_model=path).source


def test_a_users_model_with_other_ids_is_not_mistaken_for_ours(texts, tmp_path):
    path = own_model(texts, tmp_path / "own.model")
    with pytest.raises(DataError, match="adopt_subwords"):
        Subwords.load(path)


def test_own_model_with_an_ordinary_piece_of_a_special_name_is_refused(texts, tmp_path):
    path = own_model(texts, tmp_path / "own.model", pad_piece="<nothing>")
    proto = sentencepiece_model_pb2.ModelProto.FromString(path.read_bytes())
    proto.trainer_spec.pad_piece = proto.pieces[-1].piece
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(DataError, match=r"no pad, and .* is an ordinary piece; train the model"):
        build_own(path)


@pytest.mark.parametrize("content", [b"", b"no model" * 9, b"\x08\x01"])
def test_own_file_that_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "bad.model"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.model: "):
        build_own(path)


def test_each_kind_builds_its_vocabulary_and_ignores_settings_of_others(texts):
    every = {"size": 300, "min_frequency": 2, "normalization": "nfkc", "byte_fallback": False}
    words = build_subwords(texts["train"], kind="word", **every)
    assert words == count_words(texts["train"], size=300, min_frequency=2)
    assert words.joint
    subwords = build_subwords(texts["train"], kind="bpe", **every)
    assert subwords == train_subwords(
        texts["train"], size=300, kind="bpe", normalization="nfkc", byte_fallback=False
    )


def test_an_error_for_an_unknown_kind_lists_the_known_ones(texts):
    with pytest.raises(DataError, match="kind=char is none of: unigram, bpe, word"):
        build_subwords(texts["train"], kind="char")


def test_own_word_vocabulary(texts, tmp_path):
    Words.of(["dog", "cat"]).save(tmp_path / "words.json")
    path = tmp_path / "words.json"
    pair = build_subwords(texts["train"], kind="word", source_model=path)
    assert pair.joint
    assert pair.source == Words.of(["dog", "cat"])
    mixed = build_subwords(texts["train"], kind="word", source_model=path, joint=False)
    assert mixed.target == count_words(texts["train"], joint=False).target
    with pytest.raises(DataError, match=r"words\.json: these bytes are not a SentencePiece model"):
        build_subwords(texts["train"], kind="unigram", source_model=path)
