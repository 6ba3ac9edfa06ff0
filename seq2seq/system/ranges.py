"""The range of every configuration key that has one, for the command line and for checkpoints."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HUGE = 2**62  # larger whole numbers overflow somewhere


@dataclass(frozen=True)
class Range:
    """The values that a key may have.

    Attributes:
        kind: ``int``, ``float`` or ``bool``; a float may be given as a whole number.
        least: the least value; None: any.
        most: the largest value; None: any.
        null: whether the key may be ``null``.
        excluded: whether ``least`` itself is excluded.
        word: a text that is allowed too; None: none.
    """

    kind: type
    least: float | None = None
    most: float | None = None
    null: bool = False
    excluded: bool = False
    word: str | None = None

    def holds(self, value: Any) -> bool:
        """Return whether a value is allowed."""
        if value is None:
            return self.null
        if self.word is not None and value == self.word:
            return True
        if type(value) not in ((float, int) if self.kind is float else (self.kind,)):
            return False
        if self.least is not None and (
            value < self.least or (self.excluded and value == self.least)
        ):
            return False
        if self.kind is int and abs(value) > HUGE:
            return False
        return math.isfinite(value) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        """Return what is allowed, in words."""
        text = NAMES[self.kind]
        if self.least is not None:
            text += f" above {self.least:g}" if self.excluded else f" of at least {self.least:g}"
        if self.most is not None:
            text += f"{' and' if self.least is not None else ' of'} at most {self.most:g}"
        text += f" or {self.word}" if self.word is not None else ""
        return text + (" or null" if self.null else "")


@dataclass(frozen=True)
class Text:
    """Text, or a list of texts.

    Attributes:
        null: whether the key may be ``null``.
        listed: whether it may be a list of texts.
        flag: whether it may be ``true`` or ``false``.
    """

    null: bool = False
    listed: bool = False
    flag: bool = False

    def holds(self, value: Any) -> bool:
        """Return whether a value is allowed."""
        if self.listed and isinstance(value, list):
            return all(isinstance(item, str) for item in value)
        if self.flag and isinstance(value, bool):
            return True
        return isinstance(value, str) or (self.null and value is None)

    def __str__(self) -> str:
        """Return what is allowed, in words."""
        more = [" or a list of texts"] * self.listed + [" or true or false"] * self.flag
        return f"text{''.join(more)}{' or null' * self.null}"


NAMES: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a path",
    type(None): "null",
    list: "a list",
    dict: "a mapping of names to values",
}

POSITIVE = Range(int, 1)
COUNT = Range(int, 0)
LIMIT = Range(int, 1, null=True)
SHARE = Range(float, 0, 1)
FLAG = Range(bool)
NOT_NEGATIVE = Range(float, 0)
ABOVE_ZERO = Range(float, 0, excluded=True)
TEXT = Text()
OPTIONAL = Text(null=True)
TEXTS = Text(listed=True)
OPTIONAL_TEXTS = Text(null=True, listed=True)

#: Ranges by key. A key matches if it ends in one of these, at a dot.
KEYS: dict[str, Range | Text] = {
    "alignments": Text(null=True, flag=True),  # a file of seq2seq-translate
    "attention.per": TEXT,
    "baseline": OPTIONAL_TEXTS,
    "batch_tokens": POSITIVE,
    "buffer": POSITIVE,
    "by": OPTIONAL_TEXTS,
    "checkpoint": TEXTS,
    "columns": OPTIONAL_TEXTS,
    "data.batch.max_sentences": LIMIT,
    "data.batch.num_workers": COUNT,
    "data.batch.tokens": POSITIVE,
    "data.cache": OPTIONAL,
    "data.corpus.denied_share": SHARE,
    "data.corpus.held_out_share": SHARE,
    "data.corpus.test_size": POSITIVE,
    "data.corpus.train_size": POSITIVE,
    "data.corpus.validation_size": POSITIVE,
    "data.filters.copies": FLAG,
    "data.filters.duplicates": FLAG,
    "data.filters.max_length": LIMIT,
    "data.filters.max_ratio": Range(float, 1, null=True),
    "data.filters.min_length": LIMIT,
    "data.filters.non_text": FLAG,
    "data.filters.unit": TEXT,
    "data.limits.max_source_length": LIMIT,
    "data.limits.max_target_length": LIMIT,
    "data.processes": LIMIT,
    "data.split": TEXT,
    "data.subwords.byte_fallback": FLAG,
    "data.subwords.character_coverage": Range(float, 0, 1, excluded=True),
    "data.subwords.joint": FLAG,
    "data.subwords.kind": TEXT,
    "data.subwords.lowercase": FLAG,
    "data.subwords.min_frequency": POSITIVE,
    "data.subwords.most_sentences": COUNT,
    "data.subwords.normalization": TEXT,
    "data.subwords.sampling.alpha": Range(float, 0, null=True),
    "data.subwords.sampling.nbest": Range(int, -1),
    "data.subwords.seed": COUNT,
    "data.subwords.size": POSITIVE,
    "data.subwords.source_model": OPTIONAL,
    "data.subwords.target_model": OPTIONAL,
    "data.subwords.tokenizer": TEXT,
    "data.training.max_steps": Range(int, -1),
    "data.training.validate_every_n_steps": POSITIVE,
    "data.validation_share": Range(float, 0, 1, null=True, excluded=True),
    "debug": FLAG,
    "device": TEXT,
    "ema.decay": Range(float, 0, 1, null=True, excluded=True),
    "format": TEXT,
    "header": FLAG,
    "heat_maps": COUNT,
    "hypotheses": OPTIONAL,
    "init.checkpoint": OPTIONAL,
    "init.extend_vocabulary": FLAG,
    "init.freeze": TEXTS,
    "input": TEXT,
    "level": Range(float, 0, 1, excluded=True),
    "license": OPTIONAL,
    "loss.coverage": NOT_NEGATIVE,
    "loss.label_smoothing": SHARE,
    "loss.r_drop": NOT_NEGATIVE,
    "max_source_length": POSITIVE,
    "model.attention_dropout": SHARE,
    "model.decoder_layers": POSITIVE,
    "model.dropout": SHARE,
    "model.embedding_size": POSITIVE,
    "model.encoder_layers": POSITIVE,
    "model.feedforward_size": POSITIVE,
    "model.heads": POSITIVE,
    "model.hidden_size": POSITIVE,
    "model.max_length": LIMIT,
    "model.size": POSITIVE,
    "name": OPTIONAL,
    "on_error": TEXT,
    "optimizer.eps": NOT_NEGATIVE,
    "optimizer.lr": NOT_NEGATIVE,
    "optimizer.weight_decay": NOT_NEGATIVE,
    "output": OPTIONAL_TEXTS,
    "port": Range(int, 0, 65_535),
    "prefix": OPTIONAL,
    "private": FLAG,
    "references": OPTIONAL_TEXTS,
    "resume": OPTIONAL,
    "return_attention": OPTIONAL,
    "runs": TEXTS,
    "samples": LIMIT,
    "schedule.factor": SHARE,
    "schedule.min_lr": NOT_NEGATIVE,
    "schedule.patience": COUNT,
    "schedule.warmup_steps": COUNT,
    "search.alpha": Range(float),
    "search.beam_size": POSITIVE,
    "search.coverage": NOT_NEGATIVE,
    "search.diversity": NOT_NEGATIVE,
    "search.groups": POSITIVE,
    "search.max_length": LIMIT,
    "search.max_length_ratio": NOT_NEGATIVE,
    "search.min_length": COUNT,
    "search.min_length_ratio": NOT_NEGATIVE,
    "search.n_best": POSITIVE,
    "search.no_repeat_ngram": COUNT,
    "search.temperature": ABOVE_ZERO,
    "search.top_k": COUNT,
    "search.top_p": Range(float, 0, 1, excluded=True),
    "seed": COUNT,
    "sentences": LIMIT,
    "serve": FLAG,
    "split": OPTIONAL_TEXTS,
    "statistics": FLAG,
    "survival.max_bad_updates": Range(int, 0, null=True),
    "test.split": OPTIONAL_TEXTS,
    "to": TEXT,
    "trainer.accumulate_grad_batches": POSITIVE,
    "trainer.gradient_clip_val": Range(float, 0, null=True),
    "trainer.log_every_n_steps": POSITIVE,
    "trainer.max_epochs": Range(int, -1, null=True),
    "trainer.max_steps": Range(int, -1),
    "trainer.num_nodes": Range(int, 1, word="auto"),
    "trust": TEXTS,
    "validation.average": FLAG,
    "validation.every_n_steps": POSITIVE,
    "validation.heat_maps": COUNT,
    "validation.keep_best": POSITIVE,
    "validation.monitor": OPTIONAL,
    "validation.patience": LIMIT,
    "validation.sentences": LIMIT,
}


def range_of(key: str) -> Range | Text | None:
    """Return what ``KEYS`` says of a key; None: nothing."""
    parts = key.split(".")
    for first in range(len(parts)):
        name = ".".join(parts[first:])
        if name in KEYS and (first == 0 or "." in name):
            return KEYS[name]
    return None


def out_of_range(node: Any, key: str) -> Iterator[tuple[str, Any, Range | Text]]:
    """Yield key, value and range of every value in a plain configuration that is out of its range.

    Args:
        node: a value of the configuration; mappings are searched.
        key: its dotted key.
    """
    allowed = range_of(key)
    if allowed is not None and not allowed.holds(node):
        yield key, node, allowed
    elif isinstance(node, dict):
        for name, value in node.items():
            yield from out_of_range(value, f"{key}.{name}")
