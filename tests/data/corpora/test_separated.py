"""TSV and CSV: quotes as pandas and spreadsheets write them, or as text."""

import csv
import io
import json

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data import DataError
from seq2seq.data.corpora import separated
from seq2seq.data.corpora.nli import Nli
from seq2seq.data.corpora.separated import is_quoted
from seq2seq.data.corpora.text import Text

ROWS = [
    ("plain", "einfach"),
    ('he said "yes"', "er sagte „ja“"),
    ("a\ttab", "ein Tab"),
    ("a, comma; here", "ein Komma"),
    ("two\nlines", "zwei Zeilen"),
    ('"quoted"', "in Anführungszeichen"),
]


def pairs(corpus):
    loaded = corpus.load()["train"]
    return list(zip(loaded["source"], loaded["target"], strict=True))


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize(("suffix", "separator"), [("tsv", "\t"), ("csv", ","), ("csv", ";")])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_pandas_writes_is_read_as_pandas_reads_it(tmp_path, suffix, separator, quoting, end):
    path = tmp_path / f"a.{suffix}"
    frame = pandas.DataFrame(ROWS, columns=["source", "target"]).assign(id=range(len(ROWS)))
    frame.to_csv(path, sep=separator, quoting=quoting, index=False, lineterminator=end)
    columns = {"source_column": "source", "target_column": "target"}
    assert pairs(Text(path, **columns)) == ROWS
    assert pairs(Text(path, quoting="csv", **columns)) == ROWS


def test_quotes_of_a_tsv_that_is_not_quoted_are_text(tmp_path):
    rows = [
        ('"Yes", he said', "a"),
        ('"Yes."', '"Ja."'),
        ('he said "no"', "b"),
        ('"', "c"),
        ('5" pipe', 'd "e"'),
    ]
    for chosen in (rows, rows[1:3], rows[2:3], rows[3:], rows[:1]):
        path = tmp_path / "a.tsv"
        path.write_text("".join(f"{s}\t{t}\n" for s, t in chosen))
        assert pairs(Text(path)) == chosen
    (tmp_path / "b.tsv").write_text('"a\tb"\t"c\td"\n')
    assert pairs(Text(tmp_path / "b.tsv")) == [("a\tb", "c\td")]
    assert pairs(Text(tmp_path / "b.tsv", quoting="none")) == [('"a', 'b"')]


TEXTS = st.text(st.sampled_from('ab",\t\n 7'), max_size=6)


@given(rows=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5), everything=st.booleans())
def test_whatever_a_csv_writer_quotes_is_detected(tmp_path_factory, rows, everything):
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if everything else csv.QUOTE_MINIMAL
    csv.writer(text, delimiter="\t", quoting=quoting, lineterminator="\n").writerows(rows)
    path = tmp_path_factory.mktemp("quoted") / "a.tsv"
    path.write_text(text.getvalue())
    special = any(c in field for row in rows for field in row for c in '"\t\n')
    if special or everything:
        assert is_quoted(path)
    if not is_quoted(path):
        assert '"' not in text.getvalue().replace('""', "") or not special


def test_a_table_too_long_to_look_at_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(separated, "LINES_LOOKED_AT", 3)
    path = tmp_path / "a.tsv"
    path.write_text('"a ""b"""\tc\nd\te\n"f\n"\tg\n"h\ni"\tj\n')
    assert pairs(Text(path)) == [('a "b"', "c"), ("d", "e"), ("f\n", "g"), ("h\ni", "j")]
    path.write_text('"a ""b"""\tc\nd\te\nf\tg\n"h" i\tj\n')
    with pytest.raises(
        DataError, match=r"record that begins in line 4 of .*a\.tsv .*data\.quoting=none"
    ):
        Text(path).load()


def test_an_unclosed_quote_is_placed_where_it_opens(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('source,target\na,b\n"c,d\ne,f\n')
    with pytest.raises(DataError, match=r"data\.train: the record that begins in line 3 of "):
        Text(path).load()


def test_a_csv_without_header_is_read_by_numbers(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('"one, dog",ein Hund\n')
    assert pairs(Text(path, source_column=0, target_column=1)) == [("one, dog", "ein Hund")]
    with pytest.raises(DataError, match=r"no column 'source'; it has: .*by number, from 0"):
        Text(path).load()
    with pytest.raises(DataError, match=r"data\.quoting=all is none of: csv, none"):
        Text(path, quoting="all").load()


def test_labeled_pairs_of_a_spreadsheet(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('label,premise,hypothesis\nneutral,"a, b",c\n,d,e\n-,f,g\n')
    table = Nli(train=path, on_empty="skip")
    assert table.load()["train"][0] == {"label": "neutral", "source": "a, b", "target": "c"}
    assert table.unlabeled == {"train": 2}
    with pytest.raises(DataError, match=r"line 3 of .* has no label"):
        Nli(train=path).load()


RECORDS = [
    {"text": "one", "summaries": ["eins", "ein"], "n": 1},
    {"text": None, "summaries": ["zwei"], "n": 2},
    {"summaries": [], "n": 3},
    {"text": "four", "summaries": ["vier"], "n": 4},
]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("listed", [True, False])
def test_json_lists_and_paths_into_lists(tmp_path, indent, listed, caplog):
    path = tmp_path / "a.json"
    if listed:
        path.write_text("\ufeff \n" + json.dumps(RECORDS, indent=indent), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    columns = {"source_column": "text", "target_column": "summaries.0"}
    assert pairs(Text(path, **columns, on_empty="skip")) == [("one", "eins"), ("four", "vier")]
    assert "skipped 2 line(s) with an empty or missing text" in caplog.text
    place = "object 2" if listed else "line 2"
    with pytest.raises(DataError, match=rf"{place} of .*: field 'text' is null; drop it with"):
        Text(path, **columns).load()
    assert pairs(Text(path, source_column="n", target_column="n"))[3] == ("4", "4")


def test_a_misspelled_field_is_reported_even_if_all_rows_are_skipped(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"source": "a", "target": "b"}\n')
    with pytest.raises(DataError, match=r"no sentence pair in .*line 1 .* has no field 'sorce'"):
        Text(path, source_column="sorce", on_empty="skip").load()
    with pytest.raises(DataError, match=r"line 1 .* has no field 'c'; it has: source, target"):
        Text(path, reference_columns=["c"]).load()
