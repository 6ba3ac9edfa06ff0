"""The documentation site: it builds without warnings, is complete, and needs no network."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("sphinx", reason="Sphinx is not installed: pip install -e .[docs]")

REPOSITORY = Path(__file__).parents[2]
SOURCES = REPOSITORY / "docs" / "site"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything, built once as ``make docs`` builds it."""
    folder = tmp_path_factory.mktemp("site") / "docs"
    result = subprocess.run(
        [sys.executable, SOURCES / "build.py", folder], capture_output=True, text=True, timeout=280
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr
    return folder


@pytest.fixture
def configuration(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SOURCES))
    return importlib.import_module("configuration")


class _Fetched(HTMLParser):
    """What a browser fetches when it opens a page: not where links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag != "a":
            names = ("src", "srcset", "href", "data", "poster")
            self.addresses += [value for name in names if (value := given.get(name))]


@pytest.mark.slow
class TestSite:
    """Of the whole site, as built."""

    def test_a_page_fetches_nothing_from_the_network(self, site: Path) -> None:
        for path in site.rglob("*.html"):
            page = _Fetched()
            page.feed(path.read_text(encoding="utf-8"))
            for address in page.addresses:
                assert not re.match(r"(\w+:)?//", address), f"{path.name} fetches {address}"
                place = re.split("[?#]", address)[0]
                if place and not address.startswith("data:"):
                    assert (path.parent / place).exists(), f"{path.name}: no {address}"
        for path in site.rglob("*.css"):
            text = path.read_text(encoding="utf-8")
            found = re.findall(r"""(?:@import\s+|url\()\s*["']?((?:https?:)?//[^"')]+)""", text)
            assert not found, f"{path.name} fetches {found}"

    def test_the_first_page_is_the_readme(self, site: Path) -> None:
        text = (site / "index.html").read_text(encoding="utf-8")
        assert "Niculae &amp; Blondel" in text
        for page in ("tutorial", "mappings", "tasks", "data", "contributing"):
            assert f'href="{page}.html"' in text

    def test_every_page_of_docs_is_in_the_side_bar(self, site: Path) -> None:
        text = (site / "index.html").read_text(encoding="utf-8")
        for path in (REPOSITORY / "docs").glob("*.md"):
            assert f'internal" href="{path.stem}.html"' in text

    def test_every_public_module_is_in_the_reference(self, site: Path) -> None:
        pages = "".join(path.read_text("utf-8") for path in (site / "api").glob("*.html"))
        for path in (REPOSITORY / "seq2seq").rglob("*.py"):
            parts = path.relative_to(REPOSITORY).with_suffix("").parts
            if parts[1:2] == ("cli",) or parts[-1].startswith("_") or len(parts) == 1:
                continue
            assert f'id="module-{".".join(parts)}"' in pages, ".".join(parts)

    def test_formulas_are_drawn_by_the_browser_itself(self, site: Path) -> None:
        text = (site / "api" / "seq2seq.training.html").read_text(encoding="utf-8")
        assert "<math" in text
        assert r"\tfrac" not in text

    def test_what_a_docstring_sets_apart_keeps_its_lines(self, site: Path) -> None:
        text = (site / "api" / "seq2seq.evaluation.html").read_text(encoding="utf-8")
        text = re.sub(r"<[^>]*>", "", text)
        assert "support_fraction  k / n\nentropy           H" in text

    def test_search_needs_no_server(self, site: Path) -> None:
        assert "fusedmax" in (site / "searchindex.js").read_text(encoding="utf-8")

    def test_every_key_of_every_choice_is_in_the_reference(
        self, site: Path, configuration: ModuleType
    ) -> None:
        for group, paths in configuration.groups(REPOSITORY / "configs").items():
            text = (site / "configuration" / f"{group or 'commands'}.html").read_text("utf-8")
            text = re.sub(r"<[^>]*>", "", text)
            for choice in map(configuration.read, paths):
                for option in choice.options:
                    assert option.key in text, f"{group} {choice.name}: {option.key}"


def test_an_option_has_its_default_and_its_comment(
    configuration: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "# A choice.\n# Two lines of it.\ndefaults: [base, _self_]\n\n"
        "_target_: a.B\nsize: 3  # how large\n"
        "inner:  # of the inside\n  rate: '#1'\n  betas: [0.9, 0.98] # two\n"
        "handed: ${trainer.max_steps} # where it comes from\n"
    )
    choice = configuration.read(path)
    assert choice.about == "A choice.\nTwo lines of it."
    assert choice.defaults == ["base"]
    assert choice.target == "a.B"
    assert [(o.key, o.value, o.comment) for o in choice.options] == [
        ("size", "3", "how large"),
        ("inner", "", "of the inside"),
        ("inner.rate", "'#1'", ""),
        ("inner.betas", "[0.9, 0.98]", "two"),
        ("handed", "${trainer.max_steps}", "where it comes from"),
    ]


def test_a_table_shows_signs_of_markup_as_they_are(
    configuration: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("p: 1.5 # 1 < p | <unk>, *any*\n")
    page = configuration.page("attention", [path])
    assert r"| `attention.p` | `1.5` | 1 \< p \| \<unk>, \*any\* |" in page
