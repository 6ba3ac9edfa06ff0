"""Noun phrases: determiner, number, adjective, noun, genitive; names; pronouns."""

from collections.abc import Iterable
from dataclasses import dataclass

from . import english, selvan
from .choices import Choices
from .lexicon import LIVING, Adjective, Noun
from .pairs import EMPTY, Phrase, join, unit
from .selvan import Agreement


@dataclass(frozen=True)
class Lead:
    """A preposition before a noun phrase.

    If `melted` is a string, it fuses with a Selvan article (`en` + `sol` = `ensol`); without an
    article, `alone` is used.
    """

    words: tuple[str, ...] = ()
    melted: str | None = None
    alone: str = ""

    def before(self) -> Phrase:
        """Return the preposition as a separate word."""
        return unit(self.words, self.alone) if self.words else EMPTY


NO_LEAD = Lead()
OF = Lead(("of",), "", selvan.OF)
TO = Lead(("to",), "", selvan.TO)


@dataclass(frozen=True)
class Nominal:
    """A noun phrase with its agreement, kind and pronoun; `nouns` are the keys of its heads."""

    phrase: Phrase
    agreement: Agreement
    kind: str
    pronoun: str
    nouns: tuple[str, ...] = ()


class Nominals:
    """Generator of noun phrases in both languages."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices

    def any(self, kinds: Iterable[str], case: str, lead: Lead = NO_LEAD) -> Nominal:
        """Draw a person's name, `A and B`, or a noun phrase of any complexity."""
        choices, kinds = self.choices, list(kinds)
        if "person" in kinds and choices.chance(choices.rates.name):
            return self.name(lead)
        if lead is NO_LEAD and choices.chance(0.06):
            return self._both(kinds, case)
        return self.noun_phrase(kinds, case, lead)

    def name(self, lead: Lead = NO_LEAD) -> Nominal:
        """Draw a person's name, which is copied."""
        group = self.choices.pick((1, "he"), (1, "she"))
        name = self.choices.name(group)
        gender = "fire" if group == "he" else "river"
        phrase = join(lead.before(), unit(name, name))
        return Nominal(phrase, Agreement(gender, False), "person", group)

    def noun_phrase(
        self, kinds: Iterable[str], case: str, lead: Lead = NO_LEAD, simple: bool = False
    ) -> Nominal:
        """Draw determiner and noun; unless `simple`, also number, adjective, genitive."""
        choices = self.choices
        noun = choices.noun(kinds)
        numeral = not simple and noun.kind != "place" and choices.chance(0.08)
        plural = numeral or (noun.kind != "place" and choices.chance(0.25))
        agreement = Agreement(noun.gender, plural)
        adjective = self._adjective(noun, agreement, case, 0.1 if simple else 0.3)
        number = self._number() if numeral else EMPTY
        head = self._noun(noun, plural, agreement, case)
        if not simple and choices.chance(0.07):
            owner = self._owner()
            phrase = join(lead.before(), owner, adjective, head, order=(0, 3, 2, 1))
        else:
            next_word = join(number, adjective, head).source[0].source[0]
            start = self._determiner(lead, agreement, case, numeral, next_word)
            genitive = self._genitive(noun) if not simple and choices.chance(0.08) else EMPTY
            phrase = join(start, number, adjective, head, genitive, order=(0, 3, 2, 1, 4))
        pronoun = "they" if plural else "it"
        if noun.kind == "person" and not plural:
            pronoun = choices.pick((1, "he"), (1, "she"))
        return Nominal(phrase, agreement, noun.kind, pronoun, (noun.key,))

    def pronoun(self, antecedent: Nominal, case: str, word: str) -> Nominal:
        """Return the pronoun `word` with the gender of an antecedent."""
        form = selvan.nominal(selvan.PRONOUN, antecedent.agreement, case)
        return Nominal(unit(word, form), antecedent.agreement, antecedent.kind, antecedent.pronoun)

    def predicate_adjective(self, subject: Nominal) -> Phrase:
        """Draw the adjective of `was old`, which agrees with the subject."""
        one = self.choices.adjective_of_kind(subject.kind)
        return _adjective_unit(one, subject.kind, subject.agreement, "nominative", very=False)

    def _both(self, kinds: list[str], case: str) -> Nominal:
        first = self.noun_phrase(kinds, case, simple=True)
        second = self.noun_phrase([first.kind], case, simple=True)
        phrase = join(first.phrase, unit("and", selvan.AND), second.phrase)
        agreement = selvan.resolve(first.agreement, second.agreement)
        return Nominal(phrase, agreement, first.kind, "they", first.nouns + second.nouns)

    def _noun(self, noun: Noun, plural: bool, agreement: Agreement, case: str) -> Phrase:
        words = noun.plural if plural else noun.singular
        form = selvan.nominal(noun.stem[-1], agreement, case)
        return unit(words, (*noun.stem[:-1], form))

    def _adjective(self, noun: Noun, agreement: Agreement, case: str, probability: float) -> Phrase:
        if not self.choices.chance(probability):
            return EMPTY
        one = self.choices.adjective(noun)
        very = len(one.words) == 1 and self.choices.chance(0.1)
        return _adjective_unit(one, noun.kind, agreement, case, very)

    def _number(self) -> Phrase:
        random_ = self.choices.random
        if self.choices.chance(0.5):
            value = random_.randint(2, 12) if self.choices.chance(0.4) else random_.randint(2, 99)
            return unit(english.number(value), selvan.number(value))
        digits = str(random_.randint(13, 10 ** random_.randint(2, 3)))
        return unit(digits, digits)

    def _determiner(
        self, lead: Lead, agreement: Agreement, case: str, numeral: bool, next_word: str
    ) -> Phrase:
        pick = self.choices.pick
        if numeral:
            word = pick((5, ""), (4, "the"), (1, "these"))
        elif agreement.plural:
            word = pick((10, "the"), (3, "some"), (2, "these"), (2, "many"))
        else:
            word = pick((10, "the"), (4, "a"), (2, "this"), (1, "every"))
        if not word:
            return lead.before()
        form = selvan.nominal(selvan.DETERMINERS[word], agreement, case)
        word = english.article(next_word) if word == "a" else word
        if lead.melted is None:
            return join(lead.before(), unit(word, form))
        return unit((*lead.words, word), lead.melted + form)

    def _genitive(self, noun: Noun) -> Phrase:
        kinds = ["place"] if noun.kind in LIVING else ["person"]
        return self.noun_phrase(kinds, "genitive", OF, simple=True).phrase

    def _owner(self) -> Phrase:
        """Draw an owner: `Anna 's` → `di Anna`; `the king 's` → `sor kingor`."""
        if self.choices.chance(0.5):
            name = self.name().phrase
            return join(name, unit("'s", selvan.OF), order=(1, 0))
        noun = self.choices.noun(["person"])
        agreement = Agreement(noun.gender, False)
        form = selvan.nominal(noun.stem[-1], agreement, "genitive")
        article = selvan.nominal(selvan.DETERMINERS["the"], agreement, "genitive")
        head = unit((*noun.singular, "'s"), (*noun.stem[:-1], form))
        return join(unit("the", article), head)


def _adjective_unit(
    one: Adjective, kind: str, agreement: Agreement, case: str, very: bool
) -> Phrase:
    stem = one.stem if kind in LIVING else one.stem_lifeless
    last = stem[-1] + (selvan.SUPERLATIVE if very else "")
    words = ("very", *one.words) if very else one.words
    return unit(words, (*stem[:-1], selvan.nominal(last, agreement, case)))
