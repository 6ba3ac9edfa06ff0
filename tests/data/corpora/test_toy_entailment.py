"""The toy corpus of entailment: correct labels, and uninformative hypotheses."""

import math
import random
from collections import Counter

import pytest

from seq2seq.data.corpora.toy_entailment import LABELS, Pairs, ToyEntailment


@pytest.fixture(scope="module")
def corpus():
    return ToyEntailment(train_size=6000, validation_size=300, test_size=1500).load()


def true_label(premise, hypothesis):
    """From the events and what is told of them: a denial denies every event that is so."""
    p, h = premise.event, hypothesis.event
    if (p.subject, p.verb, p.object) != (h.subject, h.verb, h.object):
        return "contradiction"
    assert p.modifiers == h.modifiers
    if premise.denied:
        excluded = premise.told <= hypothesis.told
        if not excluded:
            return "neutral"
        return "entailment" if hypothesis.denied else "contradiction"
    if not hypothesis.told <= premise.told:
        return "neutral"
    return "contradiction" if hypothesis.denied else "entailment"


def test_labels_are_true():
    pairs = Pairs(random.Random(0), denied_share=0.4)
    kinds = Counter()
    for _ in range(1500):
        for label in LABELS:
            premise, hypothesis = pairs.draw(label)
            assert true_label(premise, hypothesis) == label
            kinds[label, premise.denied, hypothesis.denied] += 1
    assert len(kinds) == 9  # each label with and without denials on either side, where that can be


def test_sentences_say_what_their_statements_say():
    pairs = Pairs(random.Random(1), denied_share=0.5)
    for _ in range(300):
        for statement in pairs.draw("neutral"):
            words = f" {statement.words()} "
            for name, text in statement.event.modifiers.items():
                if name in statement.told:
                    assert f" {text} " in words
            assert (" did not " in words) == statement.denied
            assert words.endswith(" . ")
            assert words == words.lower() or "Christmas" in words


def test_splits_are_balanced_disjoint_and_repeat(corpus):
    pairs = {name: set(zip(s["source"], s["target"], strict=True)) for name, s in corpus.items()}
    assert {name: len(split) for name, split in pairs.items()} == {
        "train": 6000,
        "validation": 300,
        "test": 1500,
    }
    assert not pairs["train"] & pairs["test"]
    assert not pairs["train"] & pairs["validation"]
    assert Counter(corpus["test"]["label"]) == dict.fromkeys(LABELS, 500)
    again = ToyEntailment(train_size=10, validation_size=300, test_size=1500).load()
    assert again["test"][:] == corpus["test"][:]
    other = ToyEntailment(seed=2, train_size=10, validation_size=300, test_size=1500).load()
    assert other["test"][:] != corpus["test"][:]


def bag_of_words_accuracy(corpus, text):
    """Test accuracy of naive Bayes over the words of a text."""
    counts = {label: Counter() for label in LABELS}
    for row in corpus["train"]:
        counts[row["label"]].update(set(text(row).split()))
    totals = {label: sum(c.values()) for label, c in counts.items()}

    def score(words, label):
        return sum(math.log((counts[label][w] + 1) / (totals[label] + 1000)) for w in words)

    right = sum(
        max(LABELS, key=lambda label: score(set(text(row).split()), label)) == row["label"]
        for row in corpus["test"]
    )
    return right / len(corpus["test"])


def test_the_hypothesis_alone_is_independent_of_the_label(corpus):
    """Of 1,500 pairs, chance is 1/3 ± 3 · 1.2 %."""
    assert bag_of_words_accuracy(corpus, lambda row: row["target"]) < 1 / 3 + 0.04
    both = bag_of_words_accuracy(
        corpus,
        lambda row: (
            f"{len(set(row['target'].split()) - set(row['source'].split()))} denied"
            if "not" in row["source"] + row["target"]
            else str(len(set(row["target"].split()) - set(row["source"].split())))
        ),
    )
    assert both > 0.5  # which the same test notices where there is something to notice


@pytest.mark.parametrize("wrong", [{"train_size": 0}, {"denied_share": 1.5}])
def test_impossible_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ToyEntailment(**wrong)
