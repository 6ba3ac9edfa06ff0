"""Untrusted YAML is read as plain values only."""

from pathlib import Path

import pytest

from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_yaml import read_yaml

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
MERGED = "a0: &a0 {k0: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], k{n}: 1}}\n" for n in range(1, 60)
)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (BOMB, r"line 15, column 18.*more than 100,000 values"),
        (MERGED, "more than 100,000 values"),
        ("a: &a [*a]", "contains itself"),
        ("[" * 5000, "more than 40 levels"),
        ("a: !!python/object/apply:os.system [ls]", "tags .* not allowed"),
        ("a: !!binary aGk=", "tags .* not allowed"),
        ("a: !!int x", "tags .* not allowed"),
        ("a: 0b_", "plain values"),
        ("a: " + "9" * 5000, "plain values"),
        ("a: 99999999999999999999", "more than 63 bits"),
        ('a: "\\ud800"', "plain values"),
        ("a: *b", "plain values"),
        ("? [a]\n: b", "plain values"),
        ("a: b: c", "line 1"),
        ("\0", "plain values"),
    ],
)
def test_what_no_configuration_holds_is_refused_with_its_place(
    tmp_path: Path, text: str, what: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"config\.yaml[\s\S]*{what}"):
        read_yaml(path)


def test_plain_values_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("a: &x [1, 2.5, true, null]\nb: *x\nday: 2001-02-03\nbad: 2001-99-99\nü: '='\n")
    values = [1, 2.5, True, None]
    expected = {"a": values, "b": values, "day": "2001-02-03", "bad": "2001-99-99", "ü": "="}
    assert read_yaml(path) == expected
