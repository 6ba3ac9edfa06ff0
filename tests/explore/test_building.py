"""The page: one file, data that cannot break out of it, and a policy with script hashes."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made import ATTACK, exploration

from seq2seq.explore.building import SCRIPTS, build_page, embedded, plotly_script

PARTS = Path(__file__).parents[2] / "seq2seq" / "explore" / "page"


class Elements(HTMLParser):
    """Start tags with their attributes, and what stands in scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self.inside = tag == "script"
        self.scripts += [""] if self.inside else []

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.scripts[-1] += data


@pytest.fixture(scope="module")
def page() -> Elements:
    return Elements(build_page(exploration()))


def test_text_that_looks_like_markup_is_data(page: Elements) -> None:
    assert [tag for tag, _ in page.tags].count("script") == 3
    assert "img" not in [tag for tag, _ in page.tags]
    data = json.loads(page.scripts[0])
    assert data["examples"][2]["source"] == f"what {ATTACK} means"
    assert data == {**json.loads(json.dumps(exploration().plain())), "live": None}


@pytest.mark.parametrize(
    "text", ["</script>", "<!--", "]]>", "\u2028\u2029", "&lt;", "\\", '"', "$data", "𝔘 π", "\0"]
)
def test_any_text_survives_embedding(text: str) -> None:
    written = embedded({"text": text})
    assert json.loads(written) == {"text": text}
    assert not set(written) & set("<>&\u2028\u2029")


def test_nothing_is_fetched(page: Elements) -> None:
    for tag, attributes in page.tags:
        assert "src" not in attributes, tag
        assert attributes.get("href", "data:,") == "data:,", tag
    style = (PARTS / "page.css").read_text(encoding="utf-8")
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_allows_the_page_s_own_scripts_and_no_others(page: Elements) -> None:
    (policy,) = (a["content"] for _, a in page.tags if "http-equiv" in a)
    assert policy is not None
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["connect-src"] == "'none'"
    plotly = gzip.decompress(base64.b64decode(page.scripts[1])).decode()
    assert plotly == plotly_script()
    hashes = [hashlib.sha256(text.encode()).digest() for text in (page.scripts[2], plotly)]
    expected = " ".join(f"'sha256-{base64.b64encode(h).decode()}'" for h in hashes)
    assert directives["script-src"] == expected
    live = build_page(exploration(), live={"max_characters": 10})
    assert "connect-src 'self';" in live


def test_the_title_is_escaped() -> None:
    from dataclasses import replace

    page = build_page(replace(exploration(), corpus="</title><script>"))
    assert "<title>&lt;/title&gt;&lt;script&gt; · test</title>" in page


def test_every_part_is_in_the_page(page: Elements) -> None:
    assert {path.name for path in PARTS.iterdir()} == {*SCRIPTS, "page.html", "page.css"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", page.scripts[2])


def test_without_plotly_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    plotly_script.cache_clear()
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(ValueError, match=r"pip install plotly"):
        plotly_script()
    plotly_script.cache_clear()
