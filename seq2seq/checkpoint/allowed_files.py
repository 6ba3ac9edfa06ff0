"""Decide which files the corpus of an untrusted checkpoint may read.

A name in ``config.yaml`` may lead to any file by ``~``, ``..``, links and patterns. Therefore the
functions of ``seq2seq.data`` that open a file call :meth:`Confinement.refusal` with the path that
they are about to open.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seq2seq.checkpoint.building import CONFIG, target_class
from seq2seq.data.cache import cache_folder
from seq2seq.data.corpora.corpus import Corpus
from seq2seq.system.untrusted_files import confined, shown

HERE = "data"  # folder of corpora in the current folder
REMEDY = (
    "choose the corpus yourself (data=NAME data.root=FOLDER, data=text data.test.source=FILE …), "
    "or give that argument, if it is right (data.NAME=VALUE)"
)


class Confinement:
    """The files that the corpus may read.

    These are the files in ``data/`` of the current folder, those in the cache folders of corpora
    that the configuration names, and those that the user names.

    Args:
        corpus: configuration of the corpus in ``config.yaml``.
        changes: arguments of the corpus on the command line.
    """

    def __init__(self, corpus: dict[str, Any], changes: dict[str, Any]) -> None:
        here = os.path.join(os.path.realpath(os.getcwd()), HERE)
        self._folders = [(os.path.abspath(HERE), here)]  # as written, and without links
        named = [_absolute(str(cache_folder() / name)) for name in _prepared(corpus)]
        root = changes.get("root")
        if isinstance(root, str):
            named.append(_absolute(root))
        self._folders += [(folder, os.path.realpath(folder)) for folder in named]
        start = root if isinstance(root, str) else ""
        self._files: set[str] = set()
        for name in _texts(changes):
            path = os.path.join(_absolute(start), os.path.expanduser(name))
            self._files.update(map(os.path.abspath, (path, *glob.glob(path, recursive=True))))

    def refusal(self, path: str | Path) -> str | None:
        """Return why a file may not be read; None if it may be read.

        Args:
            path: the path to open, or a pattern of paths.
        """
        try:
            reason = self._reason(os.fspath(path))
        except (OSError, ValueError) as error:  # a long name, a loop of links, or a NUL character
            return f"{shown(path, 200)} cannot be read: {error}"
        return reason and f"{reason}, and the checkpoint was not trained here; {REMEDY}"

    def _reason(self, path: str) -> str | None:
        if os.path.abspath(path) in self._files:
            return None
        # Check the name first, because even resolving links may access other machines.
        folders = [real for written, real in self._folders if _below(path, written)]
        if ".." in Path(path).parts or not folders:
            return f"{shown(path, 200)} is not a file in {HERE}/ of the current folder"
        if Path(path).parts.count("**") > 1:
            return f"{shown(path, 200)} has ** twice, which takes too long to search"
        target = os.path.realpath(path)
        if not any(_below(target, folder) for folder in folders):
            return f"{shown(path, 200)} leads out of its folder, to {shown(target, 200)}"
        return None


class ConfinedCorpus:
    """A corpus that reads only files that a confinement allows.

    Args:
        corpus: the corpus to read.
        confinement: the files that it may read.
    """

    def __init__(self, corpus: Corpus, confinement: Confinement) -> None:
        self.corpus = corpus
        self._confinement = confinement

    def __getattr__(self, name: str) -> Any:
        return getattr(self.corpus, name)

    def load(self) -> Any:
        """See :class:`Corpus`."""
        with confined(self._confinement.refusal):
            return self.corpus.load()


def _below(path: str, folder: str) -> bool:
    return os.path.commonpath([os.path.abspath(path), folder]) == folder


def _absolute(folder: str) -> str:
    return os.path.abspath(os.path.expanduser(folder))


def _prepared(node: Any) -> Iterator[str]:
    """Yield the folders in the cache of the corpora that a configuration names."""
    if isinstance(node, list):
        for item in node:
            yield from _prepared(item)
    elif isinstance(node, dict):
        if isinstance(node.get("_target_"), str):
            name = getattr(target_class(node["_target_"], CONFIG), "name", None)
            if isinstance(name, str):
                yield name
        for item in node.values():
            yield from _prepared(item)


def _texts(node: Any) -> Iterator[str]:
    """Yield all texts in nested values."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value)
