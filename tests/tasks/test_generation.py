"""The loss of tasks that write text, and texts with copied words."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset, DatasetDict

from seq2seq.data import ParallelData, VocabularyPair, Words
from seq2seq.mappings import Sparsemax
from seq2seq.models import EncoderDecoder, Recurrent, Transformer
from seq2seq.nn.coverage import coverage_loss
from seq2seq.nn.losses import SequenceLoss
from seq2seq.search import Beam, Greedy, Sample
from seq2seq.search import Search as AnySearch
from seq2seq.tasks.translation import Translation

WORDS = Words.of(["the", "dog", "sees"])
PAIRS = {"source": ["the Rex sees Tom", "the dog sees"], "target": ["Tom sees", "the dog the dog"]}
SIZES = (WORDS.size, WORDS.size)


@pytest.fixture
def data() -> ParallelData:
    split = Dataset.from_dict(PAIRS)
    return ParallelData(DatasetDict(train=split, test=split), VocabularyPair(WORDS, WORDS))


def recurrent(**options: bool) -> Recurrent:
    torch.manual_seed(0)
    sizes = {"embedding_size": 8, "hidden_size": 8}
    return Recurrent(*SIZES, mapping=Sparsemax(), **sizes, **options).eval()


def transformer(**options: bool) -> Transformer:
    torch.manual_seed(0)
    sizes = {"size": 8, "feedforward_size": 16, "heads": 2}
    return Transformer(*SIZES, cross_mapping=Sparsemax(), **sizes, **options).eval()


@pytest.mark.parametrize("model", [recurrent(coverage=True), transformer()], ids=["rnn", "tr"])
def test_the_coverage_loss_is_that_of_the_attention(
    model: EncoderDecoder, data: ParallelData
) -> None:
    (batch,) = data.loader("test")
    plain = Translation().loss(model, batch, SequenceLoss())
    found = Translation().loss(model, batch, SequenceLoss(coverage=2.0))
    inputs = batch.source, batch.source_lengths, batch.target_input
    attention = model(*inputs, return_attention=True).attention
    extra = 2 * coverage_loss(attention, batch.target_mask)
    assert float(extra.detach()) > 0
    torch.testing.assert_close(found.loss_sum, plain.loss_sum + extra)


@pytest.mark.parametrize(
    "search", [Greedy(), Beam(3, n_best=2), Beam(4, groups=2, no_repeat_ngram=2), Sample(seed=1)]
)
@pytest.mark.parametrize("build", [recurrent, transformer])
def test_copied_words_are_spelled_as_in_the_source(
    build: type[EncoderDecoder], search: AnySearch, data: ParallelData
) -> None:
    model = build(copying=True)
    with torch.no_grad():
        model.pointer_generator.state.weight.zero_()
        model.pointer_generator.state.bias.fill_(-30.0)  # copies, whatever it reads
    sentences = ["Rex Rex Rex", "the Ann", "Zed"]
    found = Translation().generate(model, data.subwords, sentences, search)
    for sentence, hypotheses in zip(sentences, found, strict=True):
        for text, _ in hypotheses:
            assert set(text.split()) <= set(sentence.split())
    assert any(name in text for texts in found for text, _ in texts for name in ("Rex", "Ann"))


def test_attention_maps_name_the_copied_words(data: ParallelData) -> None:
    first, _ = Translation().attention_maps(recurrent(copying=True), data, "test", 2)
    assert first.source == ["the", "Rex", "sees", "Tom", "</s>"]
    assert first.target == ["Tom", "sees", "</s>"]
    plain, _ = Translation().attention_maps(recurrent(), data, "test", 2)
    assert plain.source == ["the", "<unk>", "sees", "<unk>", "</s>"]
