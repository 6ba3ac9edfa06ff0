"""README and docs: every command runs, and Python blocks have the shown results."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import torch
import yaml
from page_blocks import Block, blocks, inline, pages, text
from page_commands import NOT_RUN, RUN_ELSEWHERE
from page_files import READ_BY_THE_SHELL
from page_shell import Shell

# Pages that tell one story from the top to the bottom, in one folder, Python too; of others, every
# section is one of its own, and Python blocks need no files.
STORIES = ("docs/tutorial.md", "docs/publishing.md", "docs/python.md")
LANGUAGES = {"bash", "python", "yaml", "text"}
# Files of these places are of recipes that change the package: RUN_ELSEWHERE has their tests.
OF_THE_PACKAGE = ("seq2seq/", "configs/")


#: Pages whose commands run every time, but for sections that measure; the rest with ``make
#: thorough``.
FIRST = ("README.md",)
MEASURING = ("Speed",)
THOROUGH = (pytest.mark.thorough,)


def sections() -> list[tuple[str, str, list[Block]]]:
    """Page, heading and commands of every section that has some."""
    found = []
    seen = {line for page in pages() for block in blocks(page) for line in block.text.splitlines()}
    for page in pages():
        languages = ("bash", "python") if page in STORIES else ("bash",)
        commands = [block for block in blocks(page) if block.language in languages]
        for block in inline(page):  # once, whatever the number of sentences that have it
            if block.text not in seen:
                commands.append(block)
                seen.add(block.text)
        starts = [0] if page in STORIES else _headings(page)
        for first, last in zip(starts, [*starts[1:], 10**9], strict=True):
            own = [block for block in commands if first <= block.line < last]
            if own:
                heading = text(page).splitlines()[first - 1] if first else "# its beginning"
                found.append((page, heading.lstrip("# "), own))
    return found


def _headings(page: str) -> list[int]:
    lines = enumerate(re.sub(r"```.*?```", _blank, text(page), flags=re.DOTALL).splitlines(), 1)
    return [0, *(number for number, line in lines if line.startswith("## "))]


def _blank(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "commands"),
    [
        pytest.param(
            *(page, own),
            id=f"{page}: {name}",
            marks=() if page in FIRST and name not in MEASURING else THOROUGH,
        )
        for page, name, own in sections()
    ],
)
def test_the_commands_of_a_page_run(
    page: str, commands: list[Block], page_shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(page_shell.folder)
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks(page):
        if block.file and not block.file.startswith(OF_THE_PACKAGE):
            path = page_shell.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    failures = []
    for block in dict.fromkeys(commands):
        if block.language == "python":
            _run_python(block, names)
            continue
        for name, make in READ_BY_THE_SHELL.items():
            if name in block.text:
                make(page_shell.folder / name)
        result = page_shell.run(block.text)
        if result.returncode:
            failures.append(f"{block.place}\n{block.text}\n{result.stdout}{result.stderr}")
    assert not failures, "\n\n".join(failures)


@pytest.mark.parametrize("known", [*NOT_RUN, *RUN_ELSEWHERE])
def test_what_is_not_run_here_is_still_on_a_page(known: str) -> None:
    shown = [block.text for page in pages() for block in (*blocks(page), *inline(page))]
    assert any(known in block for block in shown), f"no page has {known!r} any more: remove it"


@pytest.mark.parametrize(
    "page", [page for page in pages() if "```python" in text(page) and page not in STORIES]
)
def test_python_does_what_the_page_says(page: str) -> None:
    """Blocks of a page share their names."""
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks(page):
        if block.language == "python" and not (block.file or "").startswith(OF_THE_PACKAGE):
            _run_python(block, names)


def _run_python(block: Block, names: dict[str, object]) -> None:
    """Every statement; ``# value`` behind an expression is compared with what it gives."""
    lines = block.text.splitlines()
    for statement in ast.parse(block.text).body:
        code = ast.unparse(statement)
        if not isinstance(statement, ast.Expr):
            exec(code, names)
            continue
        found = eval(code, names)
        comment = lines[statement.end_lineno - 1].encode()[statement.end_col_offset :].decode()
        said = _value(comment.strip().removeprefix("#").strip())
        if said is not None:
            where = f"{block.page}:{block.line + statement.lineno}"
            assert _alike(found, said), f"{where}: {code} gives {found}, not {said}"


def _value(comment: str) -> object | None:
    """Return a tensor, number or other literal; None if the comment is a sentence."""
    if tensor := re.fullmatch(r"tensor\((.*)\)", comment):
        return torch.tensor(ast.literal_eval(re.sub(r", grad_fn=.*", "", tensor[1])))
    try:
        return ast.literal_eval(comment)
    except (SyntaxError, ValueError):
        return None


def _alike(found: object, said: object) -> bool:
    if isinstance(said, torch.Tensor):
        assert isinstance(found, torch.Tensor)
        return torch.allclose(found.detach().to(said.dtype), said, atol=6e-5, rtol=1e-4)
    if isinstance(said, float):
        return float(found) == pytest.approx(said, rel=1e-3)  # type: ignore[arg-type]
    return found == said


@pytest.mark.parametrize("page", pages())
def test_every_block_is_of_a_kind_that_is_checked(page: str) -> None:
    """An unknown or a missing name of a language would let a block go unread."""
    found = blocks(page)
    fences = re.findall(r"^\s*```", text(page), re.MULTILINE)
    assert len(fences) == 2 * len(found), f"{page}: a fence is indented, or has no language"
    assert {block.language for block in found} <= LANGUAGES
    for block in found:
        if block.language == "yaml":
            yaml.safe_load(block.text)


def test_links_between_pages_lead_somewhere() -> None:
    repository = Path(__file__).parents[2]
    for page in pages():
        for target in re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", text(page)):
            assert ((repository / page).parent / target).exists(), f"{page} links to {target}"
