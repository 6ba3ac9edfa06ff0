"""Builds the documentation: ``python docs/site/build.py [FOLDER]``, build/docs by default.

Sources are assembled in ``FOLDER-sources``; a warning of Sphinx is an error. Nothing is fetched,
and the pages fetch nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pages import REPOSITORY, assemble
from sphinx.cmd.build import main as sphinx


def main(arguments: list[str]) -> int:
    """Assemble and build; 0 if all is well."""
    output = Path(arguments[0]) if arguments else REPOSITORY / "build" / "docs"
    sources = output.with_name(f"{output.name}-sources")
    assemble(sources)
    settings = str(Path(__file__).parent)
    return sphinx(["-W", "--keep-going", "-c", settings, str(sources), str(output)])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
