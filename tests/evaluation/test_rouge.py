import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.scoring import BootstrapAggregator

from seq2seq.evaluation.rouge import (
    ORDERS,
    PROTOCOLS,
    Bootstrap,
    Protocol,
    cut,
    rouge_scores,
    sentence_rouge,
)

NAMES = [kind for kind, _ in ORDERS.values()]
HEADLINE = "police arrest five protesters"
REFERENCE = "Police arrested five anti-nuclear protesters ."


def values(hypothesis, references, protocol):
    return sentence_rouge([hypothesis], [[reference] for reference in references], protocol)[0]


def test_gigaword_is_f1_of_all_words_as_they_are():
    # Words of the reference: police arrested five anti nuclear protesters (6), the output has 4.
    # ROUGE-1: police, five, protesters: 2 · 3 / (6 + 4). ROUGE-2: none of 3 and 5 pairs.
    # ROUGE-L: the longest common subsequence is the same three words.
    assert values(HEADLINE, [REFERENCE], "gigaword") == pytest.approx([0.6, 0.0, 0.6])


def test_stemming_makes_arrest_of_arrested():
    # ROUGE-1 and L: all 4 words: 2 · 4 / 10. ROUGE-2: police-arrest, arrest-five: 2 · 2 / (3 + 5).
    assert values(HEADLINE, [REFERENCE], Protocol(stem=True)) == pytest.approx([0.8, 0.5, 0.8])


@pytest.mark.parametrize(
    ("references", "expected"),
    [
        # Output a b c d; references a b x and a c d e f.
        # ROUGE-1 and L match 2 of 3 and 3 of 5 words, ROUGE-2 1 of 2 (ab) and 1 of 4 (cd) pairs.
        ("pooled", [5 / 8, 2 / 6, 5 / 8]),
        ("best", [2 / 3, 1 / 2, 2 / 3]),
        # With two references, all but one is the other one: the mean of the two.
        ("jackknife", [(2 / 3 + 3 / 5) / 2, (1 / 2 + 1 / 4) / 2, (2 / 3 + 3 / 5) / 2]),
    ],
)
def test_several_references(references, expected):
    protocol = Protocol(measure="recall", references=references)
    assert values("a b c d", ["a b x", "a c d e f"], protocol) == pytest.approx(expected)


def test_jackknife_averages_the_best_of_all_but_one_reference():
    # Recall of ROUGE-1 with a x, a b, a b c d: 1/2, 1, 2/4. Without the second the best is 1/2,
    # without the first or the third it is 1: (1 + 1/2 + 1) / 3.
    protocol = Protocol(measure="recall", references="jackknife")
    assert values("a b", ["a x", "a b", "a b c d"], protocol)[0] == pytest.approx(2.5 / 3)


def test_duc_is_recall_of_75_bytes_stemmed_and_pooled_over_references():
    # 70 bytes of padding, then 5 bytes: the word is cut, and what is left of it counts as a word.
    output = "- " * 35 + "arrested five"
    assert cut(output, 75).split()[-1] == "arres"
    # Of arres and five, the references have arres once, in one of three words of all of them.
    assert values(output, ["arres five", "six"], "duc")[0] == pytest.approx(1 / 3)
    # Without the cut: arrested (arrest) is not arres, but five is one of the three.
    whole = Protocol(measure="recall", stem=True)
    assert values(output, ["arres five", "six"], whole)[0] == pytest.approx(1 / 3)
    assert values(output, ["arrest", "six"], "duc")[0] == 0
    assert values(output, ["arrest", "six"], whole)[0] == pytest.approx(1 / 2)


def test_references_are_cut_too():
    # The reference has one word within 75 bytes and the second after them.
    reference = "one " + "- " * 40 + "two"
    protocol = Protocol(measure="recall", max_bytes=75)
    assert values("one", [reference], protocol)[0] == 1
    assert values("one", [reference], Protocol(measure="recall"))[0] == pytest.approx(1 / 2)


@pytest.mark.parametrize(
    ("bytes_", "expected"), [(5, "abcé"), (4, "abc"), (3, "abc"), (6, "abcéd")]
)
def test_a_cut_never_splits_a_character(bytes_, expected):
    assert cut("abcéd", bytes_) == expected  # é has two bytes


def test_digits_signs_and_unk_count_as_in_published_figures():
    # Neither # nor punctuation is a word; <unk> and UNK are both the word unk, and match.
    assert values("#.# , <unk> rises", ["UNK rises ### !"], "gigaword")[0] == 1
    whitespace = Protocol(tokenizer="whitespace")
    # Of four words each, only `rises` is the same: 2 · 1 / (4 + 4).
    assert values("#.# , <unk> rises", ["UNK rises ### !"], whitespace)[0] == pytest.approx(1 / 4)


@pytest.mark.parametrize(
    ("text", "other", "shared"),
    [
        ("Привет, мир!", "привет мир", 1.0),
        ("Über den Fluß", "uber den Fluß", 2 / 3),  # with ü, über is not uber
        ("私は猫が好きです", "私は犬が好きです", 7 / 8),  # a character is a word
        ("สวัสดี", "สวัสดี", 1.0),
        ("می‌خواهم بروم", "می‌خواهم بروم", 1.0),
    ],
)
def test_every_language_has_words(text, other, shared):
    assert values(text, [other], "unicode")[0] == pytest.approx(shared)
    assert values(text, [text], "unicode")[0] == 1


@given(st.text(st.characters(max_codepoint=126)), st.text(st.characters(max_codepoint=126)))
def test_ascii_text_scores_the_same_by_either_tokenizer(hypothesis, reference):
    ours, theirs = (values(hypothesis, [reference], name) for name in ("unicode", "gigaword"))
    assert ours == pytest.approx(theirs)


def test_stems_are_those_of_porters_original_algorithm():
    # ROUGE-1.5.5 makes fly of flying and fli of flies; NLTK's variant makes fli of both.
    pair = "two planes flying low", ["the planes flies low"]
    assert values(*pair, "pyrouge") == pytest.approx([0.5, 0, 0.5])
    assert values(*pair, Protocol(stem="nltk")) == pytest.approx([3 / 4, 2 / 3, 3 / 4])


sentences = st.lists(st.lists(st.sampled_from("the cat sat on a mat".split()), min_size=1))


@given(sentences, sentences)
def test_rouge_lsum_is_that_of_rouge_score(hypothesis, reference):
    joined = [" <q> ".join(map(" ".join, text)) for text in (hypothesis, reference)]
    lines = [text.replace(" <q> ", "\n") for text in joined]
    expected = RougeScorer(["rougeLsum"]).score(lines[1], lines[0])["rougeLsum"].fmeasure
    found = values(joined[0], [joined[1]], Protocol(separator="<q>"))
    assert found[3] == pytest.approx(expected)
    scores = rouge_scores([joined[0]], [[joined[1]]], Protocol(separator="<q>"))
    assert list(scores) == [*ORDERS, "rouge_lsum"]
    assert "|sentences:<q>|" in scores["rouge_lsum"]["signature"]


words = st.lists(st.sampled_from("the cat cats sat on a mat # unk 12 u.s. x-y".split()), max_size=9)
lines = words.map(" ".join)


@given(lines, lines, st.booleans())
def test_one_reference_is_rouge_score(hypothesis, reference, stem):
    scores = RougeScorer(NAMES, use_stemmer=stem).score(reference, hypothesis)
    for measure, field in (("f1", "fmeasure"), ("recall", "recall"), ("precision", "precision")):
        ours = values(hypothesis, [reference], Protocol(measure=measure, stem=stem and "nltk"))
        assert ours == pytest.approx([getattr(scores[name], field) for name in NAMES])


@given(lines, st.lists(lines.filter(bool), min_size=1, max_size=4))
def test_the_best_reference_is_that_of_score_multi(hypothesis, references):
    scores = RougeScorer(NAMES).score_multi(references, hypothesis)
    ours = values(hypothesis, references, Protocol(references="best"))
    assert ours == pytest.approx([scores[name].fmeasure for name in NAMES])


@given(lines, lines.filter(bool), st.integers(1, 4))
def test_the_same_reference_several_times_is_one(hypothesis, reference, number):
    for references in ("pooled", "best", "jackknife"):
        protocol = Protocol(references=references)
        expected = values(hypothesis, [reference], protocol)
        assert values(hypothesis, [reference] * number, protocol) == pytest.approx(expected)


def test_an_empty_line_is_a_reference_that_is_not_there():
    assert values("a b", ["", "a b"], "duc") == pytest.approx([1, 1, 1])
    assert values("a b", ["", " "], "duc") == pytest.approx([0, 0, 0])
    assert values("", ["a b"], "gigaword") == pytest.approx([0, 0, 0])


@pytest.fixture(scope="module")
def corpus():
    draw = random.Random(5)
    vocabulary = "police arrest five protesters in southern town after march on monday".split()
    references = [" ".join(draw.choices(vocabulary, k=draw.randint(4, 9))) for _ in range(200)]
    hypotheses = [" ".join(draw.sample(x.split(), k=len(x.split()) - 1)) for x in references]
    return hypotheses, references


def test_the_score_is_the_mean_and_lies_within_an_interval_like_that_of_rouge_score(corpus):
    hypotheses, references = corpus
    scorer, aggregator = RougeScorer(NAMES), BootstrapAggregator()
    single = [scorer.score(r, h) for h, r in zip(hypotheses, references, strict=True)]
    for score in single:
        aggregator.add_scores(score)
    np.random.seed(1)  # noqa: NPY002 - rouge-score draws from the global generator
    intervals = aggregator.aggregate()
    ours = rouge_scores(hypotheses, [references])
    for name, kind in zip(ours, NAMES, strict=True):
        mean = 100 * np.mean([score[kind].fmeasure for score in single])
        assert ours[name]["score"] == pytest.approx(mean)
        theirs = intervals[kind].low.fmeasure, intervals[kind].high.fmeasure
        low, high = ours[name]["interval"]
        assert low < mean < high
        assert (low, high) == pytest.approx((100 * theirs[0], 100 * theirs[1]), abs=0.5)


def test_the_interval_repeats_and_goes_by_seed_and_confidence(corpus):
    hypotheses, references = corpus

    def interval(**changes):
        found = rouge_scores(hypotheses, [references], bootstrap=Bootstrap(**changes))
        return found["rouge_1"]["interval"]

    assert interval() == interval()
    assert interval(seed=1) != interval()
    narrow, wide = interval(confidence=0.5), interval()
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_the_signature_says_all_that_was_chosen():
    signatures = {
        name: rouge_scores(["a b"], [["a"], ["b"]], protocol)["rouge_l"]["signature"]
        for name, protocol in {**PROTOCOLS, "own": Protocol(stem=True, references="best")}.items()
    }
    end = "agg:mean|bs:1000|seed:12345|conf:95|version:rouge-score-"
    start = "rouge|protocol:{}|measure:{}|stem:{}|cut:{}|nrefs:2|refs:{}|tok:{}|"
    for name, parts in {
        "unicode": ("f1", "no", "no", "pooled", "unicode"),
        "gigaword": ("f1", "no", "no", "pooled", "rouge"),
        "pyrouge": ("f1", "porter", "no", "pooled", "rouge"),
        "duc": ("recall", "porter", "75bytes", "pooled", "rouge"),
        "own": ("f1", "porter", "no", "best", "unicode"),
    }.items():
        assert signatures[name].startswith(start.format(name, *parts) + end)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"measure": "f2"}, "measure=f2 is unknown; choose f1, recall, precision"),
        ({"references": "all"}, "references=all is unknown; choose pooled, best, jackknife"),
        ({"tokenizer": "13a"}, "tokenizer=13a is unknown; choose unicode, rouge, whitespace"),
        ({"max_bytes": 0}, "max_bytes=0 must be at least 1"),
        (
            {"tokenizer": "whitespace", "stem": True},
            "stem does not work with tokenizer=whitespace",
        ),
        ({"stem": "krovetz"}, "stem=krovetz is unknown; choose true, false, porter, nltk"),
    ],
)
def test_a_protocol_that_means_nothing_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Protocol(**arguments)


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(
        ValueError, match="unknown protocol cnn; choose unicode, gigaword, pyrouge, duc"
    ):
        rouge_scores(["a"], [["a"]], "cnn")
    with pytest.raises(ValueError, match="hypotheses is empty"):
        rouge_scores([], [[]])
    with pytest.raises(ValueError, match="no reference set"):
        rouge_scores(["a"], [])
    with pytest.raises(ValueError, match=r"references\[1\] has 1 lines, but hypotheses has 2"):
        rouge_scores(["a", "b"], [["a", "b"], ["a"]])
    with pytest.raises(TypeError, match="put a single set"):
        rouge_scores(["a"], ["a"])


def test_the_first_eight_words_of_reuters_leads(external_corpora):
    """A published-style baseline on real text: 26.0 / 9.4 / 25.1."""
    import gzip

    folder = external_corpora / "reuters-headlines"
    article, title = (
        gzip.decompress((folder / f"test.{side}.gz").read_bytes()).decode().splitlines()
        for side in ("article", "title")
    )
    lead = [" ".join(line.split()[:8]) for line in article]
    scores = rouge_scores(lead, [title])
    assert [round(part["score"], 1) for part in scores.values()] == [26.0, 9.4, 25.1]
