"""The task entailment: losses, scores and predictions against independent computation."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from datasets import Dataset, DatasetDict
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from seq2seq.cli.train import check
from seq2seq.data.parallel import ParallelData
from seq2seq.mappings import Softmax, Sparsemax
from seq2seq.models import DecomposableAttention, RecurrentClassifier
from seq2seq.nn.losses import SequenceLoss
from seq2seq.system.errors import DataError
from seq2seq.tasks.entailment import Entailment
from seq2seq.tasks.translation import Translation

CONFIGS = Path(__file__).parents[2] / "configs"
ROWS = [
    ("entailment", "a small sentence", "a sentence"),
    ("NEUTRAL", "the words", "a number of words"),
    ("contradiction", "no words", "words with a number"),
    ("neutral", "a number", "a small number with words"),
    ("entailment", "words words words words", "words"),
]
TEXTS = dict(zip(("label", "source", "target"), map(list, zip(*ROWS, strict=True)), strict=True))
WORDS = {"kind": "word", "size": 100}
FAMILIES = {
    "recurrent": lambda **sizes: RecurrentClassifier(mapping=Sparsemax(), **sizes),
    "decomposable": lambda **sizes: DecomposableAttention(
        mapping=Sparsemax(), reverse_mapping=Softmax(), **sizes
    ),
}


class Corpus:
    source_language, target_language, next_step = "premise", "hypothesis", ""
    unlabeled = {"test": 3}  # noqa: RUF012

    def load(self):
        return DatasetDict({name: Dataset.from_dict(TEXTS) for name in ("train", "test")})


@pytest.fixture
def task():
    return Entailment()


@pytest.fixture
def data(task, tmp_path):
    return task.prepare(Corpus(), subwords=WORDS, cache=tmp_path)


@pytest.fixture(params=FAMILIES)
def model(request, task, data):
    torch.manual_seed(3)
    sizes = {"embedding_size": 8, "hidden_size": 8, "dropout": 0.0}
    return FAMILIES[request.param](**sizes, **task.model_arguments(data.subwords))


def one_by_one(model, data, row):
    """Logits of an example alone, by no way that the task takes."""
    words = data.subwords.source
    premise, hypothesis = (torch.tensor([[*words.encode(t), 3]]) for t in row[1:])
    lengths = [torch.tensor([x.size(1)]) for x in (premise, hypothesis)]
    return model(premise, lengths[0], hypothesis, lengths[1], return_attention=True)


def test_loss_is_that_of_every_label(task, data, model):
    model.train()
    (batch,) = data.loader("train")
    found = task.loss(model, batch, SequenceLoss(label_smoothing=0.1))
    logits = torch.cat([one_by_one(model, data, row).logits for row in ROWS])
    classes = torch.tensor([0, 1, 2, 1, 0])  # 0 counts as the others do
    expected = torch.nn.functional.cross_entropy(
        logits, classes, label_smoothing=0.1, reduction="sum"
    )
    torch.testing.assert_close(found.loss_sum, expected)
    assert int(found.tokens) == 5


def test_a_loss_of_coverage_is_refused(task, data, model):
    (batch,) = data.loader("train")
    with pytest.raises(ValueError, match=r"loss\.coverage is only for tasks that write text"):
        task.loss(model, batch, SequenceLoss(coverage=1.0))


def test_evaluation_is_that_of_each_example(task, data, model):
    model.train()
    evaluation = task.evaluate(model, data, "test", batch_tokens=20)
    assert model.training
    model.eval()
    alone = [one_by_one(model, data, row) for row in ROWS]
    logits = torch.cat([found.logits for found in alone]).detach()
    gold = [row[0].lower() for row in ROWS]
    predicted = [task.labels[i] for i in logits.argmax(1).tolist()]
    right = sum(g == p for g, p in zip(gold, predicted, strict=True))
    metrics = evaluation.metrics
    assert metrics["accuracy"]["score"] == pytest.approx(100 * right / 5)
    assert metrics["accuracy"]["signature"].startswith("n:5|unlabeled:3|")
    losses = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 1, 0]))
    assert metrics["loss"] == pytest.approx(losses.item(), rel=1e-5)
    sizes = [found.attention.count_nonzero().item() for found in alone]
    rows = [found.attention.size(3) for found in alone]
    mean = metrics["attention"]["overall"]["support_size"]
    assert mean == pytest.approx(sum(sizes) / sum(rows))
    assert ("attention_reverse" in metrics) == isinstance(model, DecomposableAttention)
    assert [x["predicted"] for x in evaluation.examples] == predicted
    header, *lines = evaluation.outputs["predictions.tsv"]
    assert header.split("\t")[:5] == ["predicted", "label", *task.labels]
    for line, row in zip(lines, logits.softmax(1).tolist(), strict=True):
        assert [float(x) for x in line.split("\t")[2:5]] == pytest.approx(row, abs=1e-6)
    assert evaluation.figures["confusion"]().axes
    values = [json.loads(x)["accuracy"] for x in evaluation.outputs["example_scores.jsonl"]]
    assert values == [100.0 * (g == p) for g, p in zip(gold, predicted, strict=True)]
    assert len(evaluation.outputs["attention.csv"]) > 1


def test_the_first_so_many(task, data, model):
    evaluation = task.evaluate(model, data, "test", sentences=2, attention=False)
    assert evaluation.metrics["accuracy"]["signature"].startswith("n:2|")
    assert len(evaluation.examples) == 2
    assert "attention" not in evaluation.metrics


def test_predictions_come_in_order_whatever_the_batches(task, data, model):
    model.eval()
    pairs = [row[1:] for row in ROWS]
    expected = torch.cat([one_by_one(model, data, row).logits for row in ROWS]).softmax(1)
    for tokens in (8, 4096):
        found = task.predict(model, data.subwords, pairs, batch_tokens=tokens)
        torch.testing.assert_close(found, expected.detach())
    assert task.predict(model, data.subwords, []).shape == (0, 3)


def test_heat_maps_name_who_looks(task, data, model):
    first = next(task.attention_maps(model, data, "test", 2))
    assert first.source == ["a", "small", "sentence", "</s>"]
    whole = isinstance(model, RecurrentClassifier)
    assert first.target == (["a sentence"] if whole else ["a", "sentence", "</s>"])
    torch.testing.assert_close(
        first.weights, one_by_one(model.eval(), data, ROWS[0]).attention[0].detach()
    )


def test_looking_at_single_pairs_agrees_with_predicting_them(task, data, model):
    premises, hypotheses = (list(texts) for texts in list(zip(*ROWS, strict=True))[1:])
    outcomes = task.look(model, data.subwords, premises, hypotheses, batch_tokens=20)
    pairs = list(zip(premises, hypotheses, strict=True))
    probabilities = task.predict(model.eval(), data.subwords, pairs)
    for row, (outcome, (premise, hypothesis)) in enumerate(zip(outcomes, pairs, strict=True)):
        assert outcome.text == task.labels[int(probabilities[row].argmax())]
        assert outcome.log_probability == pytest.approx(float(probabilities[row].max().log()))
        look = outcome.looks["reading"]
        expected = one_by_one(model, data, ("", premise, hypothesis)).attention[0].detach()
        torch.testing.assert_close(look.weights, expected)
        assert look.weights.shape[2:] == (len(look.target), len(look.source))
    with pytest.raises(ValueError, match="add a hypothesis to the premise"):
        task.look(model, data.subwords, premises, None)


def test_right_answers_are_labels_whatever_their_case(task, data):
    right = task.right_answers(data.split("test"))
    assert right == [["entailment", "neutral", "contradiction", "neutral", "entailment"]]
    answers = ["entailment", "entailment", "contradiction", "neutral", "neutral"]
    assert task.answer_scores(answers, right) == [100, 0, 100, 100, 0]


def test_labels_that_the_task_does_not_know_are_refused_before_training(tmp_path):
    with pytest.raises(DataError, match=r"2 label\(s\) that are none of entailment, contra"):
        Entailment(["entailment", "contradiction"]).prepare(
            Corpus(), subwords=WORDS, cache=tmp_path
        )


def test_another_task_refuses_labeled_pairs(tmp_path, data):
    told = "which Translation cannot use. Choose task=entailment"
    with pytest.raises(DataError, match=told):
        Translation().prepare(Corpus(), subwords=WORDS, cache=tmp_path)
    with pytest.raises(DataError, match=told):
        Translation().open(Corpus(), data.subwords, cache=tmp_path)


@pytest.mark.parametrize("choice", ["base", "pairs"])
def test_what_corpora_share_is_no_corpus(choice):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", [f"data={choice}", "task=entailment"])
    with pytest.raises(ValueError, match="data=base and data=pairs are only bases"):
        check(config)


def test_a_corpus_without_labels_is_refused(task, data):
    unlabeled = DatasetDict({"test": Dataset.from_dict({"source": ["a"], "target": ["b"]})})
    with pytest.raises(DataError, match="no column label"):
        task.open(unlabeled, data.subwords).loader("test")


def test_pretrained_vectors_start_the_embeddings(data, tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("words 1 2 3 4\nof 5 6 7 8\n", encoding="utf-8")
    task = Entailment(embeddings=path)
    model = RecurrentClassifier(
        **task.model_arguments(data.subwords), mapping=Softmax(), embedding_size=4, hidden_size=4
    )
    task.initialize(model, data.subwords, cache=tmp_path)
    (word,) = data.subwords.source.encode("words")
    assert model.embedding.table.weight[word].tolist() == [1, 2, 3, 4]


def test_pretrained_vectors_of_words_do_not_suit_pieces_of_words(subwords, tmp_path):
    task = Entailment(embeddings=tmp_path / "vectors.txt")
    with pytest.raises(DataError, match=r"set data\.subwords\.kind=word"):
        task.initialize(SimpleNamespace(embedding=None), subwords)


def test_data_of_other_tasks_has_no_classes(data, tmp_path):
    plain = ParallelData(Corpus(), data.subwords, cache=tmp_path)
    assert plain.encoded("test").labels is None


def configuration(*overrides):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", overrides=["task=entailment", *overrides])


@pytest.mark.parametrize(
    "overrides",
    [
        ["experiment=sick_decomposable"],
        ["experiment=sick_gru"],
        ["experiment=snli_cad_gru"],
        ["experiment=snli_cad_decomposable", "attention=sparsemax", "attention.gamma=8"],
        ["experiment=niculae2017_snli", "attention=fusedmax"],
        ["model=decomposable_attention", "+attention@model.intra_mapping=sparsemax"],
        ["model=decomposable_attention", "+attention@model.reverse_mapping=oscarmax"],
    ],
    ids=lambda overrides: overrides[-1],
)
def test_every_choice_builds_a_model_of_the_task(overrides):
    config = configuration(*overrides)
    task = instantiate(config.task, _convert_="all")
    sizes = {"source_vocabulary_size": 20, "target_vocabulary_size": 20}
    model = instantiate(config.model, labels=["a", "b"], **sizes, _convert_="all")
    task.check_model(type(model))
    for override in overrides:
        place, _, name = override.partition("=")
        if place.startswith("+attention@model."):
            kind = place.removeprefix("+attention@model.").removesuffix("_mapping")
            (mapping,) = model.attention_mappings()[kind]
            assert type(mapping).__name__.lower() == name


def test_the_counterfactual_set_goes_with_pairs_of_ones_own(tmp_path):
    row = "neutral\tA man sleeps .\tA man rests at {} .\n"
    for split in ("train", "dev", "test"):
        revised = tmp_path / f"revised_combined.{split}.tsv"
        revised.write_text(row.format("home"), encoding="utf-8")
    (tmp_path / "original.test.tsv").write_text(row.format("home"), encoding="utf-8")
    mine = tmp_path / "mine.tsv"
    mine.write_text(row.format("sea") + row.format("night"), encoding="utf-8")
    config = configuration(
        "experiment=snli_cad_decomposable",
        f"data.corpora.cad.root={tmp_path}",
        f"data.corpora.more.train={mine}",
        f"data.cache={tmp_path / 'cache'}",
    )
    corpus = instantiate(config.data.corpus, _convert_="all")
    sizes = corpus.load().num_rows
    assert {name: sizes[name] for name in ("train", "validation", "test")} == {
        "train": 3,
        "validation": 1,
        "test": 1,
    }


def test_the_reverse_direction_follows_the_choice_of_attention():
    config = configuration(
        "model=decomposable_attention", "attention=fusedmax", "attention.lam=0.3"
    )
    assert config.model.reverse_mapping == config.model.mapping
    assert config.model.reverse_mapping.lam == 0.3


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_random_vectors_are_reported(task, data, frozen, caplog):
    model = RecurrentClassifier(
        **task.model_arguments(data.subwords),
        mapping=Softmax(),
        embedding_size=4,
        hidden_size=4,
        freeze_embeddings=frozen,
    )
    task.initialize(model, data.subwords)
    assert ("the word vectors are random" in caplog.text) == frozen
