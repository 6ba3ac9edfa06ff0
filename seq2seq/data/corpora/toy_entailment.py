"""Toy corpus of entailment: generated premises and hypotheses in a small English.

The generator is deterministic and needs no files and no network. A sentence describes an event:
somebody did something to somebody or something, with up to five modifiers (of the subject, of the
object, how, where, when). Both sentences of a pair describe the same event, as in SNLI, with
different modifiers:

    premise         yesterday the old king sold the golden bell secretly in the garden .
    entailment      the old king sold the bell in the garden .    the premise says all of that
    neutral         the rich king sold the bell .                 the premise leaves it open
    contradiction   the old king painted the bell .               another word, or a negation

The event and the hypothesis are drawn before the label, and then a premise that fits both. So the
hypothesis alone is independent of the label, unlike in corpora written by people (Gururangan et al.
2018). Negation reverses the logic: `did not sell the ring` entails `did not sell the golden ring`,
but not vice versa.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from datasets import DatasetDict

from seq2seq.data.corpora.drawn import kept
from seq2seq.data.corpora.toy import core
from seq2seq.data.corpora.toy.lexicon import (
    Adjective,
    Entry,
    Lexicon,
    Noun,
    Pool,
    Tail,
    Verb,
    lexicon,
    zipf,
)
from seq2seq.system.untrusted_files import count_work

LABELS = ("entailment", "neutral", "contradiction")
MODIFIERS = ("subject", "object", "manner", "place", "time")
SIZES = {"train": 12_000, "validation": 1_000, "test": 1_000}


@dataclass(frozen=True)
class Event:
    """Who did what to whom, and all five modifiers; a sentence uses some of them."""

    subject: Noun
    verb: Verb
    object: Noun
    modifiers: dict[str, str]


@dataclass(frozen=True)
class Statement:
    """A sentence: an event, the modifiers it uses (`told`), and whether it is negated."""

    event: Event
    told: frozenset[str]
    denied: bool

    def words(self) -> str:
        """Return the sentence."""
        event = self.event
        verb = ("did", "not", *event.verb.base) if self.denied else event.verb.past
        parts = [
            self._modifier("time"),
            "the",
            self._modifier("subject"),
            *event.subject.singular,
            *verb,
            "the",
            self._modifier("object"),
            *event.object.singular,
            self._modifier("manner"),
            self._modifier("place"),
            ".",
        ]
        return " ".join(part for part in parts if part)

    def _modifier(self, name: str) -> str:
        return self.event.modifiers[name] if name in self.told else ""


class ToyEntailment:
    """The toy corpus of entailment, with the splits train, validation and test.

    Args:
        seed: seed of the pairs.
        train_size: number of training pairs.
        validation_size: number of pairs of the validation split.
        test_size: number of pairs of the test split.
        denied_share: share of negated hypotheses.
        cache_folder: cache folder for the pairs; None: the default folder.

    Raises:
        ValueError: if an argument is out of range.
    """

    source_language = "premise"
    target_language = "hypothesis"
    next_step = "seq2seq-train task=entailment data=sick data.root=DIR"

    def __init__(
        self,
        seed: int = 1,
        train_size: int = SIZES["train"],
        validation_size: int = SIZES["validation"],
        test_size: int = SIZES["test"],
        denied_share: float = 0.2,
        cache_folder: str | Path | None = None,
    ) -> None:
        self._cache_folder = cache_folder
        self.seed = seed
        self.sizes = {"test": test_size, "validation": validation_size, "train": train_size}
        for split, size in self.sizes.items():
            if size < 1:
                raise ValueError(f"toy entailment: {split}_size is {size}; give at least 1")
        if not 0 <= denied_share <= 1:
            raise ValueError(f"toy entailment: denied_share is {denied_share}; give 0 to 1")
        self.denied_share = denied_share

    def load(self) -> DatasetDict:
        """Return the splits; no pair is in two of them, and each label has a third of the pairs."""
        return kept(self, self._drawn, self._cache_folder)

    def _drawn(self) -> dict[str, list[dict[str, str]]]:
        count_work(4 * sum(self.sizes.values()))  # draws per pair, including rejected ones
        taken: set[tuple[str, str]] = set()
        return {split: list(self._split(split, taken)) for split in self.sizes}

    def _split(self, split: str, taken: set[tuple[str, str]]) -> Iterator[dict[str, str]]:
        pairs = Pairs(random.Random(f"entailment/{self.seed}/{split}"), self.denied_share)
        for number in range(self.sizes[split]):
            label = LABELS[number % len(LABELS)]
            while True:
                count_work()
                premise, hypothesis = (statement.words() for statement in pairs.draw(label))
                if (premise, hypothesis) not in taken:
                    break
            taken.add((premise, hypothesis))
            yield {"label": label, "source": premise, "target": hypothesis}


class Pairs:
    """Generator of pairs of statements, with the words of the toy's hand-written core."""

    def __init__(self, draw: random.Random, denied_share: float) -> None:
        self.draw_from = draw
        self.denied_share = denied_share
        words: Lexicon = lexicon(Tail(nouns=0, verbs=0, adjectives=0, share=0.0))
        self._verbs = [verb for verb in words.transitive if "place" not in verb.objects]
        self._nouns: dict[str, list[Noun]] = {}
        self._adjectives: dict[str, list[Adjective]] = {}
        for noun in words.nouns:
            if not noun.ambiguous:
                self._nouns.setdefault(noun.kind, []).append(noun)
        for kind in self._nouns:
            self._adjectives[kind] = [one for one in words.adjectives if kind in one.kinds]
        self._times = [time for time, _, tenses in core.TIMES if "past" in tenses.split()]

    def draw(self, label: str) -> tuple[Statement, Statement]:
        """Draw premise and hypothesis; the hypothesis does not depend on the label."""
        event = self._event()
        told = self._some(MODIFIERS, 1, len(MODIFIERS) - 1)
        hypothesis = Statement(event, told, self.draw_from.random() < self.denied_share)
        return getattr(self, f"_{label}")(hypothesis), hypothesis

    def _entailment(self, hypothesis: Statement) -> Statement:
        """Draw a premise that says more than an affirmed hypothesis, or less than a negated one."""
        if hypothesis.denied:
            return replace(hypothesis, told=self._less(hypothesis.told))
        return replace(hypothesis, told=self._more(hypothesis.told))

    def _neutral(self, hypothesis: Statement) -> Statement:
        """Draw a premise that neither entails nor contradicts the hypothesis."""
        if hypothesis.denied and self.draw_from.random() < 0.5:
            return replace(hypothesis, told=self._more(hypothesis.told))
        if not hypothesis.denied and self.draw_from.random() < self.denied_share:
            # `did not sell the golden bell` leaves open whether another bell was sold.
            others = self._more(hypothesis.told) - hypothesis.told
            told = others | self._some(sorted(hypothesis.told), 0, len(hypothesis.told))
            return replace(hypothesis, told=told, denied=True)
        return replace(hypothesis, told=self._other(hypothesis.told), denied=False)

    def _contradiction(self, hypothesis: Statement) -> Statement:
        """Draw a premise with another event, or with the opposite polarity."""
        if hypothesis.denied:
            return replace(hypothesis, told=self._more(hypothesis.told), denied=False)
        if self.draw_from.random() < self.denied_share:
            return replace(hypothesis, told=self._less(hypothesis.told), denied=True)
        told = self._other(hypothesis.told) if self.draw_from.random() < 0.5 else None
        return Statement(
            self._changed(hypothesis.event),
            self._more(hypothesis.told) if told is None else told,
            denied=False,
        )

    # Modifiers

    def _some(self, names: tuple[str, ...] | list[str], least: int, most: int) -> frozenset[str]:
        return frozenset(self.draw_from.sample(names, self.draw_from.randint(least, most)))

    def _more(self, told: frozenset[str]) -> frozenset[str]:
        others = [name for name in MODIFIERS if name not in told]
        return told | self._some(others, 1, len(others))

    def _less(self, told: frozenset[str]) -> frozenset[str]:
        return self._some(sorted(told), 0, len(told) - 1)

    def _other(self, told: frozenset[str]) -> frozenset[str]:
        """Drop at least one of the modifiers, and possibly add others."""
        others = [name for name in MODIFIERS if name not in told]
        return self._less(told) | self._some(others, 0, len(others))

    # Words

    def _draw(self, entries: Sequence[Entry]) -> Entry:
        """Draw an entry; earlier entries are more frequent, as in the toy corpus."""
        return Pool(zipf(entries, 1.0, Tail().core_exponent, 2.0)).draw(self.draw_from)

    def _event(self) -> Event:
        verb = self._draw(self._verbs)
        subject, object_ = self._noun(verb.subjects), self._noun(verb.objects)
        modifiers = {
            "subject": self._adjective(subject),
            "object": self._adjective(object_),
            "manner": self._draw(core.MANNERS)[0],
            "place": self._place(),
            "time": self._draw(self._times),
        }
        return Event(subject, verb, object_, modifiers)

    def _noun(self, kinds: frozenset[str]) -> Noun:
        return self._draw(self._nouns[self.draw_from.choice(sorted(kinds))])

    def _adjective(self, noun: Noun) -> str:
        return " ".join(self._draw(self._adjectives[noun.kind]).words)

    def _place(self) -> str:
        preposition, _ = self._draw(core.PREPOSITIONS)
        return f"{preposition} the {' '.join(self._noun(frozenset(['place'])).singular)}"

    def _changed(self, event: Event) -> Event:
        """Return the event with another subject, verb or object."""
        part = self.draw_from.choice(["subject", "verb", "object"])
        if part == "verb":
            return replace(event, verb=self._other_verb(event))
        old = event.subject if part == "subject" else event.object
        other = self._draw([noun for noun in self._nouns[old.kind] if noun.key != old.key])
        if part == "subject":
            return replace(event, subject=other)
        return replace(event, object=other)

    def _other_verb(self, event: Event) -> Verb:
        return self._draw(
            [
                verb
                for verb in self._verbs
                if event.subject.kind in verb.subjects
                and event.object.kind in verb.objects
                and verb.past != event.verb.past
            ]
        )
