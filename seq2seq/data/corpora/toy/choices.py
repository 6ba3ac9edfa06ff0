"""Random choices of words, their frequencies, and notes about the chosen words."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from . import coinage, core
from .lexicon import KINDS, Adjective, Noun, Pool, Tail, Verb, lexicon, zipf

Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Rates:
    """Probabilities of difficult constructions.

    `ambiguous` and `cue` are shares of nouns, `idiom` of predicates, `name` of people,
    `unseen_name` of names in validation and test, and `held_out` of word pairs that never occur in
    training.
    """

    ambiguous: float = 0.2
    cue: float = 0.25
    idiom: float = 0.2
    name: float = 0.2
    unseen_name: float = 0.3
    held_out: float = 0.1


@dataclass
class Notes:
    """Counts of a finished sentence, which decide the splits it may be in."""

    topic: str
    cues: int = 0
    ambiguous: int = 0
    held_out: int = 0
    relatives: int = 0
    unseen: int = 0


class Choices:
    """Generator of words; `unseen` allows names that are reserved for validation and test."""

    def __init__(self, random_: random.Random, tail: Tail, rates: Rates, unseen: bool) -> None:
        self.random = random_
        self.tail = tail
        self.rates = rates
        self.unseen = unseen
        self.notes = Notes("")
        words = lexicon(tail)
        self.lexicon = words
        nouns = [noun for noun in words.nouns if not noun.tail]
        self._nouns = {
            (kind, topic, ambiguous): _mild(
                (
                    noun
                    for noun in nouns
                    if (noun.kind, noun.topic, noun.ambiguous) == (kind, topic, ambiguous)
                ),
                tail,
            )
            for kind in KINDS
            for topic in (None, *core.TOPICS)
            for ambiguous in (False, True)
        }
        self._tail_nouns = {
            kind: _steep((noun for noun in words.nouns if noun.tail and noun.kind == kind), tail)
            for kind in KINDS
        }
        self._adjectives = {
            kind: _mild(
                (one for one in words.adjectives if kind in one.kinds and not one.tail), tail
            )
            for kind in KINDS
        }
        self._tail_adjectives = {
            kind: _steep((one for one in words.adjectives if kind in one.kinds and one.tail), tail)
            for kind in KINDS
        }
        self._verbs: dict[tuple[str, str, str], Pool[Verb]] = {}
        self._names = {group: _steep(_known_names(group), tail) for group in coinage.NAME_ENDINGS}

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self.random.random() < probability

    def pick(self, *weighted: tuple[float, Choice]) -> Choice:
        """Draw one of the choices, by weight."""
        return self.random.choices([c for _, c in weighted], [w for w, _ in weighted])[0]

    def noun(self, kinds: Iterable[str]) -> Noun:
        """Draw a noun of one of the kinds: ambiguous, a cue of the topic, rare, or plain."""
        kind = self.random.choice(sorted(kinds))
        pool = self._noun_pool(kind)
        noun = pool.draw(self.random)
        self.notes.ambiguous += noun.ambiguous
        self.notes.cues += noun.topic is not None and not noun.ambiguous
        return noun

    def _noun_pool(self, kind: str) -> Pool[Noun]:
        topic, notes = self.notes.topic, self.notes
        ambiguous, cues = self._nouns[kind, topic, True], self._nouns[kind, topic, False]
        if ambiguous.entries and self.chance(self.rates.ambiguous):
            return ambiguous
        wanted = 0.8 if notes.ambiguous and not notes.cues else self.rates.cue
        if cues.entries and self.chance(wanted):
            return cues
        if self._tail_nouns[kind].entries and self.chance(self.tail.share):
            return self._tail_nouns[kind]
        return self._nouns[kind, None, False]

    def adjective(self, noun: Noun) -> Adjective:
        """Draw an adjective that fits the noun; note held-out pairs of core words."""
        adjective = self.adjective_of_kind(noun.kind)
        if not (noun.tail or adjective.tail):
            self.note_pair("adjective", adjective.key, noun.key)
        return adjective

    def adjective_of_kind(self, kind: str) -> Adjective:
        """Draw an adjective that fits the kind."""
        tail = self._tail_adjectives[kind]
        if tail.entries and self.chance(self.tail.share):
            return tail.draw(self.random)
        return self._adjectives[kind].draw(self.random)

    def note_pair(self, relation: str, first: str, second: str) -> None:
        """Note whether the pair of words never occurs in training."""
        self.notes.held_out += coinage.reserved(relation, first, second, share=self.rates.held_out)

    def verb(self, group: str, subject: str, objects: str = "") -> Verb:
        """Draw a verb of a group (a field of the lexicon) for these kinds of subject and object."""
        key = (group, subject, objects)
        if key not in self._verbs:
            self._verbs[key] = self._verb_pool(*key)
        return self._verbs[key].draw(self.random)

    def _verb_pool(self, group: str, subject: str, objects: str) -> Pool[Verb]:
        suited = [
            verb
            for verb in getattr(self.lexicon, group)
            if subject in verb.subjects and (not objects or objects in verb.objects)
        ]
        usual = [verb for verb in suited if not verb.tail]
        rare = [verb for verb in suited if verb.tail]
        share = self.tail.share if rare else 0.0
        return Pool(
            zipf(usual, 1.0 - share, self.tail.core_exponent, 2.0)
            + zipf(rare, share, self.tail.exponent, 2.0)
        )

    def name(self, group: str) -> str:
        """Draw a name: one that occurs in training, or sometimes a reserved one if allowed."""
        if not (self.unseen and self.chance(self.rates.unseen_name)):
            return self._names[group].draw(self.random)
        self.notes.unseen += 1
        while True:
            name = coinage.name(self.random, group)
            if coinage.reserved("name", name, share=coinage.RESERVED_NAMES):
                return name


def _mild(entries: Iterable[Choice], tail: Tail) -> Pool[Choice]:
    return Pool(zipf(list(entries), 1.0, tail.core_exponent, 2.0))


def _steep(entries: Iterable[Choice], tail: Tail) -> Pool[Choice]:
    return Pool(zipf(list(entries), 1.0, tail.exponent, 2.0))


def _known_names(group: str) -> list[str]:
    draw = random.Random(f"names/{group}")
    names = dict.fromkeys(core.NAMES[group].split())
    while len(names) < coinage.KNOWN_NAMES:
        name = coinage.name(draw, group)
        if not coinage.reserved("name", name, share=coinage.RESERVED_NAMES):
            names[name] = None
    return list(names)
