"""Untrusted text in Markdown."""

import pytest

from seq2seq.evaluation.markdown import escaped, table


@pytest.mark.parametrize("text", ["a | b", "<script>", "[x](y)", "`` ` ``", "a\n\n# b", "\\| c"])
def test_text_of_others_stays_in_its_cell(text: str) -> None:
    (_, _, row) = table(("one", "two"), [(text, "end")])
    assert "\n" not in row
    assert row.replace("\\\\", "").replace("\\|", "").count("|") == 3
    assert "<" not in escaped(text).replace("\\<", "")
