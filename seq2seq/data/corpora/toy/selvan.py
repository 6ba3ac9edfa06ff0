"""Selvan, the invented target language: its endings and function words.

Every noun has a gender: fire, river or stone. Gender and number determine a theme vowel:

              fire   river   stone
    singular  -o     -a      -u
    plural    -i     -e      -ia

Nouns, and the articles, adjectives and pronouns that agree with them, add a case consonant to the
theme: nominative none, accusative -n, genitive -r, oblique -l. Verbs add -es- (present), -ev-
(past) or -er- (future) to the stem and then the theme of their subject: `bandevo` "he banded",
`bandeve` "they (river) banded". The infinitive ends in -ent.
"""

from dataclasses import dataclass

GENDERS = ("fire", "river", "stone")
CASES = {"nominative": "", "accusative": "n", "genitive": "r", "oblique": "l"}
TENSES = {"present": "es", "past": "ev", "future": "er"}
THEMES = {
    ("fire", False): "o",
    ("river", False): "a",
    ("stone", False): "u",
    ("fire", True): "i",
    ("river", True): "e",
    ("stone", True): "ia",
}

DETERMINERS = {
    "the": "s",
    "a": "m",
    "some": "m",
    "this": "t",
    "these": "t",
    "every": "alk",
    "many": "plov",
}
RELATIVE = "k"
PRONOUN = "v"
COPULA = "st"
NEGATION = "ni"
THAT = "kod"
AND = "ed"
OF = "di"
TO = "a"
SUPERLATIVE = "iss"

ONES = "un du tri kvar pem sis sept okt nov".split()
TEENS = "dek undek dudek tridek kvardek pemdek sisdek septdek oktdek novdek".split()
TENS = "- - dunta trinta kvarta pemta sista septa okta nonta".split()


@dataclass(frozen=True)
class Agreement:
    """The features in which words agree with a noun."""

    gender: str
    plural: bool

    @property
    def theme(self) -> str:
        """Theme vowel of gender and number."""
        return THEMES[self.gender, self.plural]


def nominal(stem: str, agreement: Agreement, case: str) -> str:
    """Return a noun, adjective, article or pronoun: stem + theme + case."""
    return stem + agreement.theme + CASES[case]


def verbal(stem: str, agreement: Agreement, tense: str) -> str:
    """Return a finite verb: stem + tense + theme of the subject."""
    return stem + TENSES[tense] + agreement.theme


def infinitive(stem: str) -> str:
    """Return the infinitive."""
    return stem + "ent"


def resolve(first: Agreement, second: Agreement) -> Agreement:
    """Return the agreement of `A and B`: plural, with their common gender, else fire."""
    return Agreement(first.gender if first.gender == second.gender else "fire", True)


def number(value: int) -> str:
    """Return a number from 1 to 99 as one word, ones before tens: 27 is `septadunta`."""
    tens, ones = divmod(value, 10)
    if tens == 0:
        return ONES[ones - 1]
    if tens == 1:
        return TEENS[ones]
    return TENS[tens] if ones == 0 else f"{ONES[ones - 1]}a{TENS[tens]}"
