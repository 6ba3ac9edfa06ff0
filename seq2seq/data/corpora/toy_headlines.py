"""Toy corpus of headlines: generated sentences in the style of news, and short headlines.

The generator is deterministic and needs no files and no network. Two examples (`alignment` links
words of the article with words of the headline, from 0):

    source     last winter , the strange mole bit a black teacher .
    target     mole bites teacher
    alignment  5-0 6-1 9-2

    source     Walter was loved by some widows in Paris behind closed doors before a heavy mule
               watched this fox .
    target     widows love Walter in Paris
    alignment  0-2 2-1 5-0 6-3 7-4

A headline

- omits articles and other determiners, adjectives, relative clauses, appositions, genitives,
  adverbs of time and manner, places other than cities, reasons, and the speaker;
- changes the past to the present (`bought`, `buys`), the future to an infinitive (`will buy`, `to
  buy`), and the passive to the active, with the actor first;
- copies names, numbers, and the long tail of rare words, which `Tail` controls as in the toy corpus
  of translation.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import DatasetDict

from seq2seq.data.corpora.drawn import kept
from seq2seq.data.corpora.toy import Rates, Tail, core, english, knobs
from seq2seq.data.corpora.toy.choices import Choices, Notes
from seq2seq.data.corpora.toy.lexicon import LIVING, Verb
from seq2seq.system.untrusted_files import count_work

LENGTHS = range(9, 36)


@dataclass(frozen=True, eq=False)
class Token:
    """A word of the article, and its word in the headline ("" if the headline omits it)."""

    word: str
    headline: str = ""


Piece = tuple[Token, ...]


@dataclass(frozen=True)
class Party:
    """A participant of an event, in the words of the article."""

    piece: Piece
    kind: str
    plural: bool


class ToyHeadlines:
    """The toy corpus of headlines; train, validation and test have no article in common.

    Args:
        seed: seed of the sentences; the language does not depend on it.
        train_size: number of training pairs.
        validation_size: number of pairs of the validation split.
        test_size: number of pairs of the test split.
        tail: fields of `Tail` to change: how many rare words there are, and how frequent.
        cache_folder: cache folder for the pairs; None: the default folder.

    Raises:
        ValueError: if an argument is out of range.
    """

    source_language = "article"
    target_language = "headline"
    next_step = "your own pairs: seq2seq-train task=summarization data=text data.train.source=…"

    def __init__(
        self,
        seed: int = 1,
        train_size: int = 12_000,
        validation_size: int = 300,
        test_size: int = 500,
        tail: Mapping[str, Any] | None = None,
        cache_folder: str | Path | None = None,
    ) -> None:
        self._cache_folder = cache_folder
        self.seed = seed
        self.sizes = {"test": test_size, "validation": validation_size, "train": train_size}
        for split, size in self.sizes.items():
            if size < 1:
                raise ValueError(f"toy headlines: {split}_size is {size}; give at least 1")
        self.tail = knobs(Tail, "tail", tail)

    def load(self) -> DatasetDict:
        """Return the splits; `train_size` does not change the other two."""
        return kept(self, self._drawn, self._cache_folder)

    def _drawn(self) -> dict[str, list[dict[str, str]]]:
        count_work(4 * sum(self.sizes.values()))  # draws per pair, including rejected ones
        taken: set[str] = set()
        return {split: list(self._split(split, taken)) for split in self.sizes}

    def _split(self, split: str, taken: set[str]) -> Iterator[dict[str, str]]:
        draw = random.Random(f"headlines/{self.seed}/{split}")
        stories = Stories(Choices(draw, self.tail, Rates(), unseen=split != "train"))
        left = self.sizes[split]
        while left:
            count_work()
            row = stories.draw()
            if row["source"] in taken or row["source"].count(" ") + 1 not in LENGTHS:
                continue
            taken.add(row["source"])
            left -= 1
            yield row


class Stories:
    """Generator of articles with their headlines."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices

    def draw(self) -> dict[str, str]:
        """Draw a row: source, target, alignment."""
        choices = self.choices
        choices.notes = Notes(choices.random.choice(core.TOPICS))
        tense = choices.pick((6, "past"), (2, "future"))
        article, headline = self._event(tense)
        dressed = choices.pick((3, self._plain), (3, self._said), (2, self._reasoned))
        return row([*dressed(article, tense), Token(".")], headline)

    # The event, which the headline reports

    def _event(self, tense: str) -> tuple[list[Token], list[Token]]:
        """Return the tokens of an event in the order of the article and of the headline."""
        make = self.choices.pick((6, self._active), (3, self._passive), (2, self._giving))
        ordered, headline = make(tense)
        where = self._where()
        manner = plain(self._one_of(core.MANNERS)) if self.choices.chance(0.25) else ()
        return [*ordered, *where, *manner], [*headline, *where]

    def _active(self, tense: str) -> tuple[list[Token], list[Token]]:
        subject = self._party(("person", "person", "animal"), relative=0.3)
        verb = self.choices.verb("transitive", subject.kind)
        noun = self._party(sorted(verb.objects), relative=0.15)
        tokens = [*subject.piece, *finite(verb, subject.plural, tense), *noun.piece]
        return tokens, tokens

    def _passive(self, tense: str) -> tuple[list[Token], list[Token]]:
        """Draw a passive sentence: `the lamp was bought by the king`, `king buys lamp`."""
        actor = self._party(("person",), relative=0.2)
        while True:
            verb = self.choices.verb("transitive", actor.kind)
            # The lexicon has no participles of irregular verbs.
            if len(verb.base) == 1 and verb.past == (english.past(verb.base[0]),):
                break
        noun = self._party(sorted(verb.objects), relative=0.0)
        spoken = finite(verb, actor.plural, tense)
        be = core.COPULA[tense][noun.plural]
        if tense == "past":
            auxiliary: Piece = plain(" ".join(be))
            action: Piece = (Token(verb.past[0], spoken[-1].headline),)
        else:
            auxiliary = (Token(be[0], spoken[0].headline), *plain(" ".join(be[1:])))
            action = (Token(verb.past[0], spoken[-1].headline),)
        article = [*noun.piece, *auxiliary, *action, Token("by"), *actor.piece]
        return article, [*actor.piece, *auxiliary, *action, *noun.piece]

    def _giving(self, tense: str) -> tuple[list[Token], list[Token]]:
        giver = self._party(("person",), relative=0.2)
        verb = self.choices.verb("giving", "person")
        gift = self._party(sorted(verb.objects), relative=0.1)
        to = self._party(("person",), relative=0.0)
        spoken = finite(verb, giver.plural, tense)
        tokens = [*giver.piece, *spoken, *gift.piece, Token("to", "to"), *to.piece]
        return tokens, tokens

    def _where(self) -> Piece:
        """Draw a place; the headline keeps only cities."""
        if not self.choices.chance(0.45):
            return ()
        if self.choices.chance(0.5):
            city = self.choices.name("city")
            return (Token("in", "in"), Token(city, city))
        return (*plain(self._one_of(core.PREPOSITIONS)), *bare(self._noun_phrase(("place",)).piece))

    # The rest of the article

    def _plain(self, event: Sequence[Token], tense: str) -> list[Token]:
        time = plain(self._time(tense))
        if self.choices.chance(0.6):
            return [*time, Token(","), *event]
        return [*event, *time]

    def _said(self, event: Sequence[Token], tense: str) -> list[Token]:
        verb = self._one_of([("said",), ("thought",), ("heard",), ("found out",), ("hoped",)])
        speaker = bare(self._party(("person",), relative=0.0).piece)
        saying = [*speaker, *plain(verb)]
        if self.choices.chance(0.5):
            return [*event, Token(","), *saying, *plain(self._time("past"))]
        return [*saying, *plain(self._time("past")), Token("that"), *event]

    def _reasoned(self, event: Sequence[Token], tense: str) -> list[Token]:
        conjunction = plain(self._one_of(core.CONJUNCTIONS))
        reason = bare(self._active(tense)[0])
        if self.choices.chance(0.4):
            return [*conjunction, *reason, Token(","), *event]
        return [*event, *conjunction, *reason]

    # Parties

    def _party(self, kinds: Sequence[str], relative: float) -> Party:
        """Draw a name, or a noun phrase; possibly with an apposition or a relative clause."""
        choices = self.choices
        if "person" in kinds and choices.chance(0.25):
            name = choices.name(choices.pick((1, "he"), (1, "she")))
            piece: Piece = (Token(name, name),)
            if choices.chance(0.3):
                comma = (Token(","),)
                piece = (*piece, *comma, *bare(self._singular(("person",)).piece), *comma)
            return Party(piece, "person", plural=False)
        party = self._noun_phrase(kinds)
        if not choices.chance(relative):
            return party
        pronoun = "who" if party.kind == "person" else "that"
        if party.kind in LIVING:
            verb = choices.verb("transitive", party.kind)
            other = self._singular(sorted(verb.objects))
            clause: Piece = (*finite(verb, party.plural, "past"), *other.piece)
        else:
            verb = choices.verb("transitive", "person", party.kind)
            clause = (*self._singular(("person",)).piece, *finite(verb, False, "past"))
        return Party((*party.piece, Token(pronoun), *bare(clause)), party.kind, party.plural)

    def _singular(self, kinds: Sequence[str]) -> Party:
        return self._noun_phrase(kinds, plural=0.0)

    def _noun_phrase(self, kinds: Sequence[str], plural: float = 0.3) -> Party:
        """Draw determiner or number, adjective, noun, genitive; headlines keep number and noun."""
        choices = self.choices
        noun = choices.noun(dict.fromkeys(kinds))
        many = noun.kind != "place" and choices.chance(plural)
        words = noun.plural if many else noun.singular
        adjective = plain(" ".join(choices.adjective(noun).words)) if choices.chance(0.45) else ()
        first = adjective[0].word if adjective else words[0]
        lead = plain(choices.pick((10, "the"), (4, english.article(first)), (1, "this")))
        if many:
            lead = plain(choices.pick((6, "the"), (2, "some"), (2, "many")))
            if choices.chance(0.35):
                figure = str(choices.random.randint(2, 99))
                lead = (Token(figure, figure),)
        genitive: Piece = ()
        if noun.kind != "place" and choices.chance(0.12):
            owner = "place" if noun.kind in LIVING else "person"
            genitive = (Token("of"), *bare(self._genitive(owner)))
        head = tuple(Token(word, word) for word in words)
        return Party((*lead, *adjective, *head, *genitive), noun.kind, many)

    def _genitive(self, kind: str) -> Piece:
        noun = self.choices.noun([kind])
        return plain(" ".join(("the", *noun.singular)))

    def _time(self, tense: str) -> str:
        suited = [words for words, _, tenses in core.TIMES if tense in tenses.split()]
        return self.choices.random.choice(suited)

    def _one_of(self, entries: Sequence[Sequence[str]]) -> str:
        return self.choices.random.choice(entries)[0]


def finite(verb: Verb, plural: bool, tense: str) -> Piece:
    """Return the verb, `bought` or `will buy`; in the headline `buys` (or `buy`) or `to buy`."""
    if tense == "future":
        return (Token("will", "to"), *(Token(word, word) for word in verb.base))
    forms = verb.base if plural else verb.third
    return tuple(Token(word, other) for word, other in zip(verb.past, forms, strict=True))


def plain(text: str) -> Piece:
    """Return words that the headline omits."""
    return tuple(Token(word) for word in text.split())


def bare(tokens: Sequence[Token]) -> Piece:
    """Return the same words, but omitted from the headline."""
    return tuple(Token(token.word) for token in tokens)


def row(article: Sequence[Token], headline: Sequence[Token]) -> dict[str, str]:
    """Return source, target and Pharaoh alignment; tokens are matched by identity."""
    kept_tokens = [token for token in headline if token.headline]
    place = {id(token): j for j, token in enumerate(kept_tokens)}
    links = [f"{i}-{place[id(token)]}" for i, token in enumerate(article) if id(token) in place]
    return {
        "source": " ".join(token.word for token in article),
        "target": " ".join(token.headline for token in kept_tokens),
        "alignment": " ".join(links),
    }
