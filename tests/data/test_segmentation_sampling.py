"""Sampled segmentations: SentencePiece's distribution, and equal in every process."""

from __future__ import annotations

import io
import multiprocessing
from collections import Counter
from multiprocessing.queues import SimpleQueue
from typing import Any

import pytest
import scipy.stats
import sentencepiece
from datasets import Dataset
from sentencepiece import sentencepiece_model_pb2

from seq2seq.data.subword_training import train_subwords
from seq2seq.data.subwords import Subwords, seed_sampling
from seq2seq.system.errors import DataError

TEXT = "the young dogs 漢字 walkst"
DRAWS = 4000


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Subwords]:
    lines = [
        f"the {a} dogs walk in number {n} gardens with {b}s"
        for n in range(100)
        for a in ("young", "old")
        for b in ("cat", "zebra")
    ]
    split = Dataset.from_dict({"source": lines, "target": lines})
    folder = tmp_path_factory.mktemp("subwords")
    pair = train_subwords(
        split, size=100, kind=request.param, byte_fallback=False, cache_folder=folder
    )
    assert isinstance(pair.source, Subwords)
    return request.param, pair.source


LINES = [f"the {a} dogs walk {n} times" for n in range(60) for a in ("young", "old")]
TAGGED = "<2de> the dogs<2de>walk ÷ ab <s>ab</s>"


def trained(kind: str, **settings: Any) -> Any:
    """Return a SentencePiece model of other people, as a message that can be changed."""
    writer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(LINES),
        model_writer=writer,
        model_type=kind,
        vocab_size=60 + 256 * settings.get("byte_fallback", False),
        hard_vocab_limit=False,
        pad_id=0,
        unk_id=1,
        bos_id=2,
        eos_id=3,
        minloglevel=2,
        **settings,
    )
    return sentencepiece_model_pb2.ModelProto.FromString(writer.getvalue())


def drawn_by_both(
    subwords: Subwords, text: str, alpha: float, nbest: int, seed: int
) -> list[Counter[tuple[int, ...]]]:
    """How often we draw each segmentation of a text, and how often SentencePiece does."""
    seed_sampling(seed)
    ours = subwords.encode_batch([text] * DRAWS, sample=True, alpha=alpha, nbest=nbest)
    theirs = subwords._processor.Encode(
        [text] * DRAWS,
        return_type=int,
        enable_sampling=True,
        alpha=alpha,
        nbest_size=nbest,
        num_threads=1,
    )
    return [Counter(tuple(map(int, ids)) for ids in drawn) for drawn in (ours, theirs)]


def p_value(subwords: Subwords, text: str, alpha: float, nbest: int) -> float:
    """Of the hypothesis that ours and SentencePiece's draws have one distribution."""
    counts = drawn_by_both(subwords, text, alpha, nbest, seed=5)
    common = [key for key, count in (counts[0] + counts[1]).items() if count >= 20]
    table = [[count[key] for key in common] for count in counts]
    table = [[*row, DRAWS - sum(row)] for row in table if row]  # the rare ones together
    table = [[column[k] for column in zip(*table, strict=True) if sum(column)] for k in (0, 1)]
    assert len(table[0]) > 1
    return float(scipy.stats.chi2_contingency(table).pvalue)


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize(("alpha", "nbest"), [(0.1, -1), (0.6, -1), (0.2, 8)])
@pytest.mark.parametrize("byte_fallback", [False, True])
def test_models_of_others_are_sampled_as_by_sentencepiece(
    kind: str, alpha: float, nbest: int, byte_fallback: bool
) -> None:
    model = trained(
        kind,
        user_defined_symbols=["<2de>", "ab", "<2"],
        control_symbols=["<c>"],
        byte_fallback=byte_fallback,
    )
    subwords = Subwords(model.SerializeToString())
    assert p_value(subwords, TAGGED, alpha, nbest) > 1e-6
    if kind == "bpe":
        drawn = subwords.pieces(subwords.encode(TAGGED, sample=True, alpha=1.0))
        assert drawn.count("<2de>") == 2, "a symbol of the user is never taken apart"
        assert drawn.count("ab") == 2


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_unused_pieces_are_not_drawn(kind: str) -> None:
    model = trained(kind)
    kinds = type(model).SentencePiece
    unused = [p for p in model.pieces if p.type == kinds.NORMAL and len(p.piece) > 1][::4]
    for piece in unused:
        piece.type = kinds.UNUSED
    subwords = Subwords(model.SerializeToString())
    names = {piece.piece for piece in unused}
    text = "the young dogs walk 17 times"
    for alpha in (0.0, 0.3):
        drawn = subwords.encode_batch([text] * 300, sample=True, alpha=alpha)
        assert not any(names & {*subwords.pieces(ids)} for ids in drawn)
        assert {subwords.decode(ids) for ids in drawn} == {text}
    assert len(unused) > 1
    assert p_value(subwords, text, 0.05, -1) > 1e-6


@pytest.mark.parametrize("kind", ["char", "word"])
def test_models_of_one_segmentation_are_refused_as_sentencepiece_does(kind: str) -> None:
    subwords = Subwords(trained(kind).SerializeToString())
    with pytest.raises(DataError, match=f"kind {kind} has only one segmentation .*alpha=null"):
        subwords.encode("the dogs", sample=True, alpha=0.1)


@pytest.mark.parametrize(
    ("kind", "alpha", "nbest", "message"),
    [
        ("unigram", 0.1, 513, r"nbest=513 .* at most 512"),
        ("bpe", 1.5, -1, r"alpha=1\.5 .* between 0 and 1"),
        ("unigram", -0.5, -1, r"alpha=-0\.5 .* at least 0"),
        ("unigram", float("nan"), -1, "alpha=nan"),
    ],
)
def test_wrong_settings_are_refused_by_their_keys(
    kind: str, alpha: float, nbest: int, message: str
) -> None:
    subwords = Subwords(trained(kind).SerializeToString())
    with pytest.raises(DataError, match=rf"data\.subwords\.sampling\.{message}"):
        subwords.encode("the dogs", sample=True, alpha=alpha, nbest=nbest)


def distance(a: Counter[tuple[int, ...]], b: Counter[tuple[int, ...]]) -> float:
    """Half of Σ |p − q| over the segmentations that are not rare."""
    common = [key for key, count in (a + b).items() if count > DRAWS / 100]
    return sum(abs(a[key] - b[key]) for key in common) / 2 / DRAWS


@pytest.mark.parametrize(("alpha", "nbest"), [(0.1, -1), (0.5, -1), (0.3, 4), (0.3, 1)])
def test_segmentations_are_as_frequent_as_sentencepiece_draws_them(
    model: tuple[str, Subwords], alpha: float, nbest: int
) -> None:
    kind, subwords = model
    if nbest == 1:
        drawn = subwords.encode_batch([TEXT], sample=True, alpha=alpha, nbest=1)[0].tolist()
        assert kind == "bpe" or drawn == subwords.encode(TEXT)
        return
    ours, theirs = drawn_by_both(subwords, TEXT, alpha, nbest, seed=1)
    assert len(ours) > 1
    assert distance(ours, theirs) < 0.05


def test_without_chance_the_best_segmentation_is_drawn(model: tuple[str, Subwords]) -> None:
    kind, subwords = model
    for text in (TEXT, "the old dogs walk in garden 7", "", "  a  ", "漢 字漢字"):
        drawn = subwords.encode(text, sample=True, alpha=200.0 if kind == "unigram" else 0.0)
        assert drawn == subwords.encode(text)


def drawn_elsewhere(model: bytes, answers: SimpleQueue) -> None:
    subwords = Subwords(model)
    seed_sampling([3, 4])
    answers.put([subwords.encode(TEXT, sample=True) for _ in range(50)])


def test_another_process_draws_the_same(model: tuple[str, Subwords]) -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork here")
    subwords = model[1]
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    process = context.Process(target=drawn_elsewhere, args=(subwords.model, answers))
    process.start()
    elsewhere = answers.get()
    process.join()
    seed_sampling([3, 4])
    assert [subwords.encode(TEXT, sample=True) for _ in range(50)] == elsewhere
