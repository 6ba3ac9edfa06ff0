import importlib.util
import json
import random
import subprocess
import sys

import pytest

from seq2seq.evaluation.scores import (
    METRICS,
    load_tokenizer,
    tokenizer_in,
    translation_scores,
)
from seq2seq.evaluation.significance import compare_texts


def _corpus() -> tuple[list[str], list[str], list[str]]:
    """Hypotheses and two reference sets with punctuation, umlauts, empty lines and shifts."""
    generator = random.Random(3)
    words = ["the", "Grüße", "cat,", "dog.", "1,000", "it's", "–", "“so”", "<unk>", "ünder", "(x)"]
    first = [" ".join(generator.choices(words, k=generator.randint(3, 14))) for _ in range(40)]
    second = [" ".join(generator.sample(line.split(), len(line.split()))) for line in first]
    hypotheses = []
    for line in first:
        tokens = line.split()
        tokens[generator.randrange(len(tokens))] = generator.choice(words)
        hypotheses.append(" ".join(tokens[generator.randint(0, 2) :]))
    hypotheses[7] = ""
    second[11] = second[12] = ""  # which the command counts as references without words
    hypotheses[11] = "the"
    return hypotheses, first, second


@pytest.mark.parametrize("sets", [1, 2])
def test_scores_and_signatures_are_those_of_the_sacrebleu_command(tmp_path, sets):
    hypotheses, *references = _corpus()
    references = references[:sets]
    paths = []
    for number, lines in enumerate([hypotheses, *references]):
        paths.append(tmp_path / f"{number}.txt")
        paths[-1].write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", *map(str, paths[1:]), "-i", str(paths[0])]
    options = [["-m", "bleu", "chrf", "ter"], ["-m", "chrf", "--chrf-word-order", "2"]]
    expected = []
    for given in options:
        full = [*command, *given, "-w", "12", "-f", "json"]
        output = subprocess.run(full, check=True, capture_output=True, encoding="utf-8").stdout
        found = json.loads(output)
        expected += found if isinstance(found, list) else [found]

    scores = translation_scores(hypotheses, references, ["bleu", "chrf", "ter", "chrf++"])

    assert [theirs["name"] for theirs in expected] == ["BLEU", "chrF2", "TER", "chrF2++"]
    for ours, theirs in zip(scores.values(), expected, strict=True):
        assert f"{ours['score']:.12f}" == f"{theirs['score']:.12f}"
        assert ours["signature"] == theirs["signature"]


def test_signature_states_the_number_of_references():
    lines = ["the cat sat on the mat ."]
    assert "nrefs:2" in translation_scores(lines, [lines, lines])["bleu"]["signature"]


def test_perfect_translation_scores_best():
    lines = ["the cat sat on the mat .", "a dog runs through the park ."]
    scores = translation_scores(lines, [lines])
    assert scores["bleu"]["score"] == pytest.approx(100)
    assert scores["chrf"]["score"] == pytest.approx(100)
    assert scores["ter"]["score"] == 0


def test_only_the_metrics_asked_for_are_computed():
    assert list(translation_scores(["a b"], [["a b"]], metrics=["chrf"])) == ["chrf"]
    with pytest.raises(ValueError, match=r"unknown \['rouge'\]; choose from"):
        translation_scores(["a"], [["a"]], metrics=["rouge"])
    assert set(METRICS) == {"bleu", "chrf", "chrf++", "ter"}


def test_unequal_lengths_say_which_reference_set_and_how_long():
    with pytest.raises(ValueError, match=r"references\[1\] has 1 lines, but hypotheses has 2"):
        translation_scores(["a", "b"], [["a", "b"], ["a"]])


def test_nothing_to_score_is_refused():
    with pytest.raises(ValueError, match="hypotheses is empty"):
        translation_scores([], [[]])
    with pytest.raises(ValueError, match="no reference set"):
        translation_scores(["a"], [])


def test_a_reference_set_that_was_not_wrapped_in_a_list_is_refused():
    with pytest.raises(TypeError, match=r"put a single set into a list: \[references\]"):
        translation_scores(["a", "b"], ["a", "b"])


def test_the_tokenizer_is_that_of_bleu_and_in_its_signature():
    lines, reference = ["我喜欢苹果"], ["我喜欢吃苹果"]
    words = translation_scores(lines, [reference], ["bleu"])["bleu"]
    characters = translation_scores(lines, [reference], ["bleu"], tokenizer="zh")["bleu"]
    assert "tok:zh" in characters["signature"]
    assert characters["score"] > words["score"]
    with pytest.raises(
        ValueError, match=r"tokenizer=moses is not a tokenizer of sacreBLEU; choose 13a"
    ):
        translation_scores(lines, [reference], tokenizer="moses")


def test_a_tokenizer_without_its_package_names_the_package():
    if importlib.util.find_spec("mecab_ko") is not None:
        pytest.skip("the Korean tokenizer is installed")
    with pytest.raises(ValueError, match=r'install "sacrebleu\[ko\]"; or .* task.tokenizer=char'):
        load_tokenizer("ko-mecab")


def test_japanese_is_tokenized_by_mecab_and_tested_by_it():
    pytest.importorskip("MeCab", reason='pip install "sacrebleu[ja]"')
    pytest.importorskip("ipadic", reason='pip install "sacrebleu[ja]"')
    lines = ["私は猫が好きです。", "彼女は毎日学校へ行きます。"]
    worse = ["私は犬が好きです。", "彼女は毎日行きます。"]
    score = translation_scores(lines, [lines], ["bleu"], tokenizer="ja-mecab")["bleu"]
    assert score["score"] == pytest.approx(100)
    assert tokenizer_in(score["signature"]) == "ja-mecab"
    tested = compare_texts("bleu", score["signature"], [lines, worse], [lines])
    assert tested.scores[0] == pytest.approx(100)


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ("13a", "13a"),
        ("zh", "zh"),
        ("ja-mecab-0.996-IPA", "ja-mecab"),
        ("ko-mecab-0.996/ko-0.9.2-KO", "ko-mecab"),
        ("flores200", "flores200"),
    ],
)
def test_the_tokenizer_is_read_from_a_signature(stated, name):
    assert tokenizer_in(f"nrefs:1|case:mixed|eff:no|tok:{stated}|smooth:exp") == name
