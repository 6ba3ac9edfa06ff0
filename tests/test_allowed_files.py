"""The corpus of an untrusted checkpoint reads only files in ``data/``, however it names them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seq2seq.checkpoint import Checkpoint
from seq2seq.checkpoint.allowed_files import ConfinedCorpus, Confinement
from seq2seq.checkpoint.corpus import own_corpus, remember_corpus
from seq2seq.cli.corpus import corpus_name
from seq2seq.data.cache import cache_folder, file_key
from seq2seq.data.corpora.corpus import likely_folders
from seq2seq.data.corpora.readers import read_lines
from seq2seq.data.corpora.text import find_files
from seq2seq.data.corpora.toy import Toy
from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_files import confined

CORPORA = "seq2seq.data.corpora"
TEXT = {"_target_": f"{CORPORA}.text.Text", "root": None, "train": None, "test": None}
NLI = {"_target_": f"{CORPORA}.nli.Nli", "format": "tsv", "label_column": 0}
HEADLINES = [
    f"{split}.{side}" for split in ("train", "valid", "test") for side in ("article", "title")
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Create a home with secrets, and a folder whose ``data/`` has links to them."""
    home = tmp_path_factory.mktemp("home")
    work = home / "work"
    inner = work / "data" / "inner"
    inner.mkdir(parents=True)
    (home / ".ssh").mkdir()
    for folder in (home, home / ".ssh", work):
        for name in ("secret.tsv", "public.tsv", "root", *HEADLINES):
            (folder / name).write_text("SECRET\tSECRET\tSECRET\n" * 2)
    for folder in (work / "data", inner):
        for name in ("public.tsv", *HEADLINES):
            (folder / name).write_text("a\tb\tc\n" * 2)
        (folder / "link.tsv").symlink_to(home / "secret.tsv")
        (folder / "folder-link").symlink_to(home / ".ssh")
        (folder / "loop").symlink_to(folder / "loop")
    (home / "home-link").symlink_to(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.chdir(work)
        yield home


SEGMENTS = [
    *("data", "inner", "public.tsv", "secret.tsv", "link.tsv", "folder-link", "loop", "home-link"),
    *(".ssh", "work", "root", "..", ".", "", "~", "*", "**", "?ecret.tsv", "[s]ecret.tsv", "*.tsv"),
    *("$HOME", "%2e%2e", "..\\", "\0", "a" * 300, "\u202e", "ſecret.tsv", "data ", "Data"),
]
SPELLINGS = st.builds(
    lambda start, middle, parts: start + middle + "/".join(parts),
    st.sampled_from(["", "data/", "data/inner/", "HOME/", "HOME/work/data/", "~", "~/", "~root/"]),
    st.sampled_from(["", "", "/", "./", "../", "work/data/", "../data/", "../../", "../../.ssh/"]),
    st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=4),
)
#: Where in a corpus a name of a file, or of a folder, may stand.
POSITIONS: dict[str, Any] = {
    "pairs": lambda a, b: {**TEXT, "test": a},
    "list": lambda a, b: {**TEXT, "test": ["data/public.tsv", a]},
    "sides": lambda a, b: {**TEXT, "test": {"source": a, "target": b}},
    "root": lambda a, b: {**TEXT, "root": a, "test": b},
    "root as column": lambda a, b: {
        **TEXT,
        "test": {"source": "data/public.tsv", "target": "data/public.tsv", "root": a},
    },
    "root as split": lambda a, b: {**TEXT, "test": "data/public.tsv", "tests": {"root": a}},
    "references": lambda a, b: {
        **TEXT,
        "test": {"source": "data/public.tsv", "references": ["data/public.tsv", a]},
    },
    "labeled": lambda a, b: {**NLI, "train": None, "test": a, "tests": {"root": b}},
    "headlines": lambda a, b: {"_target_": f"{CORPORA}.reuters.Reuters", "root": a},
    "mixture": lambda a, b: {
        "_target_": f"{CORPORA}.mixture.Mixture",
        "corpora": {
            "root": {"corpus": {**TEXT, "train": a, "validation": "data/public.tsv", "root": None}}
        },
    },
}


def checkpoint_of(corpus: dict[str, Any]) -> Checkpoint:
    config = {"data": {"corpus": corpus}}
    return Checkpoint(Path("stranger"), None, None, None, config)  # type: ignore[arg-type]


def read(corpus: dict[str, Any], changes: dict[str, Any] | None = None) -> set[str]:
    """Return the texts of the corpus that a checkpoint names."""
    splits = own_corpus(checkpoint_of(corpus), changes or {}).load()
    return {
        text
        for split in splits.values()
        for column in split.column_names
        if column != "corpus"
        for text in split[column]
    }


@pytest.mark.parametrize("position", POSITIONS)
def test_no_spelling_of_a_path_leads_out_of_data(place: Path, position: str) -> None:
    @settings(
        max_examples=150,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(SPELLINGS, SPELLINGS)
    def check(first: str, second: str) -> None:
        names = (name.replace("HOME", str(place)) for name in (first, second))
        try:
            texts = read(POSITIONS[position](*names))
        except ValueError:
            return
        assert not any("SECRET" in text for text in texts)

    check()


@pytest.mark.parametrize("position", POSITIONS)
def test_files_of_data_are_read(place: Path, position: str) -> None:
    folder = {"root": ("data", "public.tsv"), "headlines": ("data/inner", "")}
    names = folder.get(position, ("data/public.tsv", "data/inner/*c.tsv"))
    texts = read(POSITIONS[position](*names))
    assert any(text.startswith("a") for text in texts) or "b" in texts


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ({**TEXT, "test": "~/secret.tsv"}, r"data\.test: .*secret\.tsv is not a file in data/"),
        ({**TEXT, "root": "data", "test": "~/secret.tsv"}, "is not a file in data/"),
        ({**TEXT, "test": "data/../secret.tsv"}, "is not a file in data/"),
        ({**TEXT, "test": "data/link.tsv"}, r"link\.tsv leads out of its folder, to .*secret"),
        ({**TEXT, "test": "data/*nk.tsv"}, r"link\.tsv leads out of its folder"),
        ({**TEXT, "root": "data", "test": "folder-link/secret.tsv"}, "leads out of its folder"),
        ({**TEXT, "tests": {"root": "/etc/passwd"}}, r"data\.root: /etc/passwd is not a file in"),
        (POSITIONS["root as column"]("../secret.tsv", ""), "is not a file in data/"),
        (POSITIONS["headlines"]("~/.ssh", ""), r"\.ssh is not a file in data/"),
        ({**TEXT, "test": "data/\0"}, "cannot be read"),
        (
            {**TEXT, "test": "data/" + "a" * 300},
            r"data\.test: data/a+… cannot be read: File name too",
        ),
        (POSITIONS["headlines"]("data/" + "a" * 300, ""), "a+… cannot be read: File name too"),
        ({**TEXT, "test": "~nobody-here/x"}, "is not a file in data/|there is no file"),
    ],
)
def test_what_lies_elsewhere_is_refused_by_name(
    place: Path, corpus: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read(corpus)


def test_a_link_called_data_is_not_followed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = place / "cloned"
    folder.mkdir()
    (folder / "data").symlink_to(place)
    monkeypatch.chdir(folder)
    with pytest.raises(ValueError, match=r"data/secret\.tsv leads out of its folder"):
        read({**TEXT, "test": "data/secret.tsv"})


def test_the_user_may_name_files_and_a_folder(place: Path) -> None:
    corpus = {**TEXT, "root": "/elsewhere", "test": "secret.tsv"}
    assert "SECRET" in read(corpus, {"root": str(place / ".ssh")})
    assert "SECRET" in read(corpus, {"root": "~/.ssh"})
    assert "SECRET" in read({**TEXT, "test": "x"}, {"test": "~/*ecret.tsv"})
    assert "SECRET" in read(
        {**TEXT, "test": "x"}, {"test": {"source": "secret.tsv", "target": "../secret.tsv"}}
    )
    with pytest.raises(ValueError, match="is not a file in data/"):
        read(
            {**TEXT, "root": "/elsewhere", "tests": {"more": f"{place}/secret.tsv"}},
            {"root": "data"},
        )


def test_prepared_corpora_lie_in_the_cache_folder(place: Path) -> None:
    folder = cache_folder() / "reuters"
    folder.mkdir(parents=True)
    for name in HEADLINES:
        (folder / name).write_text("prepared\n")
    assert read({"_target_": f"{CORPORA}.reuters.Reuters", "root": None}) == {"prepared"}
    with pytest.raises(ValueError, match="is not a file in data/"):
        read({**TEXT, "test": os.path.join(folder, "test.title")})


def test_a_corpus_that_was_trained_on_here_is_read(place: Path) -> None:
    corpus = {**TEXT, "test": "~/.ssh/secret.tsv"}
    with pytest.raises(ValueError, match="the checkpoint was not trained here"):
        read(corpus)
    remember_corpus({**corpus, "cache_folder": "elsewhere"})
    assert read(corpus) == {"SECRET"}


@pytest.mark.parametrize(
    "opening",
    [
        lambda path: file_key(path, cache_folder()),
        lambda path: next(read_lines(path)),
        lambda path: find_files(str(path)),
        lambda path: find_files("*", path.parent),
        lambda path: likely_folders("any", path.parent),
    ],
)
def test_all_code_that_opens_a_file_checks_it_first(
    place: Path, opening: Callable[[Path], object]
) -> None:
    path = place / "secret.tsv"
    opening(path)  # so that nothing is left to be computed
    with confined(lambda path: "no"), pytest.raises(DataError, match="no"):
        opening(path)


def test_each_file_that_a_pattern_finds_is_judged(place: Path) -> None:
    refusal = {str(place / "secret.tsv"): "no"}
    with confined(lambda path: refusal.get(str(path))), pytest.raises(DataError, match="no"):
        find_files("*.tsv", place)


def test_scores_name_the_corpus_that_is_confined() -> None:
    assert corpus_name(ConfinedCorpus(Toy(), Confinement({}, {}))) == corpus_name(Toy()) == "Toy"
