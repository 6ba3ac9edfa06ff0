"""``seq2seq.load``: texts, scores and attention are those of the commands and of the model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import seq2seq
from seq2seq.checkpoint import build, checkpoint_task, save_checkpoint
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.evaluation.alignment import attention_links, format_pharaoh
from seq2seq.search import Beam
from seq2seq.trained import TrainedModel

MAPPING = {"_target_": "seq2seq.mappings.Fusedmax"}
TASKS = {
    "translation": {"_target_": "seq2seq.tasks.translation.Translation"},
    "entailment": {"_target_": "seq2seq.tasks.entailment.Entailment"},
}
MODELS = {
    "recurrent": {
        "_target_": "seq2seq.models.recurrent.Recurrent",
        "mapping": MAPPING,
        "embedding_size": 8,
        "hidden_size": 8,
    },
    "transformer": {
        "_target_": "seq2seq.models.transformer.Transformer",
        **{f"{place}_mapping": MAPPING for place in ("encoder", "decoder", "cross")},
        "size": 8,
        "feedforward_size": 8,
        "heads": 2,
        "encoder_layers": 1,
        "decoder_layers": 2,
        "max_length": 16,
    },
    "classifier": {
        "_target_": "seq2seq.models.recurrent_classifier.RecurrentClassifier",
        "mapping": MAPPING,
        "embedding_size": 8,
        "hidden_size": 8,
    },
}
TEXTS = ["a small sentence", "", "number 7 with words"]


def saved(folder: Path, kind: str, subwords: VocabularyPair) -> Path:
    """Save a model with random weights that do not look everywhere alike."""
    task = TASKS["entailment" if kind == "classifier" else "translation"]
    sizes = checkpoint_task({"task": task}).model_arguments(subwords)
    config = {"model": {**MODELS[kind], **sizes}, "task": task}
    torch.manual_seed(1)
    model = build(config["model"])
    for parameter in model.parameters():
        torch.nn.init.uniform_(parameter, -0.8, 0.8)
    save_checkpoint(folder, model, subwords, config)
    return folder


@pytest.fixture(params=["recurrent", "transformer"])
def model(request: pytest.FixtureRequest, subwords: VocabularyPair, tmp_path: Path) -> TrainedModel:
    return seq2seq.load(saved(tmp_path / "model", request.param, subwords))


def test_outputs_are_those_of_the_search(model: TrainedModel) -> None:
    limits = {"max_length": 6}
    outputs = model.translate(TEXTS, beam_size=3, n_best=2, **limits)
    expected = model.task.generate(  # type: ignore[attr-defined]
        model.model, model.checkpoint.subwords, TEXTS, Beam(3, n_best=2, **limits)
    )
    for output, best in zip(outputs, expected, strict=True):
        texts = [output, *output.alternatives]
        assert [(one.text, one.score) for one in texts] == best
        assert output.attention is None
    assert (outputs[1].text, outputs[1].tokens, outputs[1].score) == ("", ["</s>"], 0.0)


def test_the_score_of_an_output_is_its_log_probability(model: TrainedModel) -> None:
    texts = [TEXTS[0], TEXTS[2]]
    outputs = model.translate(texts, search="greedy", max_length=5, return_attention=True)
    subwords = model.checkpoint.subwords
    for output, score, text in zip(
        outputs,
        model.score(texts, [o.text for o in outputs], return_attention=True),
        texts,
        strict=True,
    ):
        assert score.log_probability == pytest.approx(sum(score.token_log_probabilities))
        assert len(score.tokens) == len(score.token_log_probabilities)
        if score.tokens != output.tokens:  # the text can be segmented in another way
            continue
        assert score.log_probability == pytest.approx(output.log_probability, rel=1e-4)
        assert score.attention is not None
        assert output.attention is not None
        torch.testing.assert_close(score.attention.weights, output.attention.weights)
        assert output.attention.source == subwords.source.pieces([*subwords.source.encode(text), 3])


def test_attention_by_word_sums_the_pieces_of_a_source_word(model: TrainedModel) -> None:
    (output,) = model.translate([TEXTS[2]], max_length=6, return_attention=True)
    attention, by_word = output.attention, output.word_attention
    assert attention is not None
    assert by_word is not None
    assert by_word.source == TEXTS[2].split()
    assert by_word.weights.shape[2:] == (len(by_word.target), len(by_word.source))
    mass = attention.weights[..., :-1].sum(-1)  # without the end of the sentence
    if len(by_word.target) == len(attention.target) - 1:
        torch.testing.assert_close(by_word.weights.sum(-1), mass[..., :-1])
    ids = model.checkpoint.subwords
    source = ids.source.words_of(TEXTS[2], [*ids.source.encode(TEXTS[2]), 3])
    target = [*ids.target.words(ids.target.encode(output.text)), -1]
    if len(target) == attention.weights.shape[2]:
        links = attention_links(attention.weights, source, target, TEXTS[2], output.text)
        assert output.alignment == format_pharaoh(links)


def test_an_attention_draws_itself(model: TrainedModel, tmp_path: Path) -> None:
    (output,) = model.translate([TEXTS[0]], max_length=4, return_attention=True)
    assert output.attention is not None
    output.attention.plot(tmp_path / "map.svg", heads=True)
    assert "</svg>" in (tmp_path / "map.svg").read_text(encoding="utf-8")
    assert output.attention._repr_png_().startswith(b"\x89PNG")


def test_an_ensemble_and_another_type_are_loaded(subwords: VocabularyPair, tmp_path: Path) -> None:
    folders = [saved(tmp_path / kind, kind, subwords) for kind in ("recurrent", "transformer")]
    together = seq2seq.load(folders)
    assert "Ensemble" in repr(together)
    assert together.translate([TEXTS[0]], max_length=3)[0].tokens[-1] == "</s>"
    half = seq2seq.load(folders[0], dtype=torch.bfloat16)
    assert {p.dtype for p in half.model.parameters()} == {torch.bfloat16}
    assert half.score([TEXTS[0]], ["words"])[0].log_probability < 0


def test_labels_have_probabilities(subwords: VocabularyPair, tmp_path: Path) -> None:
    model = seq2seq.load(saved(tmp_path / "model", "classifier", subwords))
    first, second = model.predict([("a sentence", "words"), ("small", "a number")])
    for prediction in (first, second):
        assert list(prediction.probabilities) == ["entailment", "neutral", "contradiction"]
        assert sum(prediction.probabilities.values()) == pytest.approx(1)
        assert prediction.probabilities[prediction.label] == max(prediction.probabilities.values())
    with pytest.raises(ValueError, match="a model of Entailment writes no text; use predict"):
        model.translate(["a"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texts": "one text"}, "texts is one text; give a list"),
        ({"texts": [3]}, r"texts\[0\] is 3, not a text"),
        ({"texts": ["a"], "search": "deep"}, "choose beam, greedy, sample"),
        ({"texts": ["a"], "beam": 3}, "unexpected keyword argument 'beam'"),
        ({"texts": ["a"], "search": "greedy", "n_best": 2}, "for n_best, use beam or sample"),
        ({"texts": ["a"], "search": Beam(2), "n_best": 2}, "belong to a search given by its name"),
        ({"texts": ["a"], "n_best": 9}, "n_best=9 has to be between 1 and beam_size=5"),
    ],
)
def test_wrong_arguments_are_refused(
    arguments: dict, message: str, subwords: VocabularyPair, tmp_path: Path
) -> None:
    model = seq2seq.load(saved(tmp_path / "model", "recurrent", subwords))
    with pytest.raises(ValueError, match=message):
        model.translate(**arguments)


def test_texts_that_the_model_cannot_read_are_refused(
    subwords: VocabularyPair, tmp_path: Path
) -> None:
    model = seq2seq.load(saved(tmp_path / "model", "transformer", subwords))
    for call in (
        lambda: model.translate(["words " * 30]),
        lambda: model.score(["a"], ["words " * 30]),
    ):
        with pytest.raises(ValueError, match="subwords, the end included, but the model reads at"):
            call()
    with pytest.raises(ValueError, match="1 sources but 0 targets"):
        model.score(["a"], [])
    with pytest.raises(ValueError, match="has no labels; use translate"):
        model.predict([("a", "b")])


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, seq2seq; assert 'torch' not in sys.modules; seq2seq.load"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys, seq2seq.mappings; assert not {'numba', 'lightning'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True)
