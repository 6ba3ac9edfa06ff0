"""Build the page: one HTML file that needs no other files and cannot access the network.

Texts of a corpus or a model are data: JSON in which no character can end its element, and which
scripts put only into text nodes. A Content-Security-Policy allows only the page's own scripts, by
their hashes, and forbids fetching anything.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

from seq2seq.explore.exploration import Exploration

#: The parts of the page's script, in order.
SCRIPTS = (
    "weights.js",
    "state.js",
    "heatmap.js",
    "bipartite.js",
    "panel.js",
    "list.js",
    "plots.js",
    "live.js",
    "page.js",
)


def build_page(exploration: Exploration, live: dict[str, Any] | None = None) -> str:
    """Return the page as HTML.

    Args:
        exploration: the content.
        live: settings of the server that serves the page (``max_characters``); None: a page
            without a server.
    """
    script = "\n".join(_part(name) for name in SCRIPTS)
    plotly = plotly_script()
    policy = (
        f"default-src 'none'; script-src {_hash(script)} {_hash(plotly)}; "
        f"style-src 'unsafe-inline'; img-src data: blob:; "
        f"connect-src {chr(39)}{'self' if live else 'none'}{chr(39)}; "
        "base-uri 'none'; form-action 'none'"
    )
    title = f"{exploration.corpus} · {exploration.split}"
    return Template(_part("page.html")).substitute(
        policy=policy,
        title=html.escape(title),
        style=_part("page.css"),
        data=embedded({**exploration.plain(), "live": live}),
        plotly=base64.b64encode(gzip.compress(plotly.encode(), mtime=0)).decode("ascii"),
        script=script,
    )


def embedded(data: Any) -> str:
    """Return JSON for a ``<script>`` element: ``<``, ``>`` and ``&`` are escaped."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


@cache
def plotly_script() -> str:
    """Return the text of plotly.js.

    Raises:
        ValueError: if Plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ValueError(
            "the page needs Plotly, which is not installed: pip install plotly"
        ) from error
    return str(get_plotlyjs())


@cache
def _part(name: str) -> str:
    return (files("seq2seq.explore") / "page" / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """Return the hash of a script, in the form of the policy."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
