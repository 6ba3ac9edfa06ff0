"""Words in any writing system: which tokenizer fits a language, and whether one finds words at all.

Scores count words. A tokenizer made for another language leaves a text with no words, or with one
for each sentence, and every score is near 0 however good the outputs are.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import islice

logger = logging.getLogger(__name__)

DEFAULT = "13a"
#: sacreBLEU's tokenizers by target language, as the command ``sacrebleu -l`` chooses them.
OF_LANGUAGE = {
    **dict.fromkeys(("zh", "zho", "chi", "cmn", "yue", "chinese"), "zh"),
    **dict.fromkeys(("ja", "jpn", "japanese"), "ja-mecab"),
    **dict.fromkeys(("ko", "kor", "korean"), "ko-mecab"),
}
SAMPLE = 1000  # lines that are looked at

LETTER = r"\p{L}"
KANA = r"[\p{Hiragana}\p{Katakana}]"
HANGUL = r"\p{Hangul}"
HAN = r"\p{Han}"
#: A character of a script that is written without blanks, with the marks on it.
UNSEGMENTED = (
    r"[\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}&&[\p{L}\p{N}ー]]"
)
#: Each such character, or a run of other letters and digits. Joiners (ZWNJ, ZWJ) are within words.
WORD = rf"{UNSEGMENTED}\p{{M}}*|(?:(?!{UNSEGMENTED})[\p{{L}}\p{{N}}][\p{{M}}\u200c\u200d]*)+"


@cache
def _finder(pattern: str) -> Callable[[str], list[str]]:
    """Compile a pattern; ``regex`` is imported late, since translating does without it."""
    import regex

    return regex.compile(pattern, regex.V1).findall


def unicode_words(text: str) -> list[str]:
    """Return the words of the lower-cased text: runs of letters and digits of any script.

    Chinese, Japanese, Thai, Lao, Khmer and Burmese have no blanks between words; there, each
    character is a word. Of ASCII text the words are those of rouge-score.
    """
    return _finder(WORD)(text.lower())


def fitting_tokenizer(language: str, lines: Iterable[str]) -> str:
    """Return sacreBLEU's own tokenizer for a target language.

    Args:
        language: a code or an English name; where it names none of ``OF_LANGUAGE``, the script of
            the lines decides.
        lines: of the language.
    """
    name = re.split("[-_]", language.lower())[0]
    return OF_LANGUAGE.get(name) or _tokenizer_of_script(lines) or DEFAULT


def _tokenizer_of_script(lines: Iterable[str]) -> str | None:
    """Return the tokenizer of Chinese, Japanese or Korean if most letters are of that script."""
    text = "".join(islice(lines, SAMPLE))
    kana, hangul, han = (len(_finder(script)(text)) for script in (KANA, HANGUL, HAN))
    if 2 * (kana + hangul + han) <= len(_finder(LETTER)(text)):
        return None
    if hangul > kana + han:
        return "ko-mecab"
    return "ja-mecab" if 10 * kana > han else "zh"  # Japanese is about half kana


def warn_of_few_words(
    lines: Iterable[str], words: Callable[[str], Sequence[str]], what: str, advice: str
) -> None:
    """Warn if a tokenizer finds no words in texts that have letters, or takes sentences for words.

    A word has more than 20 letters then, or more than 5 in a script without blanks, on average.

    Args:
        lines: of which the first ``SAMPLE`` are looked at.
        words: the tokenizer.
        what: names the tokenizer and what it is used for, as the message begins.
        advice: what to set instead.
    """
    sample = [line for line in islice(lines, SAMPLE) if line.strip()]
    text = "\n".join(sample)
    letters = len(_finder(LETTER)(text))
    most = 5 if 2 * len(_finder(UNSEGMENTED)(text)) > letters else 20
    count = sum(len(words(line)) for line in sample)
    if letters > most * count:
        logger.warning(
            "%s finds %s words in a line of %.0f letters, on average: it does not fit this "
            "language, and what counts words will be of no use; %s",
            what,
            f"{count / len(sample):.1f}" if count else "no",
            letters / len(sample),
            advice,
        )
