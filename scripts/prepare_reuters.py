"""Make the corpus of Reuters headlines of the SGML files of Reuters-21578.

    python scripts/prepare_reuters.py reuters21578.tar.gz
    python scripts/prepare_reuters.py FOLDER_WITH_SGM_FILES --root data/reuters

The collection is free for research (https://doi.org/10.24432/C52G6M). A pair is the first sentence
of a story and its title, in the style of Gigaword: lower case, tokens, digits `#`; marks of tickers
(<IBM>) are taken out. Kept are articles of 10 to 70 tokens with titles of 3 to 15 that share a word
of four letters or more; reports of earnings and dividends, whose titles are a formula, and
duplicates are left out. In the order of the stories, the last 1,000 pairs are the test split, the
1,000 before them the validation split.
"""

from __future__ import annotations

import argparse
import gzip
import html
import re
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from seq2seq.system.atomic_writing import replacing

STORY = re.compile(r"<REUTERS\b[^>]*NEWID=\"(\d+)\".*?</REUTERS>", re.DOTALL)
TITLE = re.compile(r"<TITLE>(.*?)</TITLE>", re.DOTALL)
BODY = re.compile(r"<BODY>(.*?)(?:&#3;)?</BODY>", re.DOTALL)
TICKER = re.compile(r"<[A-Za-z0-9.,' &/-]{1,30}>")
FORMULA = re.compile(r"\b(?:qtr|[1-4](?:st|nd|rd|th) qtr|shr|div|dividend|payout)\b", re.IGNORECASE)
# A sentence ends where a point follows a word of two letters or more, or a closing mark.
END = re.compile(r"(?<=[a-z0-9)\"]{2}[.?!])\s+(?=[A-Z\"(<])")
ABBREVIATIONS = re.compile(
    r"\b(?:inc|corp|co|ltd|mr|mrs|ms|dr|st|no|sen|rep|gov|jr|sr|bros|vs|u\.s|u\.k|u\.n|"
    r"jan|feb|aug|sept|oct|nov|dec)\.$",
    re.IGNORECASE,
)
# Abbreviations of letters, figures, clitics, words; else one sign.
TOKEN = re.compile(r"(?:[a-z]\.){2,}|#[#.,/:-]*#|#|'(?:s|re|ve|ll|d|m)\b|\w+(?:-\w+)*|``|''|--|\S")
LENGTHS = {"article": range(10, 71), "title": range(3, 16)}
SPLIT_SIZE = 1000


class CollectionError(Exception):
    """What was given is not the collection; the message is for the user."""


def sgml_texts(source: Path) -> Iterator[str]:
    """Yield the texts of all .sgm files of a folder or a tar archive, sorted by name."""
    if source.is_dir():
        for path in sorted(source.rglob("*.sgm")):
            yield path.read_text(encoding="latin-1")
    elif source.is_file() and tarfile.is_tarfile(source):
        with tarfile.open(source) as archive:
            members = [m for m in archive.getmembers() if m.isfile() and m.name.endswith(".sgm")]
            for member in sorted(members, key=lambda m: m.name):
                file = archive.extractfile(member)
                assert file is not None
                yield file.read().decode("latin-1")
    else:
        raise CollectionError(f"{source.absolute()} is neither a folder nor a tar archive")


def stories(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield number, title and body of the stories of a file that have both."""
    for match in STORY.finditer(text):
        title, body = TITLE.search(match[0]), BODY.search(match[0])
        if title and body:
            yield int(match[1]), _plain(title[1]), _plain(body[1])


def _plain(text: str) -> str:
    text = TICKER.sub(" ", html.unescape(text))
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)


def first_sentence(body: str) -> str:
    """Of the first paragraph, which ends where a line is indented."""
    paragraph = " ".join(re.split(r"\n {2,}", body.strip("\n"), maxsplit=1)[0].split())
    start = 0
    for match in END.finditer(paragraph):
        if not ABBREVIATIONS.search(paragraph[start : match.start()]):
            return paragraph[: match.start()]
    return paragraph


def styled(text: str) -> str:
    """Lower case, digits `#`, tokens between blanks."""
    return " ".join(TOKEN.findall(re.sub(r"\d", "#", text.lower())))


def reason_to_drop(article: str, title: str, raw_title: str) -> str | None:
    """Why a pair is no use, None if it is."""
    if FORMULA.search(raw_title):
        return "earnings and dividends"
    for name, text in (("article", article), ("title", title)):
        if len(text.split()) not in LENGTHS[name]:
            return f"length of the {name}"
    words = [{w for w in text.split() if w.isalpha() and len(w) > 3} for text in (article, title)]
    return None if words[0] & words[1] else "no shared word"


def pairs_of(source: Path) -> tuple[list[tuple[str, str]], Counter[str]]:
    """Return the pairs in the order of their stories, and how many were dropped for each reason."""
    numbered, left_out = {}, Counter[str]()
    for text in sgml_texts(source):
        for number, raw_title, body in stories(text):
            article, title = styled(first_sentence(body)), styled(raw_title)
            reason = reason_to_drop(article, title, raw_title)
            left_out.update([reason] if reason else [])
            if reason is None:
                numbered[number] = (article, title)
    ordered = [numbered[number] for number in sorted(numbered)]
    unique = list(dict.fromkeys(ordered))
    left_out["duplicates"] = len(ordered) - len(unique)
    return unique, left_out


def write(folder: Path, pairs: list[tuple[str, str]], size: int) -> dict[str, int]:
    """Write the six files; the number of pairs of each split."""
    splits = {"train": pairs[: -2 * size], "valid": pairs[-2 * size : -size], "test": pairs[-size:]}
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        for side, lines in zip(("article", "title"), zip(*rows, strict=True), strict=True):
            content = "".join(f"{line}\n" for line in lines).encode()
            with replacing(folder / f"{split}.{side}.gz") as path:
                path.write_bytes(gzip.compress(content, mtime=0))
    return {split: len(rows) for split, rows in splits.items()}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="folder or tar archive with the .sgm files")
    parser.add_argument("--root", type=Path, default=Path("data/reuters"), help="%(default)s")
    parser.add_argument(
        "--held-out", type=int, default=SPLIT_SIZE, help="pairs of a held-out split"
    )
    options = parser.parse_args(arguments)
    try:
        pairs, left_out = pairs_of(options.source)
        if len(pairs) <= 2 * options.held_out:
            raise CollectionError(
                f"{options.source} yields {len(pairs):,} pairs, too few for two held-out splits of "
                f"{options.held_out:,}: are the collection's 22 files reut2-000.sgm, … all there?"
            )
        sizes = write(options.root, pairs, options.held_out)
    except CollectionError as error:
        print(error, file=sys.stderr)
        return 1
    print(", ".join(f"{split} {size:,}" for split, size in sizes.items()), "pairs")
    print("left out:", ", ".join(f"{reason} {count:,}" for reason, count in left_out.items()))
    print(f"Next: seq2seq-train experiment=reuters_recurrent data.root={options.root}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
