import json
import random
import subprocess
import sys

import pytest

from seq2seq.evaluation.scores import METRICS, translation_scores


def _corpus() -> tuple[list[str], list[str], list[str]]:
    """Hypotheses and two reference sets with punctuation, umlauts, an empty line and shifts."""
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
    command += ["-m", "bleu", "chrf", "ter", "-w", "12", "-f", "json"]
    output = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
    expected = json.loads(output)

    scores = translation_scores(hypotheses, references)

    assert list(scores) == ["bleu", "chrf", "ter"]
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
    assert set(METRICS) == {"bleu", "chrf", "ter"}


def test_unequal_lengths_say_which_reference_set_and_how_long():
    with pytest.raises(ValueError, match=r"references\[1\] holds 1 lines, hypotheses 2"):
        translation_scores(["a", "b"], [["a", "b"], ["a"]])


def test_nothing_to_score_is_refused():
    with pytest.raises(ValueError, match="hypotheses: empty"):
        translation_scores([], [[]])
    with pytest.raises(ValueError, match="no reference set"):
        translation_scores(["a"], [])


def test_a_reference_set_that_was_not_wrapped_in_a_list_is_refused():
    with pytest.raises(TypeError, match=r"translation_scores\(hypotheses, \[references\]\)"):
        translation_scores(["a", "b"], ["a", "b"])
