"""Words in any writing system: choose a tokenizer for a language, and check that it finds words.

Scores count words. With a tokenizer for another language, a text has no words, or a single word
per sentence. Every score is then near 0, even for good outputs.
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
SAMPLE = 1000  # number of lines that are examined

LETTER = r"\p{L}"
KANA = r"[\p{Hiragana}\p{Katakana}]"
HANGUL = r"\p{Hangul}"
HAN = r"\p{Han}"
#: A character of a script that is written without blanks between words.
UNSEGMENTED = (
    r"[\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}&&[\p{L}\p{N}ー]]"
)
#: A word: such a character with its marks, or a run of other letters and digits, which may contain
#: joiners (ZWNJ, ZWJ).
WORD = rf"{UNSEGMENTED}\p{{M}}*|(?:(?!{UNSEGMENTED})[\p{{L}}\p{{N}}][\p{{M}}\u200c\u200d]*)+"


@cache
def _finder(pattern: str) -> Callable[[str], list[str]]:
    """Compile a pattern; ``regex`` is imported here, because translating does not need it."""
    import regex

    return regex.compile(pattern, regex.V1).findall


def unicode_words(text: str) -> list[str]:
    """Return the words of the lower-cased text: runs of letters and digits of any script.

    Chinese, Japanese, Thai, Lao, Khmer and Burmese have no blanks between words, so each of their
    characters is a word. For ASCII text, the words equal those of rouge-score.
    """
    return _finder(WORD)(text.lower())


def fitting_tokenizer(language: str, lines: Iterable[str]) -> str:
    """Return sacreBLEU's tokenizer for a target language.

    Args:
        language: a code or an English name. If it is not in ``OF_LANGUAGE``, the script of the
            lines decides.
        lines: sample texts in the language.
    """
    name = re.split("[-_]", language.lower())[0]
    return OF_LANGUAGE.get(name) or _tokenizer_of_script(lines) or DEFAULT


def _tokenizer_of_script(lines: Iterable[str]) -> str | None:
    """Return the tokenizer of Chinese, Japanese or Korean if most letters are CJK, else None."""
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
    """Warn if a tokenizer finds no words, or too few, in texts that have letters.

    There are too few words if they have more than 20 letters on average, or more than 5 letters in
    a script without blanks.

    Args:
        lines: the texts; the first ``SAMPLE`` lines are examined.
        words: the tokenizer.
        what: name and use of the tokenizer, the beginning of the message.
        advice: what to set instead, the end of the message.
    """
    sample = [line for line in islice(lines, SAMPLE) if line.strip()]
    text = "\n".join(sample)
    letters = len(_finder(LETTER)(text))
    most = 5 if 2 * len(_finder(UNSEGMENTED)(text)) > letters else 20
    count = sum(len(words(line)) for line in sample)
    if letters > most * count:
        logger.warning(
            "%s finds %s words in a line of %.0f letters on average. It does not fit this "
            "language, so scores that count words will be meaningless; %s",
            what,
            f"{count / len(sample):.1f}" if count else "no",
            letters / len(sample),
            advice,
        )
