"""Clauses and sentences: English and Selvan word order side by side.

English is subject, verb, object, recipient, manner, place, time. Selvan:

    main clause         subject  verb  manner  recipient  object  place
    with a time         time  verb  subject  manner  recipient  object  place
    subordinate clause  subject  place  manner  recipient  object  verb

A time, or a subordinate clause instead of it, always comes first in a Selvan main clause; then the
verb comes before the subject.
"""

from . import core, selvan
from .choices import Choices, Notes
from .lexicon import LIVING
from .nominals import Lead, Nominal, Nominals
from .pairs import EMPTY, Phrase, join, unit
from .predicates import Predicate, Predicates

# Positions of the pieces in `_assemble`
FRONT, SUBJECT, VERB, OBJECT, RECIPIENT, MANNER, PLACE, TIME = range(8)
MAIN = (FRONT, TIME, SUBJECT, VERB, MANNER, RECIPIENT, OBJECT, PLACE)
INVERTED = (FRONT, TIME, VERB, SUBJECT, MANNER, RECIPIENT, OBJECT, PLACE)
SUBORDINATE = (SUBJECT, FRONT, TIME, PLACE, MANNER, RECIPIENT, OBJECT, VERB)


class Sentences:
    """Generator of sentences with the words of `choices`."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.nominals = Nominals(choices)
        self.predicates = Predicates(choices, self.nominals)

    def draw(self) -> tuple[Phrase, Notes]:
        """Draw a sentence with notes, from which the caller decides its split."""
        choices = self.choices
        choices.notes = Notes(choices.random.choice(core.TOPICS))
        tense = choices.pick((6, "past"), (3, "present"), (1, "future"))
        make = choices.pick(
            (20, self._plain), (3, self._reasoned), (2, self._sequence), (2, self._report)
        )
        return join(make(tense), unit(".", ".")), choices.notes

    # Sentences

    def _plain(self, tense: str) -> Phrase:
        subject = self._subject(tense, relative=0.25)
        return self._main(subject, self.predicates.any(subject, tense), tense)

    def _reasoned(self, tense: str) -> Phrase:
        """Draw a main clause, and a subordinate clause before or after it."""
        words, conjunction = self.choices.random.choice(core.CONJUNCTIONS)
        link = unit(words, conjunction)
        subject = self._subject(tense, relative=0.1)
        predicate = self.predicates.any(subject, tense)
        if self.choices.chance(0.3):
            other = self._subject(tense, relative=0.0)
            front = join(link, self._subordinate(other, tense), unit(",", ""))
            return self._assemble(subject, predicate, INVERTED, front=front)
        later = self._refer(subject, predicate.noun) or self._subject(tense, relative=0.0)
        return join(self._main(subject, predicate, tense), link, self._subordinate(later, tense))

    def _sequence(self, tense: str) -> Phrase:
        """Draw `The king bought a horse and sold it`; the pronoun has the object's gender."""
        subject = self._subject(tense, relative=0.15, kinds=("person",))
        thing = self.predicates.transitive(subject, tense, ("thing", "food", "animal"))
        noun = thing.noun
        assert noun is not None
        verb = self.choices.verb("transitive", "person", noun.kind)
        second = self.predicates.finite(verb, subject.agreement, tense, noun.kind, negative=False)
        word = "them" if noun.agreement.plural else "it"
        pronoun = self.nominals.pronoun(noun, "accusative", word)
        return join(
            self._main(subject, thing, tense, place=0.0),
            unit("and", selvan.AND),
            second,
            pronoun.phrase,
            self._adverbial_place(0.25),
        )

    def _report(self, tense: str) -> Phrase:
        """Draw `The king said that ...`."""
        subject = self._subject(tense, relative=0.1, kinds=("person",))
        verb = self.choices.verb("saying", "person")
        said = Predicate(self.predicates.finite(verb, subject.agreement, tense))
        other = self._subject(tense, relative=0.2)
        return join(
            self._main(subject, said, tense, place=0.0, manner=0.0, last=False),
            unit("that", selvan.THAT),
            self._subordinate(other, tense),
        )

    # Clauses

    def _main(
        self,
        subject: Nominal,
        predicate: Predicate,
        tense: str,
        place: float = 0.25,
        manner: float = 0.15,
        last: bool = True,
    ) -> Phrase:
        front = time = EMPTY
        if self.choices.chance(0.3):
            time = self._time(tense)
            if not last or self.choices.chance(0.5):
                front, time = join(time, unit(",", "")), EMPTY
        where, how = self._adverbial_place(place), self._manner(predicate, manner)
        order = MAIN if front is time else INVERTED
        return self._assemble(subject, predicate, order, where, how, front, time)

    def _subordinate(self, subject: Nominal, tense: str) -> Phrase:
        predicate = self.predicates.any(subject, tense)
        where, how = self._adverbial_place(0.15), self._manner(predicate, 0.1)
        return self._assemble(subject, predicate, SUBORDINATE, where, how)

    def _assemble(
        self,
        subject: Nominal,
        predicate: Predicate,
        order: tuple[int, ...],
        place: Phrase = EMPTY,
        manner: Phrase = EMPTY,
        front: Phrase = EMPTY,
        time: Phrase = EMPTY,
    ) -> Phrase:
        pieces = {
            FRONT: front,
            SUBJECT: subject.phrase,
            VERB: predicate.verb,
            OBJECT: predicate.object,
            RECIPIENT: predicate.recipient,
            MANNER: manner,
            PLACE: place,
            TIME: time,
        }
        return join(*(pieces[place] for place in sorted(pieces)), order=order)

    def _subject(self, tense: str, relative: float, kinds: tuple[str, ...] = ()) -> Nominal:
        kinds = kinds or self.choices.pick((8, ("person",)), (2, ("animal",)), (1, ("thing",)))
        subject = self.nominals.any(kinds, "nominative")
        return self._relative(subject, tense) if self.choices.chance(relative) else subject

    def _relative(self, head: Nominal, tense: str) -> Nominal:
        """Add a relative clause to the head, unless it is a name or a pair."""
        if len(head.nouns) != 1:
            return head
        self.choices.notes.relatives += 1
        if head.kind in LIVING and self.choices.chance(0.5):
            case, subject = "nominative", Nominal(EMPTY, head.agreement, head.kind, head.pronoun)
            predicate = self.predicates.any(subject, tense, plain=True)
        else:
            case, subject = "accusative", self._simple_person()
            verb = self.choices.verb("transitive", "person", head.kind)
            predicate = Predicate(self.predicates.finite(verb, subject.agreement, tense, head.kind))
        word = "who" if head.kind == "person" else "that"
        pronoun = unit(word, selvan.nominal(selvan.RELATIVE, head.agreement, case))
        clause = self._assemble(subject, predicate, SUBORDINATE)
        phrase = join(head.phrase, pronoun, clause)
        return Nominal(phrase, head.agreement, head.kind, head.pronoun, head.nouns)

    def _simple_person(self) -> Nominal:
        if self.choices.chance(self.choices.rates.name):
            return self.nominals.name()
        return self.nominals.noun_phrase(["person"], "nominative", simple=True)

    def _refer(self, subject: Nominal, noun: Nominal | None) -> Nominal | None:
        """Return a pronoun that unambiguously refers to one of the two; None if there is none."""
        if noun and subject.kind == "person" and noun.pronoun == "it" and self.choices.chance(0.5):
            return self.nominals.pronoun(noun, "nominative", "it")
        taken = {noun.pronoun} if noun else set()
        if noun and noun.kind == "person" and noun.pronoun != "they":
            taken = {"he", "she"}
        if subject.pronoun in taken:
            return None
        return self.nominals.pronoun(subject, "nominative", subject.pronoun)

    # Adverbials

    def _time(self, tense: str) -> Phrase:
        if tense != "present" and self.choices.chance(0.25):
            years = (1700, 1999) if tense == "past" else (2030, 2099)
            year = str(self.choices.random.randint(*years))
            return join(unit("in", "an"), unit(year, year))
        suited = [(words, form) for words, form, tenses in core.TIMES if tense in tenses.split()]
        return unit(*self.choices.random.choice(suited))

    def _manner(self, predicate: Predicate, probability: float) -> Phrase:
        if not (predicate.act and self.choices.chance(probability)):
            return EMPTY
        return unit(*self.choices.random.choice(core.MANNERS))

    def _adverbial_place(self, probability: float) -> Phrase:
        if not self.choices.chance(probability):
            return EMPTY
        words, form = self.choices.random.choice(core.PREPOSITIONS)
        alone = form.rstrip("-")
        lead = Lead(tuple(words.split()), alone if alone != form else None, alone)
        if self.choices.chance(0.2):
            city = self.choices.name("city")
            return join(lead.before(), unit(city, city))
        return self.nominals.noun_phrase(["place"], "oblique", lead).phrase
