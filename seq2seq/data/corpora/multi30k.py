"""Multi30k: 29,000 image captions in English, German, French and Czech (task 1, raw text)."""

from __future__ import annotations

from pathlib import Path

from datasets import DatasetDict

from seq2seq.data.corpora.corpus import likely_folders
from seq2seq.data.corpora.text import Text
from seq2seq.system.errors import DataError

LANGUAGES = ("en", "de", "fr", "cs")
FURTHER_TESTS = ("test_2017_flickr", "test_2017_mscoco", "test_2018_flickr")
SUFFIXES = (".gz", "")
LAYOUTS = ("raw", "data/task1/raw", "task1/raw", ".")
UPSTREAM = (
    "https://github.com/multi30k/dataset/tree/a3d2e0d26b56f3846f66a952536ffed4e401d05a/"
    "data/task1/raw"
)


class Multi30k:
    """Multi30k in a local folder; `scripts/prepare_multi30k.py` downloads it.

    Splits: train, validation, test (test_2016_flickr). Also test_2017_flickr, test_2017_mscoco and
    test_2018_flickr, if the folder has them in both languages.

    Args:
        root: folder with the files `train.en.gz`, …, in it or in `raw/` or `data/task1/raw/`; None:
            `data/multi30k`, or `multi30k` in the cache folder.
        source_language: en, de, fr or cs.
        target_language: another one of these.
        cache_folder: cache folder for the checked texts; None: the default folder.
    """

    name = "multi30k"

    def __init__(
        self,
        root: str | Path | None = None,
        source_language: str = "en",
        target_language: str = "de",
        *,
        cache_folder: str | Path | None = None,
    ) -> None:
        for side, language in (("source", source_language), ("target", target_language)):
            if language not in LANGUAGES:
                raise DataError(
                    f"data.{side}_language={language} is none of Multi30k's {', '.join(LANGUAGES)}"
                )
        if source_language == target_language:
            raise DataError(
                f"data.source_language and data.target_language are both {source_language}; "
                "change one of them"
            )
        self.source_language, self.target_language = source_language, target_language
        other = next(x for x in LANGUAGES[1:] if x not in (source_language, target_language))
        self.next_step = (
            f"another language: data=multi30k data.target_language={other}, "
            "or your own files: data=text"
        )
        self._cache = cache_folder
        self._roots = likely_folders(self.name, root, cache_folder)

    def load(self) -> DatasetDict:
        """Return the splits.

        Raises:
            DataError: if a file is missing or damaged.
        """
        folder = self._folder()
        further = {
            name: self._pair(folder, name)
            for name in FURTHER_TESTS
            if all(_find(folder, name, x) for x in (self.source_language, self.target_language))
        }
        corpus = Text(
            train=self._pair(folder, "train"),
            validation=self._pair(folder, "val"),
            test=self._pair(folder, "test_2016_flickr"),
            tests=further,
            source_language=self.source_language,
            target_language=self.target_language,
            cache_folder=self._cache,
        )
        return corpus.load()

    def _folder(self) -> Path:
        for root in self._roots:
            for layout in LAYOUTS:
                if _find(root / layout, "train", self.source_language):
                    return root / layout
        raise DataError(self._missing(self._roots[0] / "raw", "train", self.source_language))

    def _pair(self, folder: Path, split: str) -> dict[str, Path]:
        paths = {}
        for side in ("source", "target"):
            language = getattr(self, f"{side}_language")
            path = _find(folder, split, language)
            if path is None:
                raise DataError(self._missing(folder, split, language))
            paths[side] = path
        return paths

    def _missing(self, folder: Path, split: str, language: str) -> str:
        looked = " and ".join(str(root.absolute()) for root in self._roots)
        languages = f"{self.source_language},{self.target_language}"
        return (
            f"Multi30k is not complete in {looked}: there is no {split}.{language}.gz. "
            f"Download it with `python scripts/prepare_multi30k.py --languages {languages} --root "
            f"{self._roots[0]}`, or put {{train,val,test_2016_flickr}}.{{{languages}}}.gz from "
            f"{UPSTREAM} into {folder.absolute()}; set data.root for another folder"
        )


def _find(folder: Path, split: str, language: str) -> Path | None:
    candidates = (folder / f"{split}.{language}{suffix}" for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)
