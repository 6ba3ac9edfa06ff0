"""Summarization: the protocol of the scores, and the signature beside them."""

from pathlib import Path

import pytest
import torch
from datasets import Dataset, DatasetDict
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from seq2seq.checkpoint import checkpoint_task
from seq2seq.cli.evaluate import without_choices_of_task
from seq2seq.data.parallel import ParallelData
from seq2seq.evaluation.rouge import PROTOCOLS, Protocol, rouge_scores
from seq2seq.mappings import Sparsemax
from seq2seq.models.recurrent import Recurrent
from seq2seq.search import Greedy
from seq2seq.tasks.summarization import Summarization

CONFIGS = Path(__file__).parents[2] / "configs"
SOURCES = ["a small sentence number 1 with words and more words", "small words"]


def configuration(name, *overrides):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose(name, overrides=list(overrides))


@pytest.fixture(scope="module")
def model(subwords):
    torch.manual_seed(1)
    return Recurrent(
        subwords.source.size,
        subwords.target.size,
        mapping=Sparsemax(),
        embedding_size=8,
        hidden_size=8,
    )


@pytest.fixture
def data(subwords, tmp_path):
    columns = {"source": SOURCES, "target": ["small sentence", "words"]}
    columns["target_2"] = ["a small sentence number 1 with words and", ""]
    return ParallelData(DatasetDict(test=Dataset.from_dict(columns)), subwords, cache=tmp_path)


def evaluated(task, model, data, **options):
    return task.evaluate(model, data, "test", search=Greedy(max_length_ratio=1.0), **options)


def test_outputs_are_scored_against_all_references_beside_the_lead(model, data):
    evaluation = evaluated(Summarization(), model, data)
    sets = [list(data.split("test")[name]) for name in ("target", "target_2")]
    hypotheses = evaluation.outputs["hypotheses.txt"]
    expected = rouge_scores(hypotheses, sets)
    assert {name: evaluation.metrics[name] for name in expected} == expected
    assert "nrefs:2" in evaluation.metrics["rouge_l"]["signature"]
    lead = evaluation.metrics["lead-8"]
    assert lead == rouge_scores(["a small sentence number 1 with words and", "small words"], sets)
    words = [len(text.split()) for text in hypotheses]
    assert evaluation.metrics["output"]["overall"]["words"] == sum(words) / 2


def test_a_validation_leaves_the_lead_out(model, data):
    metrics = evaluated(Summarization(), model, data, scores=["rouge_l"]).metrics
    assert "rouge_l" in metrics
    assert "rouge_1" not in metrics
    assert "lead-8" not in metrics


def test_a_part_of_a_split_is_compared_with_its_own_references(model, data):
    evaluation = evaluated(Summarization(), model, data, sentences=1)
    assert evaluation.metrics["lead-8"]["rouge_1"]["score"] > 0
    assert len(evaluation.examples) == 1


def test_under_duc_the_lead_is_the_first_75_bytes(model, data):
    task = Summarization(PROTOCOLS["duc"])
    assert task.lead("x " * 100) == "x " * 100  # the protocol cuts it
    metrics = evaluated(task, model, data).metrics
    assert "lead-75-bytes" in metrics
    assert "measure:recall|stem:porter|cut:75bytes" in metrics["rouge_1"]["signature"]


def test_the_lead_has_the_requested_length():
    assert Summarization(lead_words=3).lead("a b c d e") == "a b c"
    with pytest.raises(ValueError, match="lead_words=0"):
        Summarization(lead_words=0)


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_the_configurations_of_protocols_are_the_protocols(name):
    config = configuration("train", "task=summarization", f"rouge@task.rouge={name}")
    assert instantiate(config.task, _convert_="all").rouge == PROTOCOLS[name]


def test_duc_2004_brings_its_protocol_to_an_evaluation():
    config = configuration("evaluate", "checkpoint=x", "data=duc2004")
    changes = {"rouge": dict(config.task.rouge)}
    trained = configuration("train", "task=summarization").task
    given = {"task": {**trained, "rouge": dict(trained.rouge), "lead_words": 5}}
    task = checkpoint_task(given, changes)
    assert (task.rouge, task.lead_words) == (PROTOCOLS["duc"], 5)
    # One field of a checkpoint's protocol may be changed alone.
    assert checkpoint_task(given, {"rouge": {"stem": True}}).rouge == Protocol(stem=True)


def test_duc_2004_brings_its_protocol_to_hypotheses_too():
    given = ["task=summarization", "data=duc2004", "hypotheses=x", "--cfg"]
    arguments = without_choices_of_task(given)
    assert arguments[-1] == "--cfg"  # an option, after which no override may stand
    task = instantiate(configuration("evaluate", *arguments[:-1]).task, _convert_="all")
    assert task.rouge == PROTOCOLS["duc"]


def test_summarization_has_its_own_default_corpus():
    assert "ToyHeadlines" in configuration("train", "task=summarization").data.corpus._target_
    other = configuration("train", "task=summarization", "data=reuters")
    assert "Reuters" in other.data.corpus._target_


@pytest.mark.parametrize(
    "experiment",
    ["reuters_recurrent", "gigaword_sample", "niculae2017_gigaword", "niculae2017_translation"],
)
def test_experiments_name_a_model_that_can_be_built(experiment):
    config = configuration("train", f"experiment={experiment}")
    sizes = {"source_vocabulary_size": 40, "target_vocabulary_size": 40}
    model = instantiate(config.model, **sizes, _convert_="all")
    task = instantiate(config.task, _convert_="all")
    task.check_model(type(model))
    # Every update after the last decay, or the end of the cosine, lies within the run.
    assert config.data.training.max_steps % config.data.training.validate_every_n_steps < 454


def test_the_score_of_an_example_is_that_of_a_corpus_of_it():
    task = Summarization()
    answers, right = ["a small sentence", "words"], [["small sentence", "no"], ["other", "words"]]
    expected = [
        rouge_scores([answer], [[text] for text in known])["rouge_l"]["score"]
        for answer, *known in zip(answers, *right, strict=True)
    ]
    assert task.answer_scores(answers, right) == pytest.approx(expected)


def test_the_mean_of_the_examples_values_is_the_score():
    hypotheses = ["a cat sat down", "the dog", "nothing"]
    sets = [["the cat sat", "a dog ran", "nothing at all"], ["cat sits", "", "nothing"]]
    task = Summarization()
    values = task.example_scores(hypotheses, sets)
    scores = task.scores(hypotheses, sets)
    assert list(values) == list(scores)
    for name, rows in values.items():
        assert sum(rows) / len(rows) == pytest.approx(scores[name]["score"], abs=1e-12)
