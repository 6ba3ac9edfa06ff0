"""The readers of files that strangers send, each with good files to spoil and what is done next.

A reader must take a file or refuse it by an error of this package that names the file; what it took
must be usable.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import os
import shutil
import tarfile
import traceback
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import sentencepiece
import torch
import yaml
from datasets import DatasetDict
from fuzz_mutations import mutated

import seq2seq
from seq2seq.checkpoint import CheckpointError, build, load_checkpoint, save_checkpoint
from seq2seq.checkpoint.corpus import own_corpus
from seq2seq.cli.lines import chunks, decoded, reader
from seq2seq.data.corpora.text import Text
from seq2seq.data.own_model import adopt_subwords
from seq2seq.data.subwords import Subwords
from seq2seq.data.unpacking import damage, unpack
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.data.word_vectors import word_vectors
from seq2seq.data.words import Words
from seq2seq.evaluation.comparison import compare
from seq2seq.evaluation.comparison_formats import FORMATS
from seq2seq.evaluation.report import (
    read_texts,
    reference_lines,
    value_lines,
    write_metrics,
    write_outputs,
)
from seq2seq.evaluation.runs import find_runs
from seq2seq.evaluation.scores import translation_scores
from seq2seq.search import Beam
from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_yaml import read_yaml
from seq2seq.tasks.reading import check_alignments

OURS = (DataError, CheckpointError, ValueError)
PACKAGE = str(Path(seq2seq.__file__).parent)
LINES = [f"a small sentence number {n} with words like house and häuser" for n in range(60)]
ODD = ["a small sentence", "", "\0 \u2028 e\u0301 \U0001f469\u200d\U0001f467 ﬁ ℃", "x" * 300]
TARGET = "seq2seq.models.recurrent.Recurrent"

Read = Callable[[bytes, Path], object]


class RefusedError(Exception):
    """A reader refused a file without an exception, and told why."""


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        seeds: good files.
        read: writes a file into an empty folder and does with it what the commands do.
        names: parts of an error's message of which one must be there, so that it says where.
        pack: packs what is spoiled, half of the time; else packed files are spoiled.
    """

    seeds: Callable[[], Sequence[bytes]]
    read: Read
    names: tuple[str, ...]
    pack: Callable[[bytes], bytes] | None = None

    def spoiled(self, random: Random) -> bytes:
        """Return a bad file; the same for the same state of ``random``."""
        if self.pack is None:
            return mutated(random, self.seeds())
        if random.random() < 0.5:
            return self.pack(mutated(random, self.seeds()))
        return mutated(random, [self.pack(seed) for seed in self.seeds()])


def warm(target: Target, folder: Path) -> None:
    """Read the good files, so that what they need is loaded."""
    for seed in target.seeds():
        packed = seed if target.pack is None else target.pack(seed)
        verdict(target, packed, folder)


def verdict(target: Target, content: bytes, folder: Path) -> tuple[str, str]:
    """Return the result of a file: ``accepted``, ``refused`` (our error), ``other``; and a message.

    Args:
        target: the reader.
        content: of the file.
        folder: to work in; it is emptied.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        target.read(content, folder)
    except RefusedError as refusal:
        return "refused", str(refusal)
    except Exception as error:
        if problem := _not_ours(error, target.names):
            return "other", problem
        return "refused", str(error)
    return "accepted", ""


def _not_ours(error: Exception, names: Sequence[str]) -> str:
    """Return what is wrong with an error; "" if nothing is."""
    frames = traceback.extract_tb(error.__traceback__)
    where = (
        f"{type(error).__name__}: {error}"[:300] + f" [{frames[-1].filename}:{frames[-1].lineno}]"
    )
    if type(error) not in OURS or not frames[-1].filename.startswith(PACKAGE):
        return where
    message = str(error)
    if not any(name in message for name in names):
        return f"names no file: {where}"
    if len(message) > 3000:
        return f"a message of {len(message):,} characters: {where}"
    return ""


# Corpora: all formats end in a table.


def _corpus(name: str, content: bytes, folder: Path, **options: Any) -> DatasetDict:
    path = folder / name
    path.write_bytes(content)
    return Text(train=path, cache_folder=folder / "cache", **options).load()


def _plain(suffix: str, content: bytes, folder: Path) -> DatasetDict:
    path, other = folder / f"corpus.txt{suffix}", folder / "corpus.other"
    path.write_bytes(content)
    other.write_text("\n".join(LINES) + "\n")
    files = {"source": path, "target": other}
    return Text(train=files, cache_folder=folder / "cache").load()


def _alignments(content: bytes, folder: Path) -> None:
    path, text = folder / "corpus.alignment", folder / "corpus.text"
    path.write_bytes(content)
    text.write_text("\n".join(LINES) + "\n")
    files = {"source": text, "target": text, "alignment": path, "source_segments": path}
    files["target_segments"] = path
    texts = Text(test=files, cache_folder=folder / "cache").load()
    with contextlib.suppress(ValueError):
        check_alignments(texts)  # segments are as bad as links
    check_alignments(
        DatasetDict({"test": texts["test"].select_columns(["source", "target", "alignment"])})
    )


def _text() -> bytes:
    return ("\n".join(LINES) + "\n").encode()


def _tsv() -> list[bytes]:
    rows = [f"{line}\t{line.upper()}\t{n}" for n, line in enumerate(LINES)]
    return ["\n".join([*head, *rows, ""]).encode() for head in ([], ["source\ttarget\tn"])]


def _json_lines() -> list[bytes]:
    plain = [json.dumps({"source": a, "target": a.upper(), "n": 1.5}) for a in LINES]
    nested = [
        json.dumps({"translation": {"en": a, "de": [a]}, "source": a, "target": a}) for a in LINES
    ]
    return ["\n".join([*rows, ""]).encode() for rows in (plain, nested)]


def _segments() -> list[bytes]:
    rows = [f'<seg id="{n}"> {line} &amp; &#228; </seg>' for n, line in enumerate(LINES)]
    return ["\n".join(["<refset>", "<doc>", *rows, "</doc>", ""]).encode()]


def _links() -> list[bytes]:
    return [
        "\n".join(["0-0 1-1 2p2 3-3"] * len(LINES) + [""]).encode(),
        "\n".join(["0-2 2-3 5-9"] * len(LINES) + [""]).encode(),
    ]


# Vocabularies and vectors.


def _vectors(name: str, content: bytes, folder: Path) -> None:
    path = folder / name
    path.write_bytes(content)
    found = word_vectors(path, ["a", "small", "sentence"], cache_folder=folder / "cache")
    assert found.vectors.shape[0] == 3


def _vector_seeds() -> list[bytes]:
    rows = [f"{word} " + " ".join(f"{n / 7:.3f}" for n in range(8)) for word in LINES[0].split()]
    return ["\n".join([*head, *rows, ""]).encode() for head in ([], ["11 8"])]


def _words(content: bytes, folder: Path) -> None:
    path = folder / "words.json"
    path.write_bytes(content)
    _use(VocabularyPair.load(folder).source)


def _word_seeds() -> list[bytes]:
    words = sorted({word for line in LINES for word in line.split()})
    return [Words.of(words).model, Words.of(words, lowercase=True, tokenizer="treebank").model]


def _use(vocabulary: Any) -> None:
    for text in ODD:
        ids = vocabulary.encode(text)
        vocabulary.decode(ids, text)
        assert len(vocabulary.words(ids)) == len(vocabulary.pieces(ids)) == len(ids)
    vocabulary.encode_batch(ODD)
    vocabulary.pieces(range(vocabulary.size))
    vocabulary.written_ids("▁a")


def _subwords(content: bytes, folder: Path) -> None:
    path = folder / "subwords.model"
    path.write_bytes(content)
    with contextlib.suppress(DataError):  # what it refuses must be refused as it is, too
        _use(adopt_subwords(content))
    subwords = Subwords.load(path)
    _use(subwords)
    with contextlib.suppress(DataError):  # of kinds that draw nothing
        subwords.encode_batch(ODD, True)


@cache
def _subword_seeds() -> list[bytes]:
    seeds = []
    for kind in ("unigram", "bpe", "char", "word"):
        for rule in ("identity", "nmt_nfkc"):
            file = io.BytesIO()
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(LINES * 4),
                model_writer=file,
                vocab_size=320 if kind == "bpe" else 40,
                byte_fallback=kind == "bpe",
                model_type=kind,
                normalization_rule_name=rule,
                hard_vocab_limit=False,
                minloglevel=2,
                pad_id=0,
                unk_id=1,
                bos_id=2,
                eos_id=3,
            )
            seeds.append(file.getvalue())
    return seeds


# Checkpoints.

MAPPINGS = (
    {"_target_": "seq2seq.mappings.Fusedmax", "gamma": 0.5, "lam": 0.2, "learn": ["gamma"]},
    {"_target_": "seq2seq.mappings.Entmax", "alpha": 1.4},
)


@cache
def _checkpoint(number: int = 0) -> dict[str, bytes]:
    """Return the files of a small checkpoint."""
    words = Words.of(sorted({word for line in LINES for word in line.split()}))
    sizes = {"source_vocabulary_size": words.size, "target_vocabulary_size": words.size}
    models: list[dict[str, Any]] = [
        {
            "_target_": TARGET,
            "mapping": MAPPINGS[0],
            "embedding_size": 8,
            "hidden_size": 8,
            "tie_embeddings": "target",
        },
        {
            "_target_": "seq2seq.models.transformer.Transformer",
            "cross_mapping": MAPPINGS[1],
            "size": 8,
            "heads": 2,
            "feedforward_size": 8,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "max_length": 64,
        },
    ]
    corpus = {"_target_": "seq2seq.data.corpora.toy.Toy", "seed": 1, "train_size": 100}
    config = {
        "task": {"_target_": "seq2seq.tasks.translation.Translation"},
        "model": {**models[number], **sizes},
        "data": {"corpus": corpus},
    }
    import tempfile

    torch.manual_seed(number)
    with tempfile.TemporaryDirectory() as place:
        folder = save_checkpoint(
            Path(place) / "checkpoint", build(config["model"]), VocabularyPair(words, words), config
        )
        # A stranger could write a checksum anew.
        return {
            path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".sha256"
        }


def _load(name: str, content: bytes, folder: Path) -> None:
    """Load and use a checkpoint with one bad file."""
    transformer = b"transformer" in content or b"encoder.0" in content
    for other, good in _checkpoint(int(transformer)).items():
        (folder / other).write_bytes(good)
    (folder / name).write_bytes(content)
    checkpoint = load_checkpoint(folder)
    _translate(checkpoint, ODD[:3])
    own_corpus(checkpoint, {})


SECRET = "SECRET"


def _corpus_of_checkpoint(content: bytes, folder: Path) -> None:
    """Read the corpus that an untrusted checkpoint names, but none of the secrets around it."""
    home, work = folder / "home", folder / "home" / "work"
    (work / "data" / "inner").mkdir(parents=True)
    (home / ".ssh").mkdir()
    for place, text in (
        (home, SECRET),
        (home / ".ssh", SECRET),
        (work, SECRET),
        (work / "data", "a"),
    ):
        (place / "pairs.tsv").write_text(f"{text}\t{text}\t{text}\n" * 3)
    (work / "data" / "link.tsv").symlink_to(home / "pairs.tsv")
    (work / "data" / "links").symlink_to(home / ".ssh")
    (folder / "config.yaml").write_bytes(content)
    before = {name: os.environ.get(name) for name in ("HOME", "SEQ2SEQ_CACHE")}
    here = Path.cwd()
    os.environ |= {"HOME": str(home), "SEQ2SEQ_CACHE": str(home / "cache")}
    os.chdir(work)
    try:
        config = read_yaml(folder / "config.yaml")
        checkpoint: Any = SimpleNamespace(folder=folder, config=config)
        if not isinstance(config, dict):
            raise RefusedError("no mapping")
        splits = own_corpus(checkpoint, {}).load()
        texts = {text for split in splits.values() for text in split["source"][:]}
        texts |= {text for split in splits.values() for text in split["target"][:]}
        assert not any(SECRET in text for text in texts), "a secret was read"
    finally:
        os.chdir(here)
        os.environ |= {name: value for name, value in before.items() if value is not None}


def _corpora() -> list[bytes]:
    package = "seq2seq.data.corpora"
    text = {"_target_": f"{package}.text.Text", "root": None, "train": None, "on_empty": "skip"}
    sides = {"source": "data/pairs.tsv", "target": "data/pairs.tsv", "references": ["data/*.tsv"]}
    small = {"train_size": 3, "validation_size": 1, "test_size": 1}
    toy = {"_target_": f"{package}.toy_headlines.ToyHeadlines", **small, "tail": {"nouns": 10}}
    nli = {"_target_": f"{package}.nli.Nli", "test": "data/pairs.tsv", "tests": {"root": "~/x"}}
    part = {**text, "train": "data/pairs.tsv", "validation": ["data/pairs.tsv", "~/pairs.tsv"]}
    corpora: list[dict[str, Any]] = [
        {**text, "test": {**sides, "references": ["data/pairs.tsv"]}},
        {**text, "root": "data", "train": ["pairs.tsv", "pa*.tsv"], "tests": {"b": "./pairs.tsv"}},
        {**nli, "tests": {"more": ["data/pairs.tsv"]}, "label_column": 0, "format": "tsv"},
        {**toy, "seed": 2, "tail": {"nouns": 10, "share": 0.1, "exponent": 1.5}},
        {**text, "test": sides, "tests": {"more": "data/inner/../pairs.tsv"}},
        {**text, "root": "data", "test": ["pairs.tsv", "link*.tsv", "links/*"]},
        {**nli, "label_column": 0, "format": "tsv"},
        toy,
        {"_target_": f"{package}.reuters.Reuters", "root": "~/work/data"},
        {
            "_target_": f"{package}.mixture.Mixture",
            "corpora": {"a": {"corpus": part}, "b": {"corpus": toy}},
        },
    ]
    return [yaml.safe_dump({"data": {"corpus": corpus}}).encode() for corpus in corpora]


def _cache_entry(content: bytes, folder: Path) -> None:
    """Open a damaged table of the cache: it is rebuilt, or can be read."""
    path = folder / "pairs.tsv"
    path.write_text("a small\tein kleiner\n" * 30)
    corpus = Text(train=path, cache_folder=folder / "cache")
    corpus.load()
    (entry,) = (folder / "cache" / "texts").glob("*.arrow")
    entry.unlink()  # what is mapped stays
    entry.write_bytes(content)
    for column in corpus.load()["train"].to_dict().values():
        assert all(isinstance(text, str) for text in column)


@cache
def _cache_entries() -> list[bytes]:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "pairs.tsv"
        path.write_text("a small\tein kleiner\n" * 30)
        Text(train=path, cache_folder=Path(place) / "cache").load()
        return [entry.read_bytes() for entry in (Path(place) / "cache" / "texts").glob("*.arrow")]


def _translate(checkpoint: Any, lines: Sequence[str]) -> None:
    checkpoint.task.generate(
        checkpoint.model,
        checkpoint.subwords,
        lines,
        Beam(beam_size=2, max_length=8),
        max_source_length=min(32, (checkpoint.model.max_length or 64) - 1),
    )


def _input(content: bytes, folder: Path) -> None:
    """Lines to translate."""
    for name, good in _checkpoint().items():
        (folder / name).write_bytes(good)
    path = folder / "input.txt"
    path.write_bytes(content)
    checkpoint = load_checkpoint(folder)
    with reader(str(path)) as lines:
        for chunk in chunks(decoded(lines, path.name), 16):
            _translate(checkpoint, chunk)


# Results.


def _result(name: str, content: bytes, folder: Path) -> None:
    """Two runs, a file of one of them bad: compared."""
    for run, files in _run_files().items():
        (folder / run).mkdir()
        for other, good in files.items():
            (folder / run / other).write_bytes(good)
    (folder / "bad" / name).write_bytes(content)
    runs, left_out = find_runs([folder])
    assert len(runs) + len(left_out) == 2
    tables = compare(runs, samples=10) if runs else []
    for write in FORMATS.values():
        write(tables).encode("utf-8")
    if left_out:
        raise RefusedError(left_out[0].reason)


@cache
def _run_files() -> dict[str, dict[str, bytes]]:
    import tempfile

    found = {}
    with tempfile.TemporaryDirectory() as place:
        for name, mapping, drop in (("bad", "Softmax", 5), ("good", "Fusedmax", 7)):
            folder = Path(place) / name
            references = [line.split() for line in LINES]
            hypotheses = [" ".join(words[: 8 + n % 3]) for n, words in enumerate(references)]
            hypotheses[drop] = "nothing"
            known = [LINES]
            values = [float(n % drop) for n in range(len(LINES))]
            mean = {"score": sum(values) / len(values), "signature": "mean"}
            write_metrics(
                folder / "metrics.json",
                {"test": {**translation_scores(hypotheses, known, ("bleu",)), "rouge_1": mean}},
            )
            write_metrics(folder / "training.json", {"seconds_per_epoch": 1.5, "epochs": 3})
            outputs = {"hypotheses.txt": hypotheses, **reference_lines(known)}
            outputs["example_scores.jsonl"] = value_lines({"rouge_1": values})
            write_outputs(folder, "test", outputs)
            config = {
                "seed": 1,
                "attention": {"_target_": f"seq2seq.mappings.{mapping}", "gamma": 1.0},
                "model": {"_target_": TARGET, "hidden_size": 8},
                "data": {"corpus": {"_target_": "seq2seq.data.corpora.toy.Toy"}},
                "test": {"split": "test"},
            }
            (folder / "config.yaml").write_text(yaml.safe_dump(config))
            found[name] = {path.name: path.read_bytes() for path in folder.iterdir()}
    return found


def _scored(content: bytes, folder: Path) -> None:
    """Hypotheses of another program."""
    path = folder / "hypotheses.txt"
    path.write_bytes(content)
    hypotheses = read_texts(path)
    translation_scores(hypotheses, [LINES[: len(hypotheses)]], ("bleu", "chrf"))


# Archives.


def _unpacked(suffix: str, content: bytes, folder: Path) -> None:
    path, inside = folder / f"archive{suffix}", folder / "inside"
    path.write_bytes(content)
    damage(path, path.name)
    try:
        unpack(path, inside, most_bytes=1 << 24)
    finally:
        assert sorted(p.name for p in folder.iterdir() if p != inside) == [path.name]


def _tar(mode: str) -> list[bytes]:
    found = []
    for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode=mode, format=kind) as archive:  # type: ignore[call-overload]
            for name in ("train.en", "deep/er/train.de", "ünï" * 40):
                info = tarfile.TarInfo(name)
                info.size = len(_text())
                archive.addfile(info, io.BytesIO(_text()))
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "../../etc/passwd"
            archive.addfile(link)
        found.append(file.getvalue())
    return found


def _zip() -> list[bytes]:
    found = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            archive.writestr("train.en", _text())
            archive.writestr("deep/er/train.de", _text())
        found.append(file.getvalue())
    return found


# The page's server.


@cache
def _client(folder: str) -> Any:
    from starlette.testclient import TestClient

    from seq2seq.explore.live import Live
    from seq2seq.explore.server import application

    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    for name, good in _checkpoint().items():
        (place / name).write_bytes(good)
    live = Live([load_checkpoint(place)], Beam(beam_size=2, max_length=8))
    return TestClient(application("page", live), base_url="http://127.0.0.1")


def _asked(content: bytes, folder: Path) -> None:
    headers = {"content-type": "application/json"}
    client = _client(str(folder.parent / "model"))
    answer = client.post("/answer", content=content, headers=headers)
    if answer.status_code != 200:
        assert answer.status_code in (400, 413), answer.status_code
        raise RefusedError(answer.json()["error"])


def _questions() -> list[bytes]:
    one = {"model": 0, "source": LINES[0], "reference": LINES[1], "parameters": {"lam": 0.5}}
    return [json.dumps(one).encode(), json.dumps({"source": "a"}).encode()]


CORPUS = ("corpus.",)
TARGETS: dict[str, Target] = {
    "lines": Target(lambda: [_text(), b"a\r\nb\r\n"], partial(_plain, ""), CORPUS),
    "lines, gz": Target(lambda: [_text()], partial(_plain, ".gz"), CORPUS, gzip.compress),
    "lines, bz2": Target(lambda: [_text()], partial(_plain, ".bz2"), CORPUS, bz2.compress),
    "lines, xz": Target(lambda: [_text()], partial(_plain, ".xz"), CORPUS, lzma.compress),
    "tsv": Target(_tsv, partial(_corpus, "corpus.tsv"), CORPUS),
    "tsv with names": Target(
        _tsv, partial(_corpus, "corpus.tsv", source_column="source", target_column="n"), CORPUS
    ),
    "json lines": Target(_json_lines, partial(_corpus, "corpus.jsonl"), CORPUS),
    "sgml": Target(_segments, partial(_plain, ".sgm"), CORPUS),
    "alignments": Target(_links, _alignments, ("corpus.", "data.test: example")),
    "word vectors": Target(_vector_seeds, partial(_vectors, "words.vec"), ("words.vec",)),
    "word vectors, gz": Target(
        _vector_seeds, partial(_vectors, "words.vec.gz"), ("words.vec.gz",), gzip.compress
    ),
    "words.json": Target(_word_seeds, _words, ("words.json",)),
    "subwords.model": Target(_subword_seeds, _subwords, ("subwords.model",)),
    "config.yaml": Target(
        lambda: [_checkpoint(n)["config.yaml"] for n in (0, 1)],
        partial(_load, "config.yaml"),
        ("config.yaml", "safetensors", "checkpoint", "max_length"),
    ),
    "a checkpoint's corpus": Target(
        _corpora,
        _corpus_of_checkpoint,
        ("config.yaml", "data.", "data/", "corpus", "toy ", "checkpoint"),
    ),
    "a cache entry": Target(_cache_entries, _cache_entry, ("pairs.tsv", "cache")),
    "model.safetensors": Target(
        lambda: [_checkpoint(n)["model.safetensors"] for n in (0, 1)],
        partial(_load, "model.safetensors"),
        ("model.safetensors",),
    ),
    "input lines": Target(lambda: [_text(), "\n".join(ODD).encode()], _input, ("input",)),
    "hypotheses": Target(lambda: [_text()], _scored, ("hypotheses",)),
    "metrics.json": Target(
        lambda: [files["metrics.json"] for files in _run_files().values()],
        partial(_result, "metrics.json"),
        ("/bad",),
    ),
    "training.json": Target(
        lambda: [files["training.json"] for files in _run_files().values()],
        partial(_result, "training.json"),
        ("/bad",),
    ),
    "run's config.yaml": Target(
        lambda: [files["config.yaml"] for files in _run_files().values()],
        partial(_result, "config.yaml"),
        ("/bad", "by="),
    ),
    "run's outputs": Target(
        lambda: [files["hypotheses.test.txt"] for files in _run_files().values()],
        partial(_result, "hypotheses.test.txt"),
        ("/bad",),
    ),
    "run's example scores": Target(
        lambda: [files["example_scores.test.jsonl"] for files in _run_files().values()],
        partial(_result, "example_scores.test.jsonl"),
        ("/bad",),
    ),
    "archive, tar": Target(lambda: _tar("w"), partial(_unpacked, ".tar"), ("archive.tar",)),
    "archive, tar.gz": Target(
        lambda: _tar("w"), partial(_unpacked, ".tar.gz"), ("archive.tar",), gzip.compress
    ),
    "archive, zip": Target(_zip, partial(_unpacked, ".zip"), ("archive.zip",)),
    "questions": Target(_questions, _asked, ()),
}
