"""The pages of the site: those of ``docs``, of other places, and those that are generated."""

from __future__ import annotations

import posixpath
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import api
import configuration

REPOSITORY = Path(__file__).parents[2]

# Pages that live where readers of the repository look for them, and their places in the site.
ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "data/README.md": "corpora.md",
}
# The order of the side bar. What is in `docs` and not named here comes under "How to".
CONTENTS = {
    "Start": ["tutorial", "python", "notebook"],
    "Understand": ["mappings", "comparison", "tasks", "data", "corpora", "glossary"],
    "How to": ["howto"],
    "Reference": ["configuration/index", "api/index"],
    "Take part": ["contributing"],
}

LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")


def assemble(folder: Path) -> None:
    """Write the sources of the site to ``folder``; what has not changed is not touched."""
    docs = REPOSITORY / "docs"
    own = {path.relative_to(docs).as_posix(): path for path in sorted(docs.glob("*.md"))}
    texts = {name: linked(path) for name, path in own.items()}
    for place, name in ELSEWHERE.items():
        texts[name] = linked(REPOSITORY / place)
    for path in docs.glob("*.ipynb"):
        texts[f"{path.stem}.md"] = from_notebook(path, folder)
    texts["index.md"] += contents(sorted(own))
    groups = configuration.groups(REPOSITORY / "configs")
    for group, paths in groups.items():
        texts[f"configuration/{group or 'commands'}.md"] = configuration.page(group, paths)
    order = [group or "commands" for group in sorted(groups)]
    texts["configuration/index.md"] = configuration.index(order)
    packages = {package.__name__: package for package in api.packages()}
    for name, package in packages.items():
        texts[f"api/{name}.rst"] = api.page(package)
    texts["api/index.rst"] = api.index(list(packages))
    for path in folder.rglob("*.*"):
        if path.suffix in (".md", ".rst") and path.relative_to(folder).as_posix() not in texts:
            path.unlink()
    for name, text in texts.items():
        _write(folder / name, text)
    for path in docs.glob("*.png"):
        shutil.copy2(path, folder / path.name)
    for place in files(texts.values()):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / place, folder / place)


def linked(path: Path) -> str:
    """Return the text of a page with links that fit the site."""
    here = path.parent.relative_to(REPOSITORY).as_posix()

    def turned(match: re.Match[str]) -> str:
        target = match[2]
        if ":" in target:
            return match[0]
        place = posixpath.normpath(posixpath.join(here, target))
        place = ELSEWHERE.get(place, place.removeprefix("docs/")).replace(".ipynb", ".md")
        return f"{match[1]}{place}{match[3]}"

    return LINK.sub(turned, path.read_text(encoding="utf-8"))


def from_notebook(path: Path, folder: Path) -> str:
    """Return a notebook with its outputs as a page; its pictures are written to ``folder``."""
    # Only the pages of a site need nbconvert, and to import it is slow.
    from nbconvert import MarkdownExporter

    text, resources = MarkdownExporter().from_filename(
        str(path), {"output_files_dir": f"{path.stem}_files", "unique_key": path.stem}
    )
    for name, content in resources["outputs"].items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return str(text).replace("```python\n!", "```text\n!")  # a command of the shell


def files(texts: Iterable[str]) -> set[str]:
    """Return the other files that pages link to, such as scripts, for readers to download."""
    targets = {match[2] for text in texts for match in LINK.finditer(text)}
    return {
        place
        for place in targets
        if ":" not in place and (REPOSITORY / place).is_file() and not place.endswith(".md")
    }


def contents(pages: list[str]) -> str:
    """Return the side bar: a table of contents for each part."""
    named = {page for part in CONTENTS.values() for page in part}
    others = [page.removesuffix(".md") for page in pages if page.removesuffix(".md") not in named]
    trees = []
    for part, given in CONTENTS.items():
        listed = [*given, *(others if part == "How to" else [])]
        entries = "\n".join(listed)
        trees.append(f"\n```{{toctree}}\n:hidden:\n:caption: {part}\n\n{entries}\n```\n")
    return "".join(trees)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
