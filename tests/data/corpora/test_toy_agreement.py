"""Agreement in Selvan, checked by a small parser that reads the target side only.

The parser knows endings and word classes (from the lexicon), not how sentences are generated. In
every clause the subject is the first noun phrase: nothing but a time or a whole subordinate clause
stands before the verb of an inverted main clause. Subordinate clauses end with their verb.
"""

import re
from dataclasses import dataclass, field

import pytest
from datasets import DatasetDict

from seq2seq.data.corpora.toy import Toy
from seq2seq.data.corpora.toy import core as english_core
from seq2seq.data.corpora.toy.lexicon import Lexicon, Tail, lexicon

GENDER = {"o": "fire", "i": "fire", "a": "river", "e": "river", "u": "stone", "ia": "stone"}
PLURAL = {"fire": "i", "river": "e", "stone": "ia"}
ENDING = r"(ia|[oaieu])([nrl]?)"
DETERMINER = re.compile(rf"(?:en|de)?(?:s|m|t|alk|plov){ENDING}")
RELATIVE = re.compile(rf"k{ENDING}")
PRONOUN = re.compile(rf"v{ENDING}")
VERB = re.compile(r"(.+)(?:es|ev|er)(ia|[oaieu])")
NOMINAL = re.compile(rf"(.+?){ENDING}")
OPENERS = {"kod"} | {words.split()[-1] for _, words in english_core.CONJUNCTIONS}


Reading = tuple[str, str, str]


@dataclass
class Clause:
    """A clause while it is read: themes of its subject, verbs and nominative words."""

    subordinate: bool
    subject: str | None = None
    parts: set[str] = field(default_factory=set)
    verbs: list[str] = field(default_factory=list)
    nominatives: set[str] = field(default_factory=set)
    phrases: int = 0
    coordinating: bool = False
    last_noun: Reading | None = None


class Classes:
    """Word classes of Selvan forms; a form of two classes is `unclear`."""

    def __init__(self, words: Lexicon) -> None:
        self.nouns = {noun.stem[-1]: noun.gender for noun in words.nouns}
        self.adjectives = {
            stem[-1] + grade
            for one in words.adjectives
            for stem in (one.stem, one.stem_lifeless)
            for grade in ("", "iss")
        }
        groups = [value for value in vars(words).values() if hasattr(value[0], "third")]
        self.verbs = {
            stem[-1]
            for group in groups
            for verb in group
            for stem in (verb.stem, verb.stem_lifeless)
        } | {"st"}

    def of(self, word: str) -> set[tuple[str, str, str]]:
        """Possible (class, theme, case) of a word."""
        found = set()
        if word[0].isupper():
            found.add(("name", "a" if word[-1] == "a" else "o", ""))
        for name, pattern in (("det", DETERMINER), ("rel", RELATIVE), ("pron", PRONOUN)):
            if match := pattern.fullmatch(word):
                found.add((name, match[1], match[2]))
        if (match := NOMINAL.fullmatch(word)) and match[1] in self.adjectives:
            found.add(("adj", match[2], match[3]))
        if (match := NOMINAL.fullmatch(word)) and GENDER[match[2]] == self.nouns.get(match[1]):
            found.add(("noun", match[2], match[3]))
        if (match := VERB.fullmatch(word)) and match[1] in self.verbs:
            found.add(("verb", match[2], match[1]))
        return found


@pytest.fixture(scope="module")
def corpus() -> DatasetDict:
    return Toy(train_size=3000, validation_size=100, test_size=300).load()


@pytest.fixture(scope="module")
def classes() -> Classes:
    return Classes(lexicon(Tail()))


def resolve(first: str, second: str) -> str:
    """Return the theme of `A ed B`: plural, with the common gender, else fire."""
    return PLURAL[GENDER[first] if GENDER[first] == GENDER[second] else "fire"]


def read_phrase(clause: Clause, reading: Reading) -> None:
    """Read a noun, name or pronoun: the first is the subject, and `ed` may add another one."""
    _, theme, case = reading
    clause.phrases += 1
    if clause.subject is None:
        clause.subject = theme
        clause.parts.add(theme)
    elif clause.coordinating and clause.phrases == 2:
        clause.parts.add(theme)
        clause.subject = resolve(clause.subject, theme)
    clause.coordinating = False
    if case == "" and reading[0] != "name":
        clause.nominatives.add(theme)


def clauses(tokens: list[str], classes: Classes) -> list[Clause]:
    """All clauses of a sentence; checks agreement within noun phrases on the way."""
    opened, closed = [Clause(subordinate=False)], []
    determiner: Reading | None = None
    genitive: Reading | None = None
    for token, before in zip(tokens, ["", *tokens], strict=False):
        reading = name, theme, case = next(iter(classes.of(token)), ("", "", ""))
        clause = opened[-1]
        if token == "ed":
            clause.coordinating = clause.phrases == 1
        elif token in OPENERS:
            opened.append(Clause(subordinate=True))
        elif name == "rel":
            assert clause.last_noun is not None
            assert theme == clause.last_noun[1], "a relative pronoun agrees with its head"
            is_subject = case == ""
            inner = Clause(True, theme, {theme}, phrases=1) if is_subject else Clause(True)
            opened.append(inner)
        elif name == "det":
            determiner = reading
        elif name in ("noun", "pron") or (name == "name" and before != "di"):
            if name == "noun" and determiner:
                assert determiner[1:] == (theme, case), "an article agrees with its noun"
            determiner = None
            if case != "r":
                read_phrase(clause, reading)
                clause.last_noun = reading if name == "noun" else None
            genitive = reading if case == "r" else None
        elif name == "adj" and case == "":
            clause.nominatives.add(theme)
        elif name == "adj":
            noun = genitive or clause.last_noun
            assert noun is not None
            assert noun[1:] == (theme, case), "an adjective agrees with its noun"
        elif name == "verb":
            clause.verbs.append(theme)
            clause.coordinating = False
            if clause.subordinate:
                closed.append(opened.pop())
    assert len(opened) == 1, "a subordinate clause ends with its verb"
    return [*closed, *opened]


def test_agreement_holds_in_every_target(corpus: DatasetDict, classes: Classes) -> None:
    sentences = [text.split() for split in corpus.values() for text in split["target"]]
    clear = [s for s in sentences if all(len(classes.of(token)) <= 1 for token in s)]
    assert len(clear) > 0.8 * len(sentences)
    checked = across = 0
    for tokens in clear:
        found = clauses(tokens, classes)
        for clause in found:
            assert clause.verbs, " ".join(tokens)
            assert set(clause.verbs) == {clause.subject}, " ".join(tokens)
            assert clause.nominatives <= clause.parts | {clause.subject}, " ".join(tokens)
            checked += 1
        across += len(found) > 1
    assert checked > len(clear)
    assert across > 0.25 * len(clear)


def test_the_parser_notices_a_wrong_ending(corpus: DatasetDict, classes: Classes) -> None:
    noticed = tried = 0
    for text in corpus["test"]["target"]:
        tokens = text.split()
        verbs = [
            i for i, token in enumerate(tokens) if {r[0] for r in classes.of(token)} == {"verb"}
        ]
        if not verbs or any(len(classes.of(token)) > 1 for token in tokens):
            continue
        place = verbs[-1]
        stem, theme = tokens[place].removesuffix("ia"), "ia"
        if stem == tokens[place]:
            stem, theme = tokens[place][:-1], tokens[place][-1]
        tokens[place] = stem + ("a" if theme == "o" else "o")
        tried += 1
        noticed += any(set(clause.verbs) != {clause.subject} for clause in clauses(tokens, classes))
    assert tried > 100
    assert noticed == tried
