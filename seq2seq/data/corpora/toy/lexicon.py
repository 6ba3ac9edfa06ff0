"""The lexicon, built from the hand-written core and the invented tail, and its entries."""

import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Generic, TypeVar

from . import coinage, core, english
from .selvan import GENDERS

KINDS = ("person", "animal", "thing", "food", "place")
LIVING = ("person", "animal")
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Noun:
    """A noun with its English forms, Selvan stem and gender.

    `topic` is set for cues of a topic and for the senses of ambiguous nouns; else it is None.
    """

    key: str
    kind: str
    singular: tuple[str, ...]
    plural: tuple[str, ...]
    stem: tuple[str, ...]
    gender: str
    topic: str | None = None
    ambiguous: bool = False
    tail: bool = False


@dataclass(frozen=True)
class Verb:
    """A verb or verbal idiom; its stem may depend on whether the object is alive."""

    key: str
    base: tuple[str, ...]
    third: tuple[str, ...]
    past: tuple[str, ...]
    stem: tuple[str, ...]
    stem_lifeless: tuple[str, ...]
    subjects: frozenset[str]
    objects: frozenset[str] = frozenset()
    idiom: bool = False
    tail: bool = False


@dataclass(frozen=True)
class Adjective:
    """An adjective; its stem may depend on whether the noun is alive."""

    key: str
    words: tuple[str, ...]
    stem: tuple[str, ...]
    stem_lifeless: tuple[str, ...]
    kinds: frozenset[str]
    tail: bool = False


class Pool(Generic[Entry]):
    """Entries with weights, to draw from."""

    def __init__(self, weighted: Iterable[tuple[Entry, float]]) -> None:
        pairs = list(weighted)
        self.entries = [entry for entry, _ in pairs]
        self.cumulative = list(itertools.accumulate(weight for _, weight in pairs))

    def draw(self, random_: random.Random) -> Entry:
        """Draw an entry."""
        return random_.choices(self.entries, cum_weights=self.cumulative)[0]


def zipf(
    entries: Sequence[Entry], total: float, exponent: float, shift: float
) -> list[tuple[Entry, float]]:
    """Return the entries with weights 1 / (rank + shift)^exponent, which sum to `total`."""
    weights = [(rank + shift) ** -exponent for rank in range(1, len(entries) + 1)]
    scale = total / sum(weights) if weights else 0.0
    return [(entry, weight * scale) for entry, weight in zip(entries, weights, strict=True)]


@dataclass(frozen=True)
class Tail:
    """Size, frequency and irregularity of the tail of invented words.

    `nouns`, `verbs` and `adjectives` are numbers of tail words. `share` is the share of tail words
    among all drawn words, `irregular` that of words that are not cognates among tail words.
    Frequencies fall as rank^-exponent in the tail, and as rank^-core_exponent in the core.
    """

    nouns: int = 1500
    verbs: int = 250
    adjectives: int = 400
    share: float = 0.09
    irregular: float = 0.2
    exponent: float = 1.0
    core_exponent: float = 1.2


@dataclass
class Lexicon:
    """All entries, by the groups from which the grammar draws."""

    nouns: list[Noun] = field(default_factory=list)
    adjectives: list[Adjective] = field(default_factory=list)
    transitive: list[Verb] = field(default_factory=list)
    intransitive: list[Verb] = field(default_factory=list)
    happening: list[Verb] = field(default_factory=list)
    giving: list[Verb] = field(default_factory=list)
    saying: list[Verb] = field(default_factory=list)
    wishing: list[Verb] = field(default_factory=list)
    transitive_idioms: list[Verb] = field(default_factory=list)
    intransitive_idioms: list[Verb] = field(default_factory=list)


@cache
def lexicon(tail: Tail) -> Lexicon:
    """Return the lexicon; in every list, tail words come after core words."""
    made = Lexicon()
    made.nouns = _core_nouns() + _tail_nouns(tail)
    made.adjectives = _core_adjectives() + _tail_adjectives(tail)
    people, alive = frozenset(["person"]), frozenset(LIVING)
    made.transitive += [
        _split(verb) for verb in _verbs(core.SPLIT_VERBS, people, frozenset(KINDS) - {"place"})
    ]
    for (subjects, objects), text in core.TRANSITIVE.items():
        made.transitive += _verbs(text, frozenset(subjects.split()), frozenset(objects.split()))
    made.transitive += _tail_verbs(tail, 0, frozenset(KINDS) - {"place"})
    for kind, text in core.INTRANSITIVE.items():
        made.intransitive += _verbs(text, frozenset([kind]))
    made.intransitive += _tail_verbs(tail, 1)
    made.happening = _verbs(core.HAPPENING, frozenset(["thing"]))
    made.giving = _verbs(core.GIVING, people, frozenset(["thing", "food"]), "give/")
    made.saying = _verbs(core.SAYING, people, prefix="say/")
    made.wishing = _verbs(core.WISHING, people, prefix="wish/")
    made.transitive_idioms = _verbs(core.TRANSITIVE_IDIOMS, people, alive, idiom=True)
    made.intransitive_idioms = _verbs(core.INTRANSITIVE_IDIOMS, people, idiom=True)
    return made


def _read(
    text: str,
) -> list[tuple[tuple[str, ...], tuple[str, ...] | None, tuple[str, ...] | None]]:
    """Parse `word/form=stem`: (word, form or None, stem or None), each split at `_`."""
    read = []
    for item in text.split():
        written, _, stem = item.partition("=")
        word, _, form = written.partition("/")
        parts = [tuple(part.split("_")) if part else None for part in (word, form, stem)]
        assert parts[0] is not None
        read.append((parts[0], parts[1], parts[2]))
    return read


def _noun(text: str, kind: str, topic: str | None = None, ambiguous: bool = False) -> list[Noun]:
    made = []
    for word, form, stem in _read(text):
        key = " ".join(word)
        sense = f"{key}/{topic}" if ambiguous else key
        plural = form or (*word[:-1], english.plural(word[-1]))
        gender = random.Random(f"gender/{sense}").choice(GENDERS)
        made.append(
            Noun(key, kind, word, plural, stem or (coinage.stem(sense),), gender, topic, ambiguous)
        )
    return made


def _core_nouns() -> list[Noun]:
    made: list[Noun] = []
    for kind, text in core.NOUNS.items():
        made += _noun(text, kind)
    for topic, lists in core.CUES.items():
        for kind, text in lists.items():
            made += _noun(text, kind, topic)
    for kind, words in core.AMBIGUOUS.items():
        for word, topics in words.items():
            for topic in topics:
                made += _noun(word, kind, topic, ambiguous=True)
    return made


def _adjectives(text: str, kinds: frozenset[str]) -> list[Adjective]:
    made = []
    for word, _, stem in _read(text):
        key = " ".join(word)
        stems = stem or (coinage.stem(f"adjective/{key}"),)
        made.append(Adjective(key, word, stems, stems, kinds))
    return made


def _core_adjectives() -> list[Adjective]:
    """Return the adjectives, ambiguous ones first: as in English, they are most frequent."""
    made: list[Adjective] = []
    portable = frozenset(KINDS) - {"place"}
    for one in _adjectives(core.SPLIT_ADJECTIVES, portable):
        lifeless = (coinage.stem(f"lifeless/{one.key}"),)
        made.append(Adjective(one.key, one.words, one.stem, lifeless, portable))
    for kind, text in core.ADJECTIVES.items():
        made += _adjectives(text, portable if kind == "any" else frozenset([kind]))
    return made


def _verbs(
    text: str,
    subjects: frozenset[str],
    objects: frozenset[str] = frozenset(),
    prefix: str = "",
    idiom: bool = False,
) -> list[Verb]:
    made = []
    for word, form, stem in _read(text):
        key = prefix + " ".join(word)
        third = (english.third_person(word[0]), *word[1:])
        past = form or (english.past(word[0]), *word[1:])
        stems = stem or (coinage.stem(f"verb/{key}"),)
        made.append(Verb(key, word, third, past, stems, stems, subjects, objects, idiom))
    return made


def _split(verb: Verb) -> Verb:
    lifeless = (coinage.stem(f"lifeless/{verb.key}"),)
    return Verb(
        verb.key, verb.base, verb.third, verb.past, verb.stem, lifeless, verb.subjects, verb.objects
    )


def _cognates(kind: str, count: int, tail: Tail) -> list[tuple[str, str, random.Random]]:
    """Return English root, Selvan root and a generator for each of `count` tail words."""
    made = []
    for root, cognate in itertools.islice(coinage.roots(kind), count):
        draw = random.Random(f"tail/{kind}/{root}")
        irregular = draw.random() < tail.irregular
        made.append((root, coinage.stem(f"{kind}/{root}") if irregular else cognate, draw))
    return made


def _tail_nouns(tail: Tail) -> list[Noun]:
    made = []
    for index, (root, cognate, draw) in enumerate(_cognates("noun", tail.nouns, tail)):
        kind = ("thing", "person", "thing", "animal", "thing", "food")[index % 6]
        suffixes = coinage.NOUN_SUFFIXES[kind]
        suffix = draw.choice(list(suffixes))
        ending, gender = suffixes[suffix]
        word = root + suffix
        plural = (english.plural(word),)
        made.append(Noun(word, kind, (word,), plural, (cognate + ending,), gender, tail=True))
    return made


def _tail_adjectives(tail: Tail) -> list[Adjective]:
    made = []
    portable = frozenset(KINDS) - {"place"}
    for root, cognate, draw in _cognates("adjective", tail.adjectives, tail):
        suffix = draw.choice(list(coinage.ADJECTIVE_SUFFIXES))
        stem = (cognate + coinage.ADJECTIVE_SUFFIXES[suffix],)
        made.append(Adjective(root + suffix, (root + suffix,), stem, stem, portable, True))
    return made


def _tail_verbs(tail: Tail, parity: int, objects: frozenset[str] = frozenset()) -> list[Verb]:
    """Return every second tail verb, by parity: 0 transitive, 1 intransitive."""
    people = frozenset(["person"])
    made = []
    for root, cognate, draw in _cognates("verb", tail.verbs, tail)[parity::2]:
        suffix = draw.choice(list(coinage.VERB_SUFFIXES))
        word = root + suffix
        stem = (cognate + coinage.VERB_SUFFIXES[suffix],)
        forms = (word,), (english.third_person(word),), (english.past(word),)
        made.append(Verb(word, *forms, stem, stem, people, objects, tail=True))
    return made
