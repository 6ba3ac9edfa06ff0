"""Invented words: Selvan stems, the long tail of cognates, and names.

All generators have fixed seeds, so the language is the same in every process and for every seed of
the corpus.

A tail word looks English (`trindle`, `morvish`). Its Selvan translation is usually a cognate by
regular sound laws (`trindle` ~ `drelnan-`), as in related languages, so that a model can guess rare
words from their parts. A share of the tail is irregular and must be memorized.
"""

import random
import zlib
from collections.abc import Iterator

# English sound -> Selvan sound.
ONSETS = dict(
    pair.split(":")
    for pair in "b:p bl:pl br:pr cl:gl cr:gr d:t dr:tr fl:vl fr:vr g:k gl:kl gr:kr h:sh j:y l:r "
    "m:n n:m pl:bl pr:br qu:kv r:l sc:sk sl:zl sn:zm st:zd str:zdr sw:sv "
    "tr:dr tw:dv v:f w:v y:j".split()
)
VOWELS = dict(pair.split(":") for pair in "a:o e:i i:e o:u u:a oo:au ee:ei ai:oi".split())
MEDIALS = dict(
    pair.split(":")
    for pair in "nd:ln sk:sh lt:ld rv:rb lm:rm st:ts lk:rg rl:ll rm:lm rg:rk lv:lf mb:mp "
    "v:f l:r br:dr nt:nz".split()
)
LIGHT_SYLLABLES = [
    pair.split(":")
    for pair in "ba:po be:pi ca:go da:to fa:fo la:ro lo:ru ma:no mo:nu pa:bo "
    "ra:lo ro:lu sa:so ta:do va:fo".split()
]

# English suffix -> (Selvan suffix, gender), for each kind.
NOUN_SUFFIXES = {
    "person": {"er": ("eg", "fire"), "ard": ("un", "fire"), "ess": ("in", "river")},
    "animal": {"ock": ("ok", "stone"), "ow": ("av", "river"), "el": ("il", "fire")},
    "thing": {
        "le": ("an", "stone"),
        "et": ("est", "river"),
        "in": ("or", "fire"),
        "um": ("um", "stone"),
        "age": ("ash", "river"),
    },
    "food": {"kin": ("ek", "fire"), "oon": ("aud", "river")},
}
ADJECTIVE_SUFFIXES = {"ish": "isk", "some": "sam", "ous": "oz", "ent": "end"}
VERB_SUFFIXES = {"en": "enk", "ize": "iz", "ate": "ad"}

STEM_ONSETS = (
    "b d f g k l m n p r s t v z h sh b d f g k l m n p r s t v z "
    "br dr fl gr kl kr sk st tr bl pr".split()
)
STEM_VOWELS = "a e i o u".split()
STEM_MIDDLES = "r l n m d t v z st nd rk rm lt gr sk".split()
STEM_CODAS = "l m n r t d k nd st rk lm rn sh v z rt ld".split()

NAME_ONSETS = "b br d dr f g gr h k kl l m n p r s st t tr v z j th w".split()
NAME_MIDDLES = "l r n m v d nn ll rr lv nd rd st th sk".split()
NAME_ENDINGS = {
    "he": "on an or os ik ek".split(),
    "she": "a ia ela etta ora".split(),
    "city": "burg ford mora heim stad grad".split(),
}
KNOWN_NAMES = 800
RESERVED_NAMES = 0.2


def stem(key: str) -> str:
    """Return the invented Selvan stem of a core word; it ends in a consonant."""
    draw = random.Random(f"selvan/{key}")
    first = draw.choice(STEM_ONSETS) + draw.choice(STEM_VOWELS)
    if draw.random() < 0.5:
        return first + draw.choice(STEM_CODAS)
    return first + draw.choice(STEM_MIDDLES) + draw.choice(STEM_VOWELS) + draw.choice(STEM_CODAS)


def roots(kind: str) -> Iterator[tuple[str, str]]:
    """Yield endless distinct pairs (English root, Selvan cognate) for tail words of a kind."""
    draw = random.Random(f"roots/{kind}")
    seen: set[str] = set()
    while True:
        onset, vowel, medial = (draw.choice(list(part)) for part in (ONSETS, VOWELS, MEDIALS))
        english = onset + vowel + medial
        selvan = ONSETS[onset] + VOWELS[vowel] + MEDIALS[medial]
        if draw.random() < 0.4:
            first, light = draw.choice(LIGHT_SYLLABLES)
            english, selvan = first + english, light + selvan
        if english not in seen:
            seen.add(english)
            yield english, selvan


def name(draw: random.Random, group: str) -> str:
    """Draw a name of a man (`he`), a woman (`she`) or a `city`; its ending tells which."""
    word = draw.choice(NAME_ONSETS) + draw.choice(STEM_VOWELS) + draw.choice(NAME_MIDDLES)
    if draw.random() < 0.3:
        word += draw.choice(STEM_VOWELS) + draw.choice(NAME_MIDDLES)
    return (word + draw.choice(NAME_ENDINGS[group])).capitalize()


def reserved(*parts: str, share: float) -> bool:
    """Return True if a name or pair of words never occurs in training, in any process."""
    return zlib.crc32("/".join(parts).encode()) % 10_000 < share * 10_000
