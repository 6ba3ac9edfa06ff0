"""Predicates: verbs and idioms with objects, tense and negation, in both languages."""

from dataclasses import dataclass

from . import core, selvan
from .choices import Choices
from .lexicon import LIVING, Verb
from .nominals import TO, Nominal, Nominals
from .pairs import EMPTY, Phrase, join, unit
from .selvan import Agreement


@dataclass(frozen=True)
class Predicate:
    """A verb with its objects; `noun` is the object that a pronoun may refer to.

    `act` is False for states and events, which take no adverb of manner.
    """

    verb: Phrase
    object: Phrase = EMPTY
    recipient: Phrase = EMPTY
    noun: Nominal | None = None
    act: bool = True


class Predicates:
    """Generator of predicates for a subject."""

    def __init__(self, choices: Choices, nominals: Nominals) -> None:
        self.choices = choices
        self.nominals = nominals

    def any(self, subject: Nominal, tense: str, plain: bool = False) -> Predicate:
        """Draw a predicate that fits the kind of subject; a short one if `plain`."""
        choices = self.choices
        if subject.kind == "place":
            return self._being(subject, tense)
        if subject.kind in ("thing", "food"):
            return choices.pick((1, self._happening), (1, self._being))(subject, tense)
        if subject.kind == "animal":
            make = choices.pick((6, self.transitive), (2, self._acting), (1, self._being))
            return make(subject, tense)
        if choices.chance(choices.rates.idiom):
            return choices.pick((2, self._idiom), (1, self._short_idiom))(subject, tense)
        if plain:
            return choices.pick((4, self.transitive), (1, self._acting))(subject, tense)
        return choices.pick(
            (7, self.transitive),
            (2, self._acting),
            (2, self._giving),
            (1.5, self._wishing),
            (1.5, self._being),
        )(subject, tense)

    def transitive(self, subject: Nominal, tense: str, kinds: tuple[str, ...] = ()) -> Predicate:
        """Draw a verb and its object, of one of the kinds if there are any."""
        kind = self.choices.random.choice(kinds) if kinds else ""
        verb = self.choices.verb("transitive", subject.kind, kind)
        noun = self.nominals.any([kind] if kind else verb.objects, "accusative")
        return Predicate(
            self.finite(verb, subject.agreement, tense, noun.kind), noun.phrase, noun=noun
        )

    def _idiom(self, subject: Nominal, tense: str) -> Predicate:
        verb = self.choices.verb("transitive_idioms", subject.kind)
        noun = self.nominals.any(verb.objects, "accusative")
        for key in noun.nouns:
            self.choices.note_pair("idiom", verb.key, key)
        return Predicate(self.finite(verb, subject.agreement, tense), noun.phrase, noun=noun)

    def _short_idiom(self, subject: Nominal, tense: str) -> Predicate:
        verb = self.choices.verb("intransitive_idioms", subject.kind)
        return Predicate(self.finite(verb, subject.agreement, tense))

    def _acting(self, subject: Nominal, tense: str) -> Predicate:
        verb = self.choices.verb("intransitive", subject.kind)
        return Predicate(self.finite(verb, subject.agreement, tense))

    def _happening(self, subject: Nominal, tense: str) -> Predicate:
        verb = self.choices.verb("happening", "thing")
        return Predicate(self.finite(verb, subject.agreement, tense), act=False)

    def _giving(self, subject: Nominal, tense: str) -> Predicate:
        verb = self.choices.verb("giving", "person")
        noun = self.nominals.noun_phrase(verb.objects, "accusative")
        recipient = self.nominals.any(["person"], "oblique", TO)
        verb_form = self.finite(verb, subject.agreement, tense)
        return Predicate(verb_form, noun.phrase, recipient.phrase)

    def _wishing(self, subject: Nominal, tense: str) -> Predicate:
        """Draw `wanted to buy bread`, in Selvan `wanted bread buy`."""
        wish = self.choices.verb("wishing", "person")
        inner = self.choices.verb("transitive", "person")
        noun = self.nominals.any(inner.objects, "accusative")
        stem = inner.stem if noun.kind in LIVING else inner.stem_lifeless
        form = unit(("to", *inner.base), (*stem[:-1], selvan.infinitive(stem[-1])))
        wished = self.finite(wish, subject.agreement, tense)
        return Predicate(wished, join(form, noun.phrase, order=(1, 0)))

    def _being(self, subject: Nominal, tense: str) -> Predicate:
        words = core.COPULA[tense][subject.agreement.plural]
        form = selvan.verbal(selvan.COPULA, subject.agreement, tense)
        adjective = self.nominals.predicate_adjective(subject)
        if self.choices.chance(0.15):
            words = (words[0], "not", *words[1:])
            links = tuple((i, int(word != "not")) for i, word in enumerate(words))
            return Predicate(unit(words, (selvan.NEGATION, form), links), adjective, act=False)
        return Predicate(unit(words, form), adjective, act=False)

    def finite(
        self,
        verb: Verb,
        subject: Agreement,
        tense: str,
        object_kind: str = "person",
        negative: bool | None = None,
    ) -> Phrase:
        """Return the finite verb, possibly negated; living objects may change its stem."""
        stem = verb.stem if object_kind in LIVING else verb.stem_lifeless
        target = (*stem[:-1], selvan.verbal(stem[-1], subject, tense))
        if negative is None:
            negative = self.choices.chance(0.1)
        words = _english_verb(verb, subject.plural, tense, negative)
        if not negative:
            return unit(words, target)
        links = []
        for i in range(len(words)):
            links += [(i, 0)] if i == 1 else [(i, j) for j in range(1, len(target) + 1)]
        return unit(words, (selvan.NEGATION, *target), tuple(links))


def _english_verb(verb: Verb, plural: bool, tense: str, negative: bool) -> tuple[str, ...]:
    if tense == "future":
        return ("will", *(["not"] if negative else []), *verb.base)
    if negative:
        helper = "did" if tense == "past" else "do" if plural else "does"
        return (helper, "not", *verb.base)
    if tense == "past":
        return verb.past
    return verb.base if plural else verb.third
