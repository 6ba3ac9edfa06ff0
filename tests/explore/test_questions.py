"""Questions that cannot be answered cause errors, not crashes."""

import json

import pytest

from seq2seq.explore.live import Question


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (r'{"source": "\ud800"}', "not Unicode"),
        (r'{"source": "a", "reference": "\udfff"}', "not Unicode"),
        ('{"source": "a", "parameters": {"gamma": ' + "9" * 400 + "}}", "too large"),
    ],
)
def test_texts_that_are_none_and_numbers_without_end_are_refused(given: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Question.of(json.loads(given))
