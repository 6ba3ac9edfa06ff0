"""Create small versions of the files that the pages name, in their published layouts."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from commands import forked

PAIRS = [(f"a small dog number {k} runs", f"ein kleiner Hund Nummer {k} rennt") for k in range(40)]
SPLITS = ("train", "dev", "test")
LABELS = ("entailment", "neutral", "contradiction")
LABELED = [(LABELS[k % 3], f"A man number {k} runs.", f"A man moves {k}.") for k in range(30)]

# The runs of the placeholders RUN and RUN2, by what the command that names them asks for.
TINY = (
    *("trainer.max_steps=4", "validation.every_n_steps=2", "validation.heat_maps=0"),
    *("trainer.accelerator=cpu", "model.hidden_size=16", "model.embedding_size=16"),
    *("data.corpus.train_size=200", "data.corpus.validation_size=8", "data.corpus.test_size=8"),
)
FEW_SUBWORDS = ("data.subwords.size=400",)
RUNS = {
    "translation": (*TINY, *FEW_SUBWORDS),
    "translation, fusedmax": (*TINY, *FEW_SUBWORDS, "attention=fusedmax"),
    "summarization": (*TINY, *FEW_SUBWORDS, "task=summarization"),
    "entailment": (*TINY, "task=entailment"),
    "entailment, sparsemax": (*TINY, "task=entailment", "attention=sparsemax"),
    "multi30k": (
        *(*TINY[:6], "data=multi30k", "data.root=DIR"),
        *("data.subwords.size=60", "data.subwords.byte_fallback=false"),
    ),
}
SECOND = {
    "translation": "translation, fusedmax",
    "entailment": "entailment, sparsemax",
}
ASKED = {
    "seq2seq-predict": "entailment",
    "data=snli": "entailment",
    "data=duc2004": "summarization",
    "data.split=test_2017_flickr": "multi30k",
    "data=multi30k": "multi30k",
}


class Files:
    """Makes what a command names, in its folder; runs are trained once and copied."""

    def __init__(self, trained: Path) -> None:
        self.trained = trained

    def __call__(self, folder: Path, words: Sequence[str]) -> None:
        """Make every file of ``MADE`` that the words name and that is not there."""
        line = " ".join(words)
        for name, make in MADE.items():
            if re.search(rf"(?<![\w/.-]){re.escape(name)}(?![\w.-])", line):
                self._missing(folder / name, make)
        for name, (place, make) in DEFAULT_ROOTS.items():
            if re.search(rf"=(niculae2017_)?{name}(?!-)(_|\b)", line):
                self._missing(folder / place, make)
        kind = next((kind for word, kind in ASKED.items() if word in words), "translation")
        self.runs(folder, kind, line)

    def runs(self, folder: Path, kind: str, line: str) -> None:
        """RUN, RUN2 and folders of runs, of a kind."""
        if re.search(r"\bRUN\b", line):
            self._run(folder / "RUN", kind)
        if re.search(r"\bRUN2\b", line):
            self._run(folder / "RUN2", SECOND.get(kind, kind))
        for place in re.findall(r"runs/[\w/]+/2026-[\d_-]*…?", line):
            kind = "entailment" if "entailment" in place else "translation"
            if not place.endswith("…"):
                self._run(folder / place, kind)
                continue
            self._run(folder / place / "0", kind)  # a sweep's
            self._run(folder / place / "1", SECOND[kind])

    def _run(self, place: Path, kind: str) -> None:
        """Copy a run; replace an earlier copy, which may be of another kind."""
        mark = place / ".kind"
        if place.exists() and mark.exists() and mark.read_text() == kind:
            return
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self._trained(kind), place)
        mark.write_text(kind)

    def _trained(self, kind: str) -> Path:
        run = self.trained / kind
        if not run.is_dir():
            self.trained.mkdir(exist_ok=True)
            corpora(self.trained / "DIR")
            corpus = f"data.root={self.trained / 'DIR'}"  # from wherever the run is evaluated
            given = [corpus if text == "data.root=DIR" else text for text in RUNS[kind]]
            arguments = [*given, f"hydra.run.dir='{kind}'"]
            result = forked("train", *arguments, cwd=self.trained)
            assert result.returncode == 0, result.stdout + result.stderr
        return run

    @staticmethod
    def _missing(path: Path, make: Callable[[Path], None]) -> None:
        there = path.is_file() or any(found.is_file() for found in path.rglob("*"))
        if not there:  # scripts that get no corpus leave empty folders
            path.parent.mkdir(parents=True, exist_ok=True)
            make(path)


def write(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def side(number: int) -> Callable[[Path], None]:
    return lambda path: write(path, (pair[number] for pair in PAIRS))


def table(*rows: Sequence[str]) -> Callable[[Path], None]:
    return lambda path: write(path, ("\t".join(row) for row in rows))


def spreadsheet(
    *columns: str, pairs: Iterable[tuple[str, str]] = PAIRS, separator: str = ","
) -> Callable[[Path], None]:
    """Return a table with every field quoted."""
    rows = [columns, *(("; ".join([a, '""so""']), b) for a, b in pairs)]
    return lambda path: write(path, (separator.join(f'"{x}"' for x in row) for row in rows))


def articles(path: Path) -> None:
    records = [{"text": a, "summaries": [b, a]} for a, b in PAIRS]
    write(path, [json.dumps([*records, {"text": None, "summaries": []}], indent=1)])


def test_set(path: Path) -> None:
    sides = [
        "".join(f'<seg id="{k}">{pair[number]}</seg>\n' for k, pair in enumerate(PAIRS))
        for number in (0, 1)
    ]
    sides = [f"<src>{sides[0]}</src>", f'<ref translator="A">{sides[1]}</ref>']
    write(path, ['<dataset><doc id="a">', *sides, "</doc></dataset>"])


def translations(path: Path) -> None:
    write(path, (json.dumps({"translation": {"en": a, "de": b}}) for a, b in PAIRS))


def corpora(folder: Path) -> None:
    """Create a folder with every corpus that has ``data.root``."""
    for split in ("train", "val", "test_2016_flickr", "test_2017_flickr"):
        for number, language in enumerate(("en", "de")):
            side(number)(folder / f"{split}.{language}.gz")
        side(1)(folder / f"{split}.fr.gz")
    for split in ("train", "valid", "test"):
        side(0)(folder / f"{split}.article.gz")
        side(1)(folder / f"{split}.title.gz")
    names = ("gold_label", "sentence1", "sentence2")
    records = [json.dumps(dict(zip(names, row, strict=True))) for row in LABELED]
    for split in ("train", "dev", "test"):
        write(folder / f"snli_1.0_{split}.jsonl", records)
    for split in ("train", "dev_matched", "dev_mismatched"):
        write(folder / f"multinli_1.0_{split}.jsonl", records)
    for split in ("train", "dev", "test"):
        for part in ("revised_combined", "original"):
            write(folder / f"{part}.{split}.tsv", ("\t".join(row) for row in LABELED))
    header = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment"
    for split in ("train", "trial", "test_annotated"):
        rows = [f"1\t{a}\t{b}\t4.5\t{label.upper()}" for label, a, b in LABELED]
        write(folder / f"SICK_{split}.txt", [header, *rows])
    duc(folder)


def duc(folder: Path) -> None:
    side(0)(folder / "input.txt")
    for number in range(4):
        side(1)(folder / f"task1_ref{number}.txt")


def texts(*suffixes: str) -> Callable[[Path], None]:
    """Plain texts of three splits, as the scripts that get corpora lay them out."""

    def make(folder: Path) -> None:
        for split in ("train", "validation", "test"):
            for number, suffix in enumerate(suffixes):
                side(number)(folder / f"{split}.{suffix}")

    return make


def wmt(folder: Path) -> None:
    for number, language in enumerate(("fr", "en")):
        side(number)(folder / f"train/training/europarl-v7.fr-en.{language}")
        side(number)(folder / f"dev/newstest2013.{language}")
        rows = [f'<seg id="{k}">{pair[number]}</seg>' for k, pair in enumerate(PAIRS)]
        for kind in ("src", "ref"):
            write(folder / f"test-full/newstest2014-fren-{kind}.{language}.sgm", ["<doc>", *rows])


def hub(folder: Path) -> None:
    """Write a dataset as on the hub, which `datasets` reads from a folder of its name."""
    splits = ("train", "validation", "test")
    for split in splits:
        translations(folder / "de-en" / f"{split}.jsonl")
    data_files = [{"split": split, "path": f"de-en/{split}.jsonl"} for split in splits]
    card = {"configs": [{"config_name": "de-en", "data_files": data_files}]}
    write(folder / "README.md", ["---", *json.dumps(card, indent=1).splitlines(), "---"])


def reuters(folder: Path) -> None:
    stories = []
    for number, mill in enumerate(("alpha", "bravo", "delta", "gamma", "kappa", "sigma")):
        stories.append(
            f'<REUTERS TOPICS="NO" LEWISSPLIT="TRAIN" OLDID="1" NEWID="{number + 10}">\n'
            "<DATE>26-FEB-1987</DATE>\n<UNKNOWN>&#5;&#5;</UNKNOWN>\n<TEXT>&#2;\n"
            f"<TITLE>ACME MILLS &lt;ACM> SELLS MILL {mill}</TITLE>\n"
            "<DATELINE>    TOWN, Feb 26 - </DATELINE><BODY>Acme Mills Inc\nsaid it sold mill "
            f"{mill} for 1.5 mln dlrs. It was old.\n    The mill makes paper.\n Reuter\n"
            "&#3;</BODY></TEXT>\n</REUTERS>"
        )
    write(folder / "reut2-000.sgm", ['<!DOCTYPE lewis SYSTEM "lewis.dtd">', *stories])


def reuters_archive(path: Path) -> None:
    folder = path.with_name("sgm")
    reuters(folder)
    shutil.make_archive(str(path).removesuffix(".tar.gz"), "gztar", folder)


def vectors(size: int) -> Callable[[Path], None]:
    words = {word for row in LABELED for text in row[1:] for word in text.lower().split()}
    lines = [f"{word} " + " ".join(["0.1"] * size) for word in sorted(words)]
    return lambda path: write(path, lines)


MADE: dict[str, Callable[[Path], None]] = {
    "wiki.en.vec": vectors(16),
    "DIR": corpora,
    "DUC": duc,
    "NLI": corpora,
    "FOLDER_OR_ARCHIVE": corpora,
    "reuters21578.tar.gz": reuters_archive,
    "glove.840B.300d.txt": vectors(300),
    "vectors.txt": vectors(384),
    **{f"{split}.en": side(0) for split in SPLITS},
    **{f"{split}.de": side(1) for split in SPLITS},
    "mono.de": side(1),
    "a.txt": side(1),
    "b.txt": side(1),
    "c.txt": side(1),
    "out.txt": side(1),
    **{f"{split}.tsv": table(("en", "de"), *PAIRS) for split in SPLITS},
    "mine.tsv": table(*PAIRS),
    "sheet.csv": spreadsheet("en", "de"),
    "first.tsv": spreadsheet("en", "de", separator="\t"),
    "second.tsv": spreadsheet("en", "de", separator="\t"),
    "articles.json": articles,
    "newstest2021.en-de.xml": test_set,
    "talks.csv": spreadsheet(
        "en", "ja", pairs=[(a, f"小さい犬{k}が走る") for k, (a, _) in enumerate(PAIRS)]
    ),
    "persian.tsv": table(
        ("fa", "en"), *((f"سگ {k} می\u200cدود", a) for k, (a, _) in enumerate(PAIRS))
    ),
    **{f"pairs-{split}.tsv": table(*LABELED) for split in SPLITS},
    "part*.jsonl.gz": lambda path: translations(path.with_name("part1.jsonl.gz")),
    "news.jsonl": translations,
    "dev.jsonl": translations,
    "Helsinki-NLP/opus-100": hub,
    "Helsinki-NLP/opus_books": hub,
}
# Read by the shell, so they are there before any command is.
READ_BY_THE_SHELL = {
    ".venv/bin/activate": lambda path: write(path, []),
    "source.txt": side(0),
    **{f"train.{language}": side(number) for number, language in enumerate(("en", "de"))},
    "pairs.tsv": lambda path: write(path, ("\t".join(row[1:]) for row in LABELED)),
    "beginnings.txt": lambda path: write(path, ["" for _ in PAIRS]),
}
# Where a corpus lies when no key says where, by its name in a command.
DEFAULT_ROOTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    **{name: (f"data/{name}", corpora) for name in ("multi30k", "gigaword", "reuters", "sick")},
    **{name: (f"data/{name}", corpora) for name in ("snli", "multinli", "snli_cad")},
    "iwslt14_de_en": ("data/iwslt14_de_en", texts("de", "en")),
    "wmt14_fr_en": ("data/wmt14_fr_en", wmt),
    "opus": ("data/opus/Europarl/de-en", texts("de", "en")),
}
