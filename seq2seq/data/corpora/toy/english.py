"""The rules of English for the source side: plurals, verb forms, articles, numbers."""

ONES = "one two three four five six seven eight nine".split()
TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()


def plural(word: str) -> str:
    """Return the plural: `baker` → `bakers`, `fox` → `foxes`, `city` → `cities`."""
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def third_person(word: str) -> str:
    """Return the third person: `carry` → `carries`; the grammar has no `have` and `be`."""
    return word + "es" if word == "go" else plural(word)


def past(word: str) -> str:
    """Return the regular past: `bake` → `baked`, `carry` → `carried`."""
    if word.endswith("e"):
        return word + "d"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ied"
    return word + "ed"


def article(following: str) -> str:
    """Return `a` or `an`, by the first letter of the next word."""
    return "an" if following[0] in "aeiou" else "a"


def number(value: int) -> tuple[str, ...]:
    """Return a number from 1 to 99 in words: 27 is `twenty seven`."""
    tens, ones = divmod(value, 10)
    if tens == 0:
        return (ONES[ones - 1],)
    if tens == 1:
        return (TEENS[ones],)
    return (TENS[tens],) if ones == 0 else (TENS[tens], ONES[ones - 1])
