"""Tokenizers for the scored language, and warnings if they do not fit."""

from __future__ import annotations

import pytest

from seq2seq.evaluation.scores import load_tokenizer
from seq2seq.evaluation.writing_systems import fitting_tokenizer, unicode_words, warn_of_few_words

JAPANESE = ["私は猫が好きです。", "彼女は毎日学校へ行きます。"]
CHINESE = ["我喜欢吃苹果。", "他每天去学校上课。"]


@pytest.mark.parametrize(
    ("language", "lines", "expected"),
    [
        ("zh", [], "zh"),
        ("zh_TW", [], "zh"),
        ("jpn", [], "ja-mecab"),
        ("Korean", [], "ko-mecab"),
        ("target", JAPANESE, "ja-mecab"),
        ("target", CHINESE, "zh"),
        ("target", ["안녕하세요 세계"], "ko-mecab"),
        ("target", ["a word 东"], "13a"),
        ("de", ["Grüße"], "13a"),
        ("", [], "13a"),
    ],
)
def test_the_tokenizer_goes_by_language_or_else_by_script(
    language: str, lines: list[str], expected: str
) -> None:
    assert fitting_tokenizer(language, lines) == expected


def test_words_are_of_any_script() -> None:
    assert unicode_words("Über 3.5 – naïve x_y") == ["über", "3", "5", "naïve", "x", "y"]
    assert unicode_words("नमस्ते दुनिया") == ["नमस्ते", "दुनिया"], "marks are within words"
    assert unicode_words("我有3个apple") == ["我", "有", "3", "个", "apple"]
    assert unicode_words("") == unicode_words("… !") == []


@pytest.mark.parametrize(
    ("lines", "name", "told"),
    [
        (JAPANESE, "13a", "1.0 words"),
        (CHINESE, "zh", None),
        (["Grüße an alle", "der Donaudampfschiffahrtskapitän"], "13a", None),
        (["ok", "no"], "13a", None),
        ([], "13a", None),
    ],
)
def test_a_tokenizer_that_finds_few_words_is_reported(
    lines: list[str], name: str, told: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    tokenize = load_tokenizer(name)
    warn_of_few_words(lines, lambda line: tokenize(line).split(), "BLEU's", "set another")
    assert (told is None) == (caplog.text == "")
    assert told is None or told in caplog.text
    assert told is None or "set another" in caplog.text


def test_a_tokenizer_that_finds_no_word_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_few_words(["Привет, мир"], lambda _: [], "ROUGE's", "set another")
    assert "finds no words" in caplog.text
