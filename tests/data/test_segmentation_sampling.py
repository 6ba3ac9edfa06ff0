"""What is drawn is distributed as SentencePiece draws it, and repeats in every process."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from multiprocessing.queues import SimpleQueue

import pytest
from datasets import Dataset

from seq2seq.data.subword_training import train_subwords
from seq2seq.data.subwords import Subwords, seed_sampling

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


def distance(a: Counter[tuple[int, ...]], b: Counter[tuple[int, ...]]) -> float:
    """Half of Σ |p − q| over the segmentations that are not rare."""
    common = [key for key, count in (a + b).items() if count > DRAWS / 100]
    return sum(abs(a[key] - b[key]) for key in common) / 2 / DRAWS


@pytest.mark.parametrize(("alpha", "nbest"), [(0.1, -1), (0.5, -1), (0.3, 4)])
def test_segmentations_are_as_frequent_as_sentencepiece_draws_them(
    model: tuple[str, Subwords], alpha: float, nbest: int
) -> None:
    kind, subwords = model
    if kind == "bpe" and nbest > 0:
        pytest.skip("BPE has no best segmentations")
    seed_sampling(1)
    ours = Counter(
        tuple(map(int, ids))
        for ids in subwords.encode_batch([TEXT] * DRAWS, sample=True, alpha=alpha, nbest=nbest)
    )
    theirs = Counter(
        tuple(ids)
        for ids in subwords._processor.Encode(
            [TEXT] * DRAWS,
            return_type=int,
            enable_sampling=True,
            alpha=alpha,
            nbest_size=nbest,
            num_threads=1,
        )
    )
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
