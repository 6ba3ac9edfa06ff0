"""The script that prepares Reuters headlines, on made-up stories."""

import importlib.util
import tarfile
from pathlib import Path

import pytest

from seq2seq.data.corpora.reuters import Reuters

SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare_reuters.py"


@pytest.fixture(scope="module")
def script():
    specification = importlib.util.spec_from_file_location("prepare_reuters", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def story(number, title, body):
    return (
        f'<REUTERS TOPICS="NO" LEWISSPLIT="TRAIN" OLDID="1" NEWID="{number}">\n'
        f"<DATE>26-FEB-1987</DATE>\n<UNKNOWN>&#5;&#5;</UNKNOWN>\n<TEXT>&#2;\n"
        f"<TITLE>{title}</TITLE>\n<DATELINE>    TOWN, Feb 26 - </DATELINE><BODY>{body}\n Reuter\n"
        "&#3;</BODY></TEXT>\n</REUTERS>\n"
    )


LEAD = (
    "Acme Mills Inc\nsaid it sold mill {} for 1.5 mln dlrs. It was old.\n    The mill makes paper."
)
TITLE = "ACME MILLS &lt;ACM> SELLS MILL {}"
MILLS = ("alpha", "bravo", "delta", "gamma", "kappa", "sigma")


def collection():
    """Six good stories, out of order, over two files; and some to leave out."""
    good = [story(10 + k, TITLE.format(x), LEAD.format(x)) for k, x in enumerate(MILLS)]
    bad = [
        story(1, "ACME MILLS INC 4TH QTR NET", LEAD.format("omega")),
        story(2, "ACME", LEAD.format("omega")),
        story(3, "RAIN LIKELY IN TOWN", LEAD.format("omega")),
        story(30, TITLE.format("sigma"), LEAD.format("sigma")),
    ]
    header = '<!DOCTYPE lewis SYSTEM "lewis.dtd">\n'
    return {
        "reut2-000.sgm": header + "".join([*bad, *good[3:]]),
        "reut2-001.sgm": header + "".join(good[:3]),
    }


def laid_out(folder):
    folder.mkdir()
    for name, text in collection().items():
        (folder / name).write_text(text, encoding="latin-1")
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_stories_become_pairs_in_their_order(script, tmp_path, capsys, packed):
    source = laid_out(tmp_path / "sgm")
    if packed:
        with tarfile.open(tmp_path / "all.tar.gz", "w:gz") as archive:
            archive.add(source)
        source = tmp_path / "all.tar.gz"
    assert script.main([str(source), "--root", str(tmp_path / "out"), "--held-out", "2"]) == 0
    corpus = Reuters(tmp_path / "out").load()
    found = [row for split in ("train", "validation", "test") for row in corpus[split]]
    assert found == [
        {
            "source": f"acme mills inc said it sold mill {mill} for #.# mln dlrs .",
            "target": f"acme mills sells mill {mill}",
        }
        for mill in MILLS
    ]
    report = capsys.readouterr().out
    assert "train 2, valid 2, test 2 pairs" in report
    for reason in ("earnings and dividends", "length of the title", "no shared word", "duplicates"):
        assert f"{reason} 1" in report


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Moody's cut the U.S. rating.", "moody 's cut the u.s. rating ."),
        ("up 11-1/2 pct to 155,221 (est.)", "up ##-#/# pct to ###,### ( est . )"),
        ('two-for-one split; "yes"', 'two-for-one split ; " yes "'),
    ],
)
def test_style(script, text, expected):
    assert script.styled(text) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("It rose. It fell.", "It rose."),
        ("Acme Inc. Chairman Bob left. He was ill.", "Acme Inc. Chairman Bob left."),
        ("The U.S. Senate met\ntoday.\n    More.", "The U.S. Senate met today."),
        ("No end here", "No end here"),
    ],
)
def test_the_first_sentence(script, body, expected):
    assert script.first_sentence(body) == expected


def test_a_file_that_is_not_a_collection_is_an_error(script, tmp_path, capsys):
    assert script.main([str(tmp_path / "nowhere")]) == 1
    assert "neither a folder nor a tar archive" in capsys.readouterr().err
    assert script.main([str(laid_out(tmp_path / "sgm")), "--root", str(tmp_path / "out")]) == 1
    assert "6 pairs, too few for two held-out splits of 1,000" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
