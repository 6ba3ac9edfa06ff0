import bz2
import gzip
import json
import lzma
import os
import re
import socket
from pathlib import Path

import pytest

from seq2seq.data import DataError
from seq2seq.data.corpora.readers import read_json
from seq2seq.data.corpora.text import Text

SOURCE = ["one dog", "two dogs", "three dogs"]
TARGET = ["ein Hund", "zwei Hunde", "drei Hunde"]


def write(path, lines, opener=open, end="\n"):
    content = "".join(line + end for line in lines).encode()
    with opener(path, "wb") as file:
        file.write(content)
    return str(path)


@pytest.fixture
def files(tmp_path):
    return {
        "source": write(tmp_path / "train.en", SOURCE),
        "target": write(tmp_path / "train.de", TARGET),
    }


def pairs(corpus, split="train"):
    loaded = corpus.load()[split]
    return list(zip(loaded["source"], loaded["target"], strict=True))


EXPECTED = list(zip(SOURCE, TARGET, strict=True))


@pytest.mark.parametrize(("suffix", "opener"), [("", open), (".gz", gzip.open), (".bz2", bz2.open)])
def test_parallel_files_plain_or_packed(tmp_path, suffix, opener):
    source = write(tmp_path / f"a.en{suffix}", SOURCE, opener)
    target = write(tmp_path / f"a.de{suffix}", TARGET, opener)
    assert pairs(Text({"source": source, "target": target})) == EXPECTED


@pytest.mark.parametrize("columns", [(None, None), (0, 1)])
def test_tsv_columns_by_number(tmp_path, columns):
    path = write(tmp_path / "a.tsv", ["\t".join(pair) for pair in EXPECTED])
    assert pairs(Text(path, source_column=columns[0], target_column=columns[1])) == EXPECTED


def test_tsv_columns_by_name(tmp_path):
    lines = ["id\tde\ten", *(f"{k}\t{t}\t{s}" for k, (s, t) in enumerate(EXPECTED))]
    path = write(tmp_path / "a.tsv.gz", lines, gzip.open)
    assert pairs(Text(path, source_column="en", target_column="de")) == EXPECTED


@pytest.mark.parametrize(("source", "target"), [("source", "target"), ("translation.en", "de")])
def test_json_lines_by_field(tmp_path, source, target):
    records = [{"source": s, "target": t, "translation": {"en": s}, "de": t} for s, t in EXPECTED]
    path = write(tmp_path / "a.jsonl", map(json.dumps, records))
    assert pairs(Text(path, source_column=source, target_column=target)) == EXPECTED


def test_many_files_by_list_or_pattern_are_joined_in_order(tmp_path):
    for k, (source, target) in enumerate(EXPECTED):
        write(tmp_path / f"part{k}.en", [source])
        write(tmp_path / f"part{k}.de", [target])
    pattern = {"source": str(tmp_path / "*.en"), "target": str(tmp_path / "*.de")}
    listed = {
        "source": [str(tmp_path / f"part{k}.en") for k in range(3)],
        "target": [str(tmp_path / f"part{k}.de") for k in range(3)],
    }
    assert pairs(Text(pattern)) == pairs(Text(listed)) == EXPECTED


def test_the_format_can_be_set_if_the_suffix_does_not_tell(tmp_path):
    path = write(tmp_path / "corpus.dat", ["\t".join(pair) for pair in EXPECTED])
    assert pairs(Text(path, format="tsv")) == EXPECTED
    with pytest.raises(DataError, match=r"has plain lines.*data\.format=tsv"):
        Text(path).load()
    with pytest.raises(DataError, match=r"data\.format=odt is none of: text, tsv, csv, jsonl"):
        Text(path, format="odt").load()


def test_only_newline_ends_a_line(tmp_path):
    odd = ["a\u2028b", "c\x0bd\x85e", "f\rg"]
    source = write(tmp_path / "a.en", odd, end="\r\n")
    target = write(tmp_path / "a.de", TARGET)
    assert [s for s, _ in pairs(Text({"source": source, "target": target}))] == odd


def test_last_line_needs_no_newline_and_a_byte_order_mark_is_no_text(tmp_path, files):
    (tmp_path / "bom.en").write_bytes("\ufeffone dog\ntwo dogs\nthree dogs".encode())
    assert pairs(Text({**files, "source": str(tmp_path / "bom.en")})) == EXPECTED


def test_further_columns_and_test_sets(tmp_path, files):
    gold = write(tmp_path / "a.align", ["0-0 1-1"] * 3)
    corpus = Text(files, tests={"wmt": {**files, "alignment": gold}})
    assert corpus.load()["wmt"]["alignment"][:] == ["0-0 1-1"] * 3


def test_unequal_numbers_of_lines_are_counted(tmp_path, files):
    longer = write(tmp_path / "long.de", [*TARGET, "vier", "fünf"])
    with pytest.raises(
        DataError, match=r"^data\.validation: .*train\.en has 3 lines, .*long\.de has 5 lines"
    ):
        Text(files, validation={**files, "target": longer}).load()


@pytest.mark.parametrize("empty", ["", "  \t", "\u00a0"])
def test_empty_line_is_named_or_skipped(tmp_path, files, empty, caplog):
    target = write(tmp_path / "gap.de", [TARGET[0], empty, TARGET[2]])
    given = {**files, "target": target}
    message = r"^data\.train: line 2 of .*gap\.de is empty; drop it with data\.on_empty=skip"
    with pytest.raises(DataError, match=message):
        Text(given).load()
    assert pairs(Text(given, on_empty="skip")) == [EXPECTED[0], EXPECTED[2]]
    assert "skipped 1 line(s) with an empty or missing text" in caplog.text
    with pytest.raises(DataError, match="set it to error or skip"):
        Text(given, on_empty="ignore").load()


@pytest.mark.parametrize("opener", [open, gzip.open])
def test_bad_utf8_is_placed(tmp_path, files, opener):
    path = tmp_path / ("bad.de.gz" if opener is gzip.open else "bad.de")
    with opener(path, "wb") as file:
        file.write(b"ein Hund\nzwei H\xfcnde\ndrei\n")
    with pytest.raises(
        DataError, match=r"line 2 of .*bad\.de.* is not UTF-8 \(byte 0xfc at column 7"
    ):
        Text({**files, "target": str(path)}).load()


def test_damaged_gzip_is_named(tmp_path, files):
    path = tmp_path / "cut.de.gz"
    write(path, TARGET * 1000, gzip.open)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"cut\.de\.gz cannot be read"):
        Text({**files, "target": str(path)}).load()


def test_missing_file_says_what_its_folder_holds(tmp_path, files):
    missing = tmp_path / "trian.en"
    expected = re.escape(f"no file {missing}; the folder {tmp_path} has: train.de, train.en")
    with pytest.raises(DataError, match=expected):
        Text({**files, "source": str(missing)}).load()
    with pytest.raises(DataError, match=f"the folder {tmp_path} has"):
        Text({**files, "source": str(tmp_path / "no" / "such" / "a.en")}).load()
    with pytest.raises(DataError, match=r"is a folder, not a file; it has: train\.de"):
        Text({**files, "source": str(tmp_path)}).load()


def test_empty_corpus_is_refused(tmp_path):
    files = {"source": write(tmp_path / "a.en", []), "target": write(tmp_path / "a.de", [])}
    with pytest.raises(DataError, match=r"data\.train: there is no sentence pair"):
        Text(files).load()


def test_missing_files_say_what_to_set():
    with pytest.raises(DataError, match=r"set data\.train\.source and data\.train\.target"):
        Text({"source": None, "target": None}).load()


def test_one_side_alone_or_unequal_numbers_of_files_are_refused(files):
    with pytest.raises(DataError, match="files of the target side are missing"):
        Text({"source": files["source"], "target": None}).load()
    with pytest.raises(DataError, match="2 for source, 1 for target"):
        Text({**files, "source": [files["source"]] * 2}).load()


@pytest.mark.parametrize(
    ("name", "line", "column", "message"),
    [
        ("a.tsv", "one\ttwo", 5, r"line 1 of .*a\.tsv has 2 column\(s\)"),
        ("a.tsv", "en\tde", "fr", r"a\.tsv has no column 'fr'; it has: en, de"),
        ("a.jsonl", '{"en": "x", "de": "y"}', "fr", r"no field 'fr'; it has: en, de"),
        ("a.jsonl", '{"en": [5]}', "en", r"is \[5\], not a text"),
        ("a.jsonl", '{"en": ', "en", r"line 1 of .*a\.jsonl is not JSON"),
    ],
)
def test_missing_column_names_those_there_are(tmp_path, name, line, column, message):
    path = write(tmp_path / name, [line])
    with pytest.raises(DataError, match=message):
        Text(path, source_column=column, target_column=column).load()


def test_second_start_reads_no_line_and_changed_files_are_read_anew(tmp_path, files, monkeypatch):
    first = pairs(Text(files))

    def forbidden(*_):
        raise AssertionError("read again")

    with monkeypatch.context() as patch:
        patch.setattr(Text, "_parallel_rows", forbidden)
        assert pairs(Text(files)) == first
    write(tmp_path / "train.de", ["anders", *TARGET[1:]])
    assert pairs(Text(files))[0] == ("one dog", "anders")


def test_local_files_reach_no_network(files, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert pairs(Text(files)) == EXPECTED


def test_relative_names_start_from_the_root_and_a_missing_file_says_how_to_get_it(tmp_path, files):
    corpus = {"source": "train.en", "target": "train.de"}
    assert pairs(Text(corpus, root=tmp_path)) == EXPECTED
    with pytest.raises(DataError, match=r"no file .*Get the corpus with: python prepare\.py"):
        Text(corpus, root=tmp_path / "elsewhere", prepare="python prepare.py").load()


def test_segments_of_published_test_sets(tmp_path):
    lines = ['<doc docid="x">', "<p>", '<seg id="1"> one &amp; two </seg>', "</p>", "</doc>"]
    source = write(tmp_path / "a-src.en.sgm", lines)
    target = write(tmp_path / "a.de.xml", ['<seg id="1">eins &quot;zwei&quot;</seg>'])
    assert pairs(Text({"source": source, "target": target})) == [("one & two", 'eins "zwei"')]


WMT = """<?xml version='1.0' encoding='utf-8'?>
<!-- <seg id="0">a comment</seg> -->
<dataset id="newstest2021.en-de">
  <doc origlang="en" id="first">
    <src lang="en"><p><seg id="1">one &amp;
        two dogs</seg> <seg id="2">three</seg></p></src>
    <ref lang="de" translator="A"><p>
      <seg id="1">ein &#38; zwei Hunde</seg>
      <seg id="2"><![CDATA[drei <b> &amp;]]></seg></p></ref>
    <ref lang="de" translator="B"><p><seg id="2">Drei!</seg></p></ref>
    <hyp system="tool" language="de"><p><seg id="1">falsch</seg><seg id="2">auch</seg></p></hyp>
  </doc>
  <doc origlang="en" id="second">
    <src lang="en"><p><SEG id="1">AT&T a < b</SEG></p></src>
    <ref lang="de" translator="A"><p><seg id="1">vier</seg></p></ref>
  </doc>
</dataset>
"""
ENGLISH, GERMAN = (
    ["one & two dogs", "three", "AT&T a < b"],
    [
        "ein & zwei Hunde",
        "drei <b> &amp;",
        "vier",
    ],
)


def test_a_side_of_a_test_set_with_sources_references_and_outputs(tmp_path):
    path = write(tmp_path / "newstest2021.xml", WMT.splitlines())
    expected = list(zip(ENGLISH, GERMAN, strict=True))
    assert pairs(Text(path)) == expected
    assert pairs(Text({"source": path, "target": path})) == expected
    assert pairs(Text(path, source_column="target", target_column="source"))[0] == (
        GERMAN[0],
        ENGLISH[0],
    )
    found = columns(Text(test=path, reference_columns=["B", "tool"]))
    assert found["target_2"] == ["", "Drei!", ""]
    assert found["target_3"] == ["falsch", "auch", ""]
    with pytest.raises(DataError, match=r"no segments of 'C'; it has: source, target A, target B"):
        Text(path, target_column="C").load()
    alone = write(
        tmp_path / "de.sgm", ['<refset refid="x"><doc><seg id="1">a</seg></doc></refset>']
    )
    with pytest.raises(DataError, match=r"no segments of 'source'; it has: target x"):
        Text(alone).load()


def test_references_of_the_older_form_are_matched_by_document(tmp_path):
    lines = ["<refset>"]
    for name in ("one", "two"):
        lines += [f'<doc docid="d" sysid="{name}">', f"<seg id=1>{name} Hund</seg>", "</doc>"]
    source = write(tmp_path / "a.en.sgm", ['<doc docid="d">', "<seg id=1>a dog</seg>", "</doc>"])
    target = write(tmp_path / "a.de.sgm", [*lines, "</refset>"])
    assert pairs(Text({"source": source, "target": target})) == [("a dog", "one Hund")]
    assert pairs(Text({"source": source, "target": target}, target_column="two")) == [
        ("a dog", "two Hund")
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["<seg>a", "b", "<seg>c</seg>"], "line 1 of .* begins a segment that is not closed"),
        (["<p>", "<seg>a"], "line 2 of .* begins a segment that is not closed"),
        (["a</seg>"], "line 1 of .* closes a segment that is not open"),
        (["<seg>a</seg>", "<!-- x"], "line 2 of .* has <!-- without an end"),
        (['<!DOCTYPE a [<!ENTITY b "c">]>'], "line 1 of .* declares an entity"),
    ],
)
def test_damaged_test_sets_are_refused(tmp_path, lines, message):
    path = write(tmp_path / "a.xml", lines)
    with pytest.raises(DataError, match=message):
        Text({"source": path, "target": path}).load()


def test_json_lines_may_hold_a_side_each(tmp_path):
    for side, texts in (("source", SOURCE), ("target", TARGET)):
        write(tmp_path / f"{side}.jsonl", [json.dumps({side: t, "text": t}) for t in texts])
    files = {side: str(tmp_path / f"{side}.jsonl") for side in ("source", "target")}
    assert pairs(Text(files)) == EXPECTED
    assert pairs(Text(files, source_column="text")) == EXPECTED


def columns(corpus, split="test"):
    loaded = corpus.load()[split]
    return {name: list(loaded[name]) for name in loaded.column_names}


SECOND = ["a dog", "", "three hounds"]


def test_references_are_further_columns(tmp_path, files):
    second = write(tmp_path / "b.de", SECOND)
    third = write(tmp_path / "c.de", SOURCE)
    expected = {"source": SOURCE, "target": TARGET, "target_2": SECOND, "target_3": SOURCE}
    assert columns(Text(test={**files, "references": [second, third]})) == expected
    # Without a target the first of them is the target.
    alone = {"source": files["source"], "references": [files["target"], second, third]}
    assert columns(Text(test=alone)) == expected
    one = Text(test={"source": files["source"], "references": files["target"]})
    assert columns(one) == {"source": SOURCE, "target": TARGET}


def test_an_empty_target_is_an_error_but_a_further_reference_may_lack(tmp_path, files):
    second = write(tmp_path / "b.de", SECOND)
    with pytest.raises(DataError, match=r"line 2 of .*b\.de is empty"):
        Text(test={"source": files["source"], "target": second}).load()


def test_references_of_unequal_length_are_reported(tmp_path, files):
    second = write(tmp_path / "b.de", SECOND[:2])
    with pytest.raises(DataError, match=r"b\.de has 2 lines"):
        Text(test={**files, "references": [second]}).load()


def test_references_in_one_file_with_both_sides(tmp_path):
    lines = [
        json.dumps({"source": s, "target": t, "more": {"second": r}})
        for s, t, r in zip(SOURCE, TARGET, SECOND, strict=True)
    ]
    path = write(tmp_path / "a.jsonl", lines)
    expected = {"source": SOURCE, "target": TARGET, "target_2": SECOND}
    assert columns(Text(test=path, reference_columns=["more.second"])) == expected
    table = write(
        tmp_path / "a.tsv", ["\t".join(x) for x in zip(SOURCE, TARGET, SECOND, strict=True)]
    )
    assert columns(Text(test=table, reference_columns=[2])) == expected


def test_texts_are_normalized_and_cached_by_what_was_done(files):
    from seq2seq.data.corpora.gigaword_style import GigawordStyle

    style = GigawordStyle()
    assert columns(Text(test=files, normalize=style))["target"][0] == "ein hund"
    assert columns(Text(test=files, normalize=style, normalize_targets=False))["target"] == TARGET
    assert columns(Text(test=files))["target"] == TARGET


def test_a_root_may_have_the_characters_of_patterns_in_its_name(tmp_path):
    root = tmp_path / "runs [1] *"
    root.mkdir()
    for side, texts in (("en", SOURCE), ("de", TARGET)):
        write(root / f"a.{side}", texts)
    assert pairs(Text({"source": "*.en", "target": "a.d?"}, root=root)) == EXPECTED
    assert pairs(Text({"source": "a.en", "target": str(root / "a.de")}, root=root)) == EXPECTED


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_are_refused_for_what_they_are(tmp_path, files):
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path / "pipe", "-"):
        with pytest.raises(DataError, match="is a pipe, which can be read only once"):
            Text({**files, "source": name}).load()
    with pytest.raises(DataError, match="/dev/null is a device, which can be read only once"):
        Text({**files, "source": "/dev/null"}).load()


@pytest.mark.parametrize("content", [b"not packed", lzma.compress(b"[" * 9000)[:60]])
def test_damaged_json_that_is_packed_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json.xz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.json\.xz cannot be read"):
        list(read_json(path, ("source", "target")))
