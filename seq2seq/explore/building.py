"""The page: one HTML file that needs nothing else, and may reach nothing else.

What comes from a corpus or a model is data: it stands in the page as JSON in which no character can
end the element, and scripts put it into text nodes only. A Content-Security-Policy names the page's
own scripts by their hashes, so that nothing else runs, and nothing is fetched.
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

#: In this order they are one script.
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
    """The page as text.

    Args:
        exploration: what to show.
        live: settings of the server that the page is served by (``max_characters``); None for a
            page that stands alone.
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
    """JSON that can stand in a ``<script>``: no ``<``, ``>`` or ``&`` in it, only their escapes."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


@cache
def plotly_script() -> str:
    """The text of plotly.js.

    Raises:
        ValueError: if Plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ValueError(
            "the page draws with Plotly, which is not installed: pip install 'seq2seq[explore]'"
        ) from error
    return str(get_plotlyjs())


@cache
def _part(name: str) -> str:
    return (files("seq2seq.explore") / "page" / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """A script as the policy names it."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
