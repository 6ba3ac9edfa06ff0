"""Toy corpus of translation: sentences in a small English and in Selvan, an invented language.

The generator is deterministic and needs no files and no network. A synchronous grammar builds both
sides of a sentence together, so every pair has gold word alignments and phrase segments:

    source           the bright friend who Mala raises gets rid of the rabbit in the morning .
    target           matinal debareso so skurko drendano kon Mala drartesa san surnan .
    alignment        0-2 1-4 2-3 3-5 4-6 5-7 6-1 7-1 8-1 9-8 10-9 11-0 12-0 13-0 14-10
    source_segments  0-1 1-2 2-3 3-4 4-5 5-6 6-9 9-10 10-11 11-14 14-15
    target_segments  2-3 4-5 3-4 5-6 6-7 7-8 1-2 8-9 9-10 0-1 10-11

`matinal` (in the morning) comes first, so the verb comes second: `debareso` (gets rid of). It ends
in -o because its subject `skurko` (friend) has the gender fire. `drendano` (bright, of the living)
follows its noun. `drartesa` (raises) is at the end of its clause, and ends in -a for Mala.

An alignment lists positions `source-target` of words, from 0. Segments are the smallest spans that
are translated as a whole, with exclusive ends: the k-th source span is the k-th target span. Every
word is aligned, except for the English comma.

To read the heat maps, you need to know about Selvan (for all endings see `selvan`):

- Nouns have a gender (fire, river, stone). Articles, adjectives, relative and personal pronouns
  agree with them in gender, number and case. Verbs agree with their subject in gender and number,
  also across a relative clause.
- Adjectives, numbers and genitives follow the noun. Subordinate clauses end with their verb. A
  time (`in the morning`, `in 1847`) always comes first, and then the verb comes before the subject.
- Many words to one: idioms (`fell in love with` = `amorvevo`), compounds (`sewing machine`),
  `very old`, `in the` = `ensol`, `twenty seven` = `septadunta`, `did not see` = `ni` + verb. One to
  many: `blacksmith` = `mestr fergaro`, `forgot` = `lass memevo`.
- Names and numbers are copied.

The corpus is hard in the same ways as real text:

- a Zipf tail of rare words (`trindle`): most are cognates that follow sound laws, others irregular;
- nouns with two translations, which words of a topic elsewhere in the sentence decide (`bank` with
  a forest or with a merchant);
- verbs and adjectives whose translation depends on their object or noun (`know` a person or a
  thing);
- names that never occur in training;
- in validation and test, pairs of words that never occur together in training (adjective and noun,
  idiom and object).
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from datasets import DatasetDict

from seq2seq.data.corpora.drawn import kept
from seq2seq.system.untrusted_files import count_work, shown

from .choices import Choices, Rates
from .clauses import Sentences
from .lexicon import Tail
from .pairs import Example, render

__all__ = ["Rates", "Tail", "Toy", "knobs"]

LENGTHS = range(6, 26)
MOST_TAIL_WORDS = 20_000  # per kind; there are about 60,000 roots, and the last take long to draw
STEEPEST = 10  # largest exponent of the frequencies
MOST_MISSES = 5_000  # consecutive rejected sentences; ten are usual
Knobs = TypeVar("Knobs", Tail, Rates)


class Toy:
    """The toy corpus of translation, with the splits train, validation and test.

    Args:
        seed: seed of the sentences; the two languages do not depend on it.
        train_size: number of training pairs.
        validation_size: number of pairs of the validation split.
        test_size: number of pairs of the test split.
        held_out_share: share of validation and test sentences with a pair of words that never
            occur together in training.
        tail: fields of `Tail` to change: how many rare words there are, and how frequent.
        rates: fields of `Rates` to change: how frequent the difficult constructions are.
        cache_folder: cache folder for the pairs; None: the default folder.

    Raises:
        ValueError: if an argument is out of range.
    """

    source_language = "en"
    target_language = "selvan"
    next_step = "seq2seq-train data=multi30k"

    def __init__(
        self,
        seed: int = 1,
        train_size: int = 16_000,
        validation_size: int = 500,
        test_size: int = 1_000,
        held_out_share: float = 0.3,
        tail: Mapping[str, Any] | None = None,
        rates: Mapping[str, Any] | None = None,
        cache_folder: str | Path | None = None,
    ) -> None:
        self._cache_folder = cache_folder
        self.seed = seed
        self.sizes = {"test": test_size, "validation": validation_size, "train": train_size}
        for split, size in self.sizes.items():
            if size < 1:
                raise ValueError(f"toy corpus: {split}_size is {size}; give at least 1")
        if not 0 <= held_out_share <= 1:
            raise ValueError(f"toy corpus: held_out_share is {held_out_share}; give 0 to 1")
        self.held_out_share = held_out_share
        self.tail = knobs(Tail, "tail", tail)
        self.rates = knobs(Rates, "rates", rates)

    def load(self) -> DatasetDict:
        """Return the splits, which share no sentence; `train_size` changes only train."""
        return kept(self, self._drawn, self._cache_folder)

    def _drawn(self) -> dict[str, list[dict[str, Any]]]:
        count_work(4 * sum(self.sizes.values()))  # draws per pair, including rejected ones
        taken: set[str] = set()
        return {split: [vars(e) for e in self._split(split, taken)] for split in self.sizes}

    def _split(self, split: str, taken: set[str]) -> Iterator[Example]:
        """Draw sentences until the split is full; training gets no held-out pairs of words."""
        training = split == "train"
        draw = random.Random(f"{self.seed}/{split}")
        sentences = Sentences(Choices(draw, self.tail, self.rates, unseen=not training))
        wanted = {True: 0, False: self.sizes[split]}
        if not training:
            wanted[True] = round(self.sizes[split] * self.held_out_share)
            wanted[False] -= wanted[True]
        misses = 0
        while any(wanted.values()):
            count_work()
            misses += 1
            if misses > MOST_MISSES:
                raise ValueError(
                    f"toy corpus: no new sentence for the split {split} in {MOST_MISSES:,} tries; "
                    "lower its size or held_out_share, or raise rates.held_out"
                )
            phrase, notes = sentences.draw()
            held_out = notes.held_out > 0
            if not wanted[held_out] or (notes.ambiguous and not notes.cues):
                continue
            example = render(phrase)
            if example.source in taken or example.source.count(" ") + 1 not in LENGTHS:
                continue
            taken.add(example.source)
            wanted[held_out] -= 1
            misses = 0
            yield example


def knobs(kind: type[Knobs], name: str, changes: Mapping[str, Any] | None) -> Knobs:
    """Return a `Tail` or `Rates` with some fields changed; raise ValueError for bad values."""
    known = {field.name: field for field in fields(kind)}
    if unknown := set(changes or {}) - known.keys():
        raise ValueError(
            f"toy corpus: {name} has no {', '.join(sorted(unknown))}; "
            f"it has {', '.join(sorted(known))}"
        )
    for key, value in (changes or {}).items():
        whole = isinstance(known[key].default, int)
        most = MOST_TAIL_WORDS if whole else STEEPEST if key.endswith("exponent") else 1
        if type(value) not in ((int,) if whole else (int, float)) or not 0 <= value <= most:
            wanted = "a whole number" if whole else "a number"
            raise ValueError(
                f"toy corpus: {name}.{key} is {shown(value)}; give {wanted} from 0 to {most:,}"
            )
    return replace(kind(), **(changes or {}))
