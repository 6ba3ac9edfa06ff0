"""Test sets in SGML or XML, as WMT and IWSLT publish them: sources, references, system outputs.

Until 2020, a file has one of these sets (`srcset`, `refset`, `tstset`); since 2021, each document
has several (`src`, `ref`, `hyp`). Many files are not well-formed (a bare `&`, no root), so no XML
parser reads them all. Only character references are expanded; declarations of entities are errors.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_files import shown

# These patterns must not backtrack from every `<`, because a malformed file would then take hours.
TAG = re.compile(r"<(/?)([A-Za-z]\w*)\b([^<>]*)>")
ATTRIBUTE = re.compile(r"""([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
ENCLOSED = {"<!--": "-->", "<![CDATA[": "]]>", "<?": ">"}
ROLES = {
    "src": "source",
    "srcset": "source",
    "ref": "target",
    "refset": "target",
    "hyp": "output",
    "tstset": "output",
}
NAMES = ("translator", "system", "sysid", "refid")  # attributes with a reference's or system's name

Place = tuple[str, str, int]
"""Document, segment, and how many earlier segments of the document have the same name."""


class TestSet:
    """The segments of a file, by set.

    Args:
        lines: lines of the file.
        path: name of the file, for messages.

    Raises:
        DataError: if a segment or a comment is not closed, or the file declares an entity.
    """

    __test__ = False  # tells pytest that this class is not a test

    def __init__(self, lines: Iterable[str], path: object) -> None:
        ended = [f"{line}\n" for line in lines]
        self._text, self._ends = "".join(ended), list(accumulate(map(len, ended)))
        self._path = path
        self.numbers: dict[Place, int] = {}  # line of the first occurrence of a segment
        self.sets: dict[tuple[str, str], dict[Place, str]] = {}
        self._read()

    def rows(self, columns: Sequence[str | int]) -> Iterator[tuple[int, list[str]]]:
        """Yield line number and texts of each segment; a text is "" if a set lacks the segment.

        Args:
            columns: `source`, `target` (the first reference), or the name of a translator or a
                system. If the file has only one set, a single column means that set.

        Raises:
            DataError: if the file has no such set.
        """
        if len(columns) == 1 and len(self.sets) <= 1:
            chosen = [*self.sets.values()]
        else:
            chosen = [self._chosen(str(column)) for column in columns]
        for place, number in self.numbers.items():
            yield number, [segments.get(place, "") for segments in chosen]

    def _chosen(self, column: str) -> dict[Place, str]:
        role = re.sub(r"^target_\d+$", "target", column)
        by_name = [found for (_, name), found in self.sets.items() if name == column]
        by_role = [found for (kind, _), found in self.sets.items() if kind == role]
        number = int(column.rpartition("_")[2]) if column != role else 1
        if chosen := by_name or by_role[number - 1 : number]:
            return chosen[0]
        there = ", ".join(f"{role} {name}".strip() for role, name in self.sets)
        raise DataError(f"{self._path} has no segments of {column!r}; it has: {shown(there, 300)}")

    def _read(self) -> None:
        """Read all segments into their sets."""
        document, documents = "", 0
        outer = inner = ("", "")  # the set around documents, and the set within a document
        opened: int | None = None  # start of the open segment
        identifier, parts = "", list[str]()
        for start, text, closing, tag, attributes in self._markup():
            if tag == "seg" and closing:
                if opened is None:
                    raise DataError(f"{self._line(start)} closes a segment that is not open")
                self._keep(inner if inner[0] else outer, document, identifier, opened, parts)
                opened = None
            elif opened is not None:
                if tag == "seg":
                    raise DataError(f"{self._line(opened)} begins a segment that is not closed")
                parts.append(text)
            elif tag == "seg":
                opened, identifier, parts = start, _attributes(attributes).get("id", ""), []
            elif tag == "doc" and not closing:
                documents += 1
                known = _attributes(attributes)
                document = known.get("docid") or known.get("id") or f"document {documents}"
                inner = (outer[0], _name(known)) if outer[0] and _name(known) else ("", "")
            elif tag == "doc":
                document, inner = "", ("", "")
            elif tag in ROLES and not closing:
                named = (ROLES[tag], _name(_attributes(attributes)))
                outer, inner = (named, inner) if tag.endswith("set") else (outer, named)
                documents = 0 if tag.endswith("set") else documents
            elif tag in ROLES:
                outer, inner = (("", ""), inner) if tag.endswith("set") else (outer, ("", ""))
        if opened is not None:
            raise DataError(f"{self._line(opened)} begins a segment that is not closed")

    def _keep(
        self, kind: tuple[str, str], document: str, name: str, start: int, parts: list[str]
    ) -> None:
        segments = self.sets.setdefault(kind, {})
        repeated = 0
        while (place := (document, name, repeated)) in segments:
            repeated += 1
        lines = (line.strip() for line in "".join(parts).split("\n"))
        segments[place] = " ".join(line for line in lines if line)
        self.numbers.setdefault(place, self._number(start))

    def _markup(self) -> Iterator[tuple[int, str, bool, str, str]]:
        """Yield start and text of each part, and for a tag: whether it closes, name, attributes."""
        text, start = self._text, 0
        while start < len(text):
            if text[start] != "<":
                end = text.find("<", start)
                end = len(text) if end < 0 else end
                yield start, self._unescaped(start, end), False, "", ""
            elif opening := next((o for o in ENCLOSED if text.startswith(o, start)), None):
                end = text.find(ENCLOSED[opening], start)
                if end < 0:
                    raise DataError(f"{self._line(start)} has {opening} without an end")
                inside = text[start + len(opening) : end] if opening == "<![CDATA[" else ""
                end += len(ENCLOSED[opening])
                yield start, inside, False, "", ""
            elif match := TAG.match(text, start):
                end = match.end()
                yield start, match[0], bool(match[1]), match[2].lower(), match[3]
            elif text.startswith("<!ENTITY", start):
                raise DataError(
                    f"{self._line(start)} declares an entity, which is not supported; replace the "
                    "entity by its text"
                )
            else:
                end = start + 1
                yield start, "<", False, "", ""
            start = end

    def _unescaped(self, start: int, end: int) -> str:
        try:
            return html.unescape(self._text[start:end])
        except ValueError as error:  # the number has thousands of digits
            raise DataError(
                f"{self._line(start)} has a character reference without a character; remove it"
            ) from error

    def _number(self, start: int) -> int:
        return bisect_right(self._ends, start) + 1

    def _line(self, start: int) -> str:
        return f"line {self._number(start):,} of {self._path}"


def _attributes(text: str) -> dict[str, str]:
    return {name.lower(): a or b or c for name, a, b, c in ATTRIBUTE.findall(text)}


def _name(attributes: dict[str, str]) -> str:
    return next((attributes[name] for name in NAMES if attributes.get(name)), "")
