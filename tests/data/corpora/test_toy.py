"""Properties of the built-in toy corpus of translation."""

import hashlib
import inspect
import itertools
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest
from datasets import DatasetDict

from seq2seq.data.corpora import toy
from seq2seq.data.corpora.toy import Toy
from seq2seq.data.corpora.toy.coinage import reserved
from seq2seq.data.corpora.toy.lexicon import Lexicon, Noun, Tail, lexicon

SIZES = {"train_size": 4000, "validation_size": 200, "test_size": 500}
HELD_OUT = 0.1
CASES = ("", "n", "r", "l")
THEMES = {"fire": ("o", "i"), "river": ("a", "e"), "stone": ("u", "ia")}
DIGEST = """
import hashlib
from seq2seq.data.corpora.toy import Toy
corpus = Toy(seed={seed}, train_size=200, validation_size=50, test_size=50).load()
rows = [row for split in corpus.values() for row in split]
print(hashlib.sha256(repr(rows).encode()).hexdigest())
"""

Row = dict[str, str]
Segment = tuple[tuple[str, ...], tuple[str, ...]]


@pytest.fixture(scope="module")
def corpus() -> DatasetDict:
    return Toy(**SIZES).load()


@pytest.fixture(scope="module")
def words() -> Lexicon:
    return lexicon(Tail())


def links(row: Row) -> set[tuple[int, int]]:
    pairs = (link.split("-") for link in row["alignment"].split())
    return {(int(i), int(j)) for i, j in pairs}


def spans(text: str) -> list[range]:
    return [range(*map(int, span.split("-"))) for span in text.split()]


def segments(row: Row) -> list[Segment]:
    source, target = row["source"].split(), row["target"].split()
    return [
        (tuple(source[i] for i in left), tuple(target[j] for j in right))
        for left, right in zip(
            spans(row["source_segments"]), spans(row["target_segments"]), strict=True
        )
    ]


def rows(corpus: DatasetDict) -> Iterator[Row]:
    return itertools.chain(*corpus.values())


def stem_of(noun: Noun, target: tuple[str, ...]) -> bool:
    """Whether the target words are a form of the noun."""
    forms = {
        (*noun.stem[:-1], noun.stem[-1] + theme + case)
        for theme in THEMES[noun.gender]
        for case in CASES
    }
    return target in forms


def nouns_by_words(words: Lexicon) -> dict[tuple[str, ...], list[Noun]]:
    table = defaultdict(list)
    for noun in words.nouns:
        for form in {noun.singular, noun.plural}:
            table[form].append(noun)
    return table


# Determinism and splits


def digest(seed: int, hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    run = subprocess.run(
        [sys.executable, "-c", DIGEST.format(seed=seed)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.strip()


def test_a_seed_gives_the_same_corpus_in_every_process() -> None:
    first = digest(7, "1")
    assert first == digest(7, "2")
    assert len(first) == hashlib.sha256().digest_size * 2


def test_another_seed_gives_other_sentences() -> None:
    one, other = (
        Toy(seed=seed, train_size=50, validation_size=10, test_size=10).load() for seed in (1, 2)
    )
    assert not set(one["train"]["source"]) & set(other["train"]["source"])


def test_the_size_of_the_training_split_does_not_touch_the_others(corpus: DatasetDict) -> None:
    small = Toy(**{**SIZES, "train_size": 10}).load()
    for split in ("validation", "test"):
        assert small[split].to_list() == corpus[split].to_list()
    assert small["train"].to_list() == corpus["train"].select(range(10)).to_list()


def test_the_example_of_the_module_is_a_row_of_the_test_split() -> None:
    described = dict(re.findall(r"^    (\w+) +(.*)$", inspect.getdoc(toy) or "", re.MULTILINE))
    assert described in Toy(train_size=1).load()["test"].to_list()


def test_splits_are_disjoint_and_free_of_duplicates(corpus: DatasetDict) -> None:
    sources = [row["source"] for row in rows(corpus)]
    assert len(sources) == len(set(sources)) == 4700


def test_sentences_have_6_to_25_words(corpus: DatasetDict) -> None:
    lengths = [len(row["source"].split()) for row in rows(corpus)]
    assert min(lengths) >= 6
    assert max(lengths) <= 25
    assert 11 < sum(lengths) / len(lengths) < 16


def test_an_impossible_size_is_refused() -> None:
    with pytest.raises(ValueError, match="train_size"):
        Toy(train_size=0)


def test_a_misspelled_rate_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="idiom"):
        Toy(rates={"idioms": 0.5})


# Alignment and segments


def test_every_word_but_the_comma_is_aligned(corpus: DatasetDict) -> None:
    for row in rows(corpus):
        source, target = row["source"].split(), row["target"].split()
        aligned_source = {i for i, _ in links(row)}
        aligned_target = {j for _, j in links(row)}
        assert aligned_target == set(range(len(target)))
        assert aligned_source == {i for i, word in enumerate(source) if word != ","}


def test_segments_tile_both_sides_and_hold_every_link(corpus: DatasetDict) -> None:
    for row in rows(corpus):
        left, right = spans(row["source_segments"]), spans(row["target_segments"])
        boxes = list(zip(left, right, strict=True))
        places = [i for span in left for i in span]
        assert len(places) == len(set(places))
        assert sorted(j for span in right for j in span) == list(range(len(row["target"].split())))
        for i, j in links(row):
            assert sum(i in a and j in b for a, b in boxes) == 1
        for a, b in boxes:
            inside = {(i, j) for i, j in links(row) if i in a}
            assert {i for i, _ in inside} == set(a)
            assert {j for _, j in inside} == set(b)


def test_names_and_figures_are_copied_where_they_are_aligned(corpus: DatasetDict) -> None:
    copied = 0
    for row in rows(corpus):
        for source, target in segments(row):
            if (source[0][0].isupper() and len(source) == 1) or source[0].isdigit():
                assert source == target
                copied += 1
    assert copied > 2000


def test_number_words_melt_into_one(corpus: DatasetDict) -> None:
    table = {s: t for row in rows(corpus) for s, t in segments(row)}
    assert table["twenty", "seven"] == ("septadunta",)
    assert table["seven",] == ("sept",)


def test_nouns_are_aligned_with_a_form_of_their_translation(
    corpus: DatasetDict, words: Lexicon
) -> None:
    verbs = {form for verb in words.transitive for form in ((verb.base), (verb.third))}
    table = {form: nouns for form, nouns in nouns_by_words(words).items() if form not in verbs}
    checked = 0
    for row in rows(corpus):
        for source, target in segments(row):
            if source in table:
                assert any(stem_of(noun, target) for noun in table[source]), (source, target)
                checked += 1
    assert checked > 10_000


def test_many_segments_have_several_words(corpus: DatasetDict) -> None:
    shapes = Counter(
        (len(source) > 1, len(target) > 1)
        for row in rows(corpus)
        for source, target in segments(row)
    )
    total = sum(shapes.values())
    assert shapes[True, False] / total > 0.08  # many words to one
    assert shapes[False, True] / total > 0.008  # one to many
    assert shapes[True, True] / total > 0.005


def test_a_sixth_of_the_steps_along_the_source_go_back_in_the_target(corpus: DatasetDict) -> None:
    crossing = total = 0
    for row in rows(corpus):
        ordered = sorted(links(row))
        for (_, j), (_, following) in itertools.pairwise(ordered):
            crossing += following < j
            total += 1
    assert crossing / total > 0.15


# What makes it hard


def test_the_vocabulary_has_thousands_of_forms_and_a_long_tail(corpus: DatasetDict) -> None:
    for column, least in (("source", 2500), ("target", 5000)):
        counts = Counter(word for text in corpus["train"][column] for word in text.split())
        assert len(counts) > least
        assert sum(count == 1 for count in counts.values()) / len(counts) > 0.3
        ranked = [count for _, count in counts.most_common()]
        assert ranked[0] > 10 * ranked[100] > 100 * ranked[2000]


def test_test_sentences_have_names_that_training_lacks(corpus: DatasetDict) -> None:
    def names(split: str) -> set[str]:
        return {
            source[0]
            for row in corpus[split]
            for source, target in segments(row)
            if source == target and source[0][0].isupper()
        }

    assert len(names("test") - names("train")) > 50


def adjective_pairs(
    row: Row, words: Lexicon, table: dict[tuple[str, ...], list[Noun]]
) -> Iterator[tuple[str, str]]:
    """(adjective, noun) of the core that stand together in the source."""
    adjectives = {one.words: one for one in words.adjectives if not one.tail}
    sources = [source for source, _ in segments(row)]
    for first, second in itertools.pairwise(sources):
        first = first[1:] if first[0] == "very" else first
        second = second[:-1] if second[-1] == "'s" else second
        if first in adjectives and second in table and not table[second][0].tail:
            yield adjectives[first].key, table[second][0].key


def idiom_pairs(
    row: Row, words: Lexicon, table: dict[tuple[str, ...], list[Noun]]
) -> Iterator[tuple[str, str]]:
    """(idiom, noun of its object)."""
    idioms = {
        form: verb.key
        for verb in words.transitive_idioms
        for form in (verb.base, verb.third, verb.past)
    }
    before_noun = {one.words[-1] for one in words.adjectives} | {"the", "a", "an", "some", "this"}
    before_noun |= {"these", "every", "many"}
    sources = [source for source, _ in segments(row)]
    for place, source in enumerate(sources):
        for form in (source, source[1:], source[2:]):  # after `will`, `did not`
            if form not in idioms:
                continue
            for following in sources[place + 1 :]:
                if following in table:
                    yield idioms[form], table[following][0].key
                if following[-1] not in before_noun:
                    break


@pytest.mark.parametrize("relation", ["adjective", "idiom"])
def test_held_out_pairs_are_absent_from_training_and_present_in_test(
    corpus: DatasetDict, words: Lexicon, relation: str
) -> None:
    pairs_of = {"adjective": adjective_pairs, "idiom": idiom_pairs}[relation]
    table = nouns_by_words(words)
    seen = {
        split: Counter(p for row in corpus[split] for p in pairs_of(row, words, table))
        for split in corpus
    }
    held_out = {
        split: {pair for pair in pairs if reserved(relation, *pair, share=HELD_OUT)}
        for split, pairs in seen.items()
    }
    assert len(seen["train"]) > 100
    assert not held_out["train"]
    assert len(held_out["test"]) >= 10
    parts = [{pair[side] for pair in seen["train"]} for side in (0, 1)]
    known = [a in parts[0] and b in parts[1] for a, b in held_out["test"]]
    assert sum(known) / len(known) > 0.6


def test_the_topic_of_the_sentence_settles_ambiguous_nouns(
    corpus: DatasetDict, words: Lexicon
) -> None:
    table = nouns_by_words(words)
    senses: dict[str, set[str | None]] = defaultdict(set)
    distances = []
    for row in rows(corpus):
        found = []
        start = 0
        for source, target in segments(row):
            bare = source[:-1] if source[-1] == "'s" else source
            found.append((start, target, table.get(bare, [])))
            start += len(source)
        cues = [
            (at, nouns[0].topic) for at, _, nouns in found if len(nouns) == 1 and nouns[0].topic
        ]
        for at, target, nouns in found:
            if len(nouns) == 2:
                (topic,) = {topic for _, topic in cues}
                (meant,) = (noun for noun in nouns if noun.topic == topic)
                assert stem_of(meant, target)
                senses[meant.key].add(topic)
                distances.append(min(abs(at - cue) for cue, _ in cues))
    assert len(distances) > 500
    assert sum(len(topics) == 2 for topics in senses.values()) >= 25
    assert sum(distance >= 5 for distance in distances) > len(distances) / 4


def test_some_verbs_and_adjectives_depend_on_their_nouns(corpus: DatasetDict) -> None:
    stems: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for row in rows(corpus):
        for source, target in segments(row):
            if source in {("old",), ("sharp",), ("knew",), ("lost",)}:
                stems[source].add(target[-1][:3])
    assert len(stems["old",]) == 2
    assert len(stems["knew",]) == 2
    assert len(stems["lost",]) == 3  # `lost` is also an adjective
