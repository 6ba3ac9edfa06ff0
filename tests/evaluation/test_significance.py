import random
import re
import subprocess
import sys

import numpy as np
import pytest

from seq2seq.evaluation.scores import METRICS, translation_scores
from seq2seq.evaluation.significance import combined_p, compare_texts, compare_values


def systems() -> tuple[list[list[str]], list[list[str]]]:
    """Three systems of different quality and two references of thirty sentences."""
    draw = random.Random(5)
    words = "the a cat dog sat ran on under mat tree , quickly .".split()
    first = [" ".join(draw.choices(words, k=draw.randint(5, 12))) for _ in range(30)]
    second = [line.replace("cat", "dog") for line in first]
    outputs = []
    for rate in (0.3, 0.2, 0.3):
        lines = [
            [draw.choice(words) if draw.random() < rate else w for w in r.split()] for r in first
        ]
        outputs.append([" ".join(line) for line in lines])
    return outputs, [first, second]


@pytest.mark.parametrize(
    ("test", "option", "samples"), [("bootstrap", "bs", 200), ("randomization", "ar", 300)]
)
def test_p_values_are_those_of_the_sacrebleu_command(tmp_path, test, option, samples):
    outputs, references = systems()
    paths = []
    for number, lines in enumerate([*references, *outputs]):
        paths.append(str(tmp_path / f"{number}.txt"))
        (tmp_path / f"{number}.txt").write_text("".join(f"{line}\n" for line in lines))
    command = [sys.executable, "-m", "sacrebleu", *paths[:2], "-i", *paths[2:]]
    command += ["-m", "bleu", "chrf", "-f", "text"]
    command += [f"--paired-{option}", f"--paired-{option}-n", str(samples), "-w", "10"]
    # Its table: JSON it cannot write of a paired bootstrap of chrF.
    table = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
    scores = [float(score) for score in re.findall(r"│ +(\d+\.\d{10})", table)]
    p_values = [float(p) for p in re.findall(r"p = (\d\.\d{4})", table)]
    assert (len(scores), len(p_values)) == (6, 4)

    for place, name in enumerate(("bleu", "chrf")):
        signature = translation_scores(outputs[0], references, [name])[name]["signature"]
        ours = compare_texts(name, signature, outputs, references, test, samples)
        assert list(ours.p_values) == pytest.approx(p_values[place::2], abs=5e-5)
        assert list(ours.scores) == pytest.approx(scores[place::2], abs=1e-9)
        assert ours.signature in table


def test_a_mean_of_values_is_tested_as_its_definition_says():
    draw = np.random.default_rng(0)
    base = draw.uniform(0, 100, 40)
    better = base + draw.normal(5, 10, 40)
    tested = compare_values([base.tolist(), better.tolist()], "bootstrap", 500)
    assert tested.scores == pytest.approx((base.mean(), better.mean()), abs=1e-9)
    # Koehn's test, with sacreBLEU's draws: how often does the resampled difference, centered,
    # exceed the difference found?
    rows = np.random.default_rng(12345).choice(40, size=(500, 40), replace=True)
    resampled = np.abs((better - base)[rows].mean(1))
    exceeding = (resampled - resampled.mean() > abs((better - base).mean())).sum()
    assert tested.p_values == (pytest.approx((exceeding + 1) / 501),)

    tested = compare_values([base.tolist(), better.tolist()], "randomization", 500)
    flips = np.random.default_rng(12345).integers(2, size=(500, 40), dtype=bool)
    swapped = np.abs((np.where(flips, 1, -1) * (better - base)).mean(1))
    exceeding = (swapped > abs((better - base).mean())).sum()
    assert tested.p_values == (pytest.approx((exceeding + 1) / 501),)


def test_a_system_does_not_differ_from_itself():
    values = [1.0, 0.0, 1.0]
    assert compare_values([values, values], "bootstrap", 100).p_values == (1.0,)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_tested_by_the_signature_that_it_gave(name: str) -> None:
    outputs, references = systems()
    metric = METRICS[name]("13a")
    score = metric.corpus_score(outputs[0], references).score
    tested = compare_texts(name, str(metric.get_signature()), outputs, references, samples=50)
    assert tested.scores[0] == pytest.approx(score)
    assert 0 < tested.p_values[0] <= 1


def test_a_signature_that_is_not_computed_here_is_refused():
    outputs, references = systems()
    old = "nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:1.0.0"
    with pytest.raises(ValueError, match=r"scored with .*version:1\.0\.0, but .* computes nrefs:2"):
        compare_texts("bleu", old, outputs, references, samples=10)


def test_p_values_of_several_seeds_combine_by_rueger():
    assert combined_p([0.03], [1.0]) == 0.03
    assert combined_p([0.02, 0.5], [1, 1]) == 0.04  # 2/1 of the smallest
    assert combined_p([0.5, 0.01, 0.02], [1, 1, 1]) == pytest.approx(0.03)  # 3/2 of the second
    assert combined_p([0.9, 0.8, 0.7], [1, 1, 1]) == 1


def test_seeds_that_differ_in_opposite_directions_are_no_difference():
    assert combined_p([0.001, 0.001, 0.001], [3, -1, -1]) == 1
    assert combined_p([0.001, 0.001, 0.001], [-3, -1, 1]) == pytest.approx(0.0015)
    assert combined_p([1.0], [0.0]) == 1
