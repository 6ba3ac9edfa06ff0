"""Use a trained model from Python: :func:`load` returns a :class:`TrainedModel`."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from seq2seq.checkpoint import Checkpoint, load_checkpoints, trust
from seq2seq.checkpoint.device import choose_device
from seq2seq.data.batch import BOS_ID, EOS_ID, PAD_ID, Batch
from seq2seq.evaluation.alignment import format_pharaoh, hard_alignment, links, word_attention
from seq2seq.evaluation.evaluation import AttentionMap
from seq2seq.models.attending import evaluating
from seq2seq.search import Beam, Greedy, Sample, Search
from seq2seq.search.distribution import log_probabilities
from seq2seq.system.errors import DataError
from seq2seq.tasks.attention_map import attention_map
from seq2seq.tasks.text_batches import text_batches
from seq2seq.tasks.writer import Writer, Written

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEARCHES: dict[str, type[Search]] = {"beam": Beam, "greedy": Greedy, "sample": Sample}


@dataclass(frozen=True)
class Attention:
    """Where a model looked. In a notebook it shows itself as a heat map.

    Attributes:
        source: the pieces or words that the model looked at.
        target: the pieces or words from which it looked.
        weights: ``[layer, head, target, source]`` float32, on the CPU.
    """

    source: list[str]
    target: list[str]
    weights: Tensor

    def mean(self) -> Tensor:
        """Return the weights ``[target, source]``, averaged over layers and heads."""
        return self.weights.mean(dim=(0, 1))

    def links(self, threshold: float = 1.0) -> set[tuple[int, int]]:
        """Return ``(source, target)`` pairs: each target with the sources of the largest weight.

        Args:
            threshold: also link weights of at least this share of the largest one; in (0, 1].
        """
        return links(hard_alignment(self.mean(), threshold))

    def plot(self, path: str | Path | None = None, *, heads: bool = False) -> Figure:
        """Draw a heat map; weights that are exactly 0 are white.

        Args:
            path: file to write, for example ``map.png`` or ``map.svg``; None: none.
            heads: whether to draw every layer and head; otherwise their mean.
        """
        from seq2seq.evaluation.figures import attention_heat_map  # imports matplotlib

        weights = self.weights if heads else self.mean()
        figure = attention_heat_map(weights, self.source, self.target)
        if path is not None:
            figure.savefig(path)
        return figure

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.plot().savefig(file, format="png")
        return file.getvalue()


@dataclass(frozen=True)
class Output:
    """A text that a model wrote.

    Attributes:
        text: the text.
        score: the log-probability with all penalties, by which outputs are ranked.
        log_probability: the log-probability of the text, given the source and the prefix.
        tokens: the pieces of the text, with the end of the sentence.
        attention: where the model looked, by piece; None unless requested.
        word_attention: the same by word: weights are summed over the pieces of a source word, and
            averaged over those of a target word. The end of the sentence is left out.
        alternatives: the other outputs of the search, best first (``n_best``).
    """

    text: str
    score: float
    log_probability: float
    tokens: list[str]
    attention: Attention | None = None
    word_attention: Attention | None = None
    alternatives: tuple[Output, ...] = ()

    @property
    def alignment(self) -> str:
        """Return the word alignment in Pharaoh format: ``0-0 1-2``, source first.

        Raises:
            ValueError: if the output has no attention.
        """
        if self.word_attention is None:
            raise ValueError("alignment needs attention; pass return_attention=True")
        return format_pharaoh(self.word_attention.links())


@dataclass(frozen=True)
class Score:
    """How probable a target is, given its source.

    Attributes:
        log_probability: log p(target | source), the sum over tokens. As in a search, padding and
            the beginning of the sentence have no probability.
        tokens: the pieces of the target, with the end of the sentence.
        token_log_probabilities: the log-probability of each.
        attention: where the model looked while it read the target; None unless requested.
        word_attention: the same by word.
    """

    log_probability: float
    tokens: list[str]
    token_log_probabilities: list[float]
    attention: Attention | None = None
    word_attention: Attention | None = None


@dataclass(frozen=True)
class Prediction:
    """The label of a pair of sentences.

    Attributes:
        label: the most probable label.
        probabilities: the probability of each label.
    """

    label: str
    probabilities: dict[str, float]


def load(
    checkpoint: str | Path | Sequence[str | Path],
    *,
    device: str | torch.device = "auto",
    dtype: torch.dtype | None = None,
    trusted: Sequence[str] = (),
) -> TrainedModel:
    """Load a trained model, or several of one vocabulary as an ensemble.

    Args:
        checkpoint: a run folder (its best checkpoint), a checkpoint directory, or
            ``hub:OWNER/NAME[@REVISION]``; a list: an ensemble.
        device: ``auto``: the first CUDA device, or the CPU without one.
        dtype: type of the weights, for example ``torch.bfloat16``; None: as saved.
        trusted: your own packages whose classes the checkpoint may name; their code is run.

    Raises:
        CheckpointError: a ``ValueError`` that names the file and what is wrong with it.
        ValueError: if the device does not exist.
    """
    trust(list(trusted))
    place = choose_device(str(device))
    several = not isinstance(checkpoint, str | Path)
    loaded = load_checkpoints(list(checkpoint) if several else checkpoint, place)  # type: ignore[arg-type]
    if dtype is not None:
        loaded.model.to(dtype)
    return TrainedModel(loaded, place)


class TrainedModel:
    """A trained model with its vocabularies and its task.

    Args:
        checkpoint: what was loaded.
        device: where its model is.

    Attributes:
        model: the ``nn.Module``.
        task: what it does, such as a ``Translation``.
    """

    def __init__(self, checkpoint: Checkpoint, device: torch.device) -> None:
        self.checkpoint, self.device = checkpoint, device
        self.model: Any = checkpoint.model
        self.task = checkpoint.task

    def __repr__(self) -> str:
        """Return task, model and number of parameters."""
        number = sum(parameter.numel() for parameter in self.model.parameters())
        kinds = f"{type(self.task).__name__}, {type(self.model).__name__}"
        return f"<{type(self).__name__}: {kinds}, {number:,} parameters on {self.device}>"

    def translate(
        self,
        texts: Sequence[str],
        *,
        search: str | Search = "beam",
        n_best: int = 1,
        prefixes: Sequence[str] | None = None,
        return_attention: bool = False,
        batch_tokens: int = 4096,
        progress: bool = False,
        **options: Any,
    ) -> list[Output]:
        """Write a translation or a headline for each text.

        Args:
            texts: the source texts.
            search: ``beam``, ``greedy``, ``sample``, or a search of :mod:`seq2seq.search`.
            n_best: number of outputs for each text; all but the best are its ``alternatives``.
            prefixes: a text that each output begins with.
            return_attention: whether the outputs contain their attention.
            batch_tokens: maximum number of subwords in a batch, including padding.
            progress: whether to show a progress bar.
            options: of the search, for example ``beam_size=10``; see :class:`seq2seq.search.Beam`.

        Raises:
            ValueError: if the model writes no text, an option is wrong, or a text is too long.
        """
        if not self.task.searches:
            raise ValueError(f"a model of {type(self.task).__name__} writes no text; use predict()")
        check_texts(texts=texts, prefixes=prefixes)
        self._check_lengths(source=texts)
        writer = Writer(
            self.model,
            self.checkpoint.subwords,
            _search(search, n_best, options),
            return_attention=return_attention,
        )
        results = writer.write_texts(
            texts,
            prefixes,
            batch_tokens=batch_tokens,
            device=self.device,
            progress=_bar if progress else iter,
        )
        return [self.output(text, written) for text, written in zip(texts, results, strict=True)]

    def output(self, text: str, written: Sequence[Written]) -> Output:
        """Return what the model wrote for a text, the best first, as one output."""
        best, *others = [self._output(text, one) for one in written]
        return replace(best, alternatives=tuple(others))

    def score(
        self,
        sources: Sequence[str],
        targets: Sequence[str],
        *,
        return_attention: bool = False,
        batch_tokens: int = 4096,
        progress: bool = False,
    ) -> list[Score]:
        """Return how probable each target is, given its source.

        Args:
            sources: the source texts.
            targets: a target for each source.
            return_attention: whether the scores contain the attention over the target.
            batch_tokens: maximum number of subwords in a batch, including padding.
            progress: whether to show a progress bar.

        Raises:
            ValueError: if the model writes no text, the numbers of sources and targets differ, or a
                text is too long.
        """
        if not self.task.searches:
            raise ValueError(f"a model of {type(self.task).__name__} writes no text; use predict()")
        check_texts(sources=sources, targets=targets)
        if len(sources) != len(targets):
            raise ValueError(f"{len(sources)} sources but {len(targets)} targets; give one each")
        self._check_lengths(source=sources, target=targets)
        scores: dict[int, Score] = {}
        batches = text_batches(self.model, self.checkpoint.subwords, sources, targets, batch_tokens)
        with evaluating(self.model):
            for batch in _bar(batches) if progress else batches:
                scores.update(
                    self._scores(batch.to(self.device), sources, targets, return_attention)
                )
        return [scores[index] for index in range(len(sources))]

    def predict(
        self, pairs: Sequence[tuple[str, str]], *, batch_tokens: int = 4096
    ) -> list[Prediction]:
        """Return the label of each pair of a premise and a hypothesis.

        Args:
            pairs: the pairs of texts.
            batch_tokens: maximum number of subwords in a batch, including padding.

        Raises:
            ValueError: if the model has no labels.
        """
        labels = self.task.labels
        if labels is None:
            raise ValueError(
                f"a model of {type(self.task).__name__} has no labels; use translate() or score()"
            )
        task: Any = self.task
        probabilities = task.predict(
            self.model,
            self.checkpoint.subwords,
            [(premise, hypothesis) for premise, hypothesis in pairs],
            batch_tokens=batch_tokens,
            device=self.device,
        ).tolist()
        return [
            Prediction(labels[row.index(max(row))], dict(zip(labels, row, strict=True)))
            for row in probabilities
        ]

    def _output(self, text: str, written: Written) -> Output:
        best, subwords = written.hypothesis, self.checkpoint.subwords
        tokens = [*best.tokens, EOS_ID]
        pieces = subwords.target.pieces(tokens, text)
        if best.attention is None:
            return Output(written.text, best.score, best.log_probability, pieces)
        seen = attention_map(subwords, text, written.source, tokens, best.attention)
        attention, by_word = _attentions(seen, text, written.text)
        return Output(written.text, best.score, best.log_probability, pieces, attention, by_word)

    def _scores(
        self, batch: Batch, sources: Sequence[str], targets: Sequence[str], attend: bool
    ) -> Iterable[tuple[int, Score]]:
        subwords = self.checkpoint.subwords
        output = self.model(
            batch.source, batch.source_lengths, batch.target_input, return_attention=attend
        )
        forbidden = torch.tensor([PAD_ID, BOS_ID], device=self.device)  # as in a search
        logs = log_probabilities(output.logits, self.model.output_mapping, forbidden)
        chosen = logs.gather(-1, batch.target_output[..., None]).squeeze(-1).double()
        for row, index in enumerate(batch.indices.tolist()):
            source, target = batch.ids(row)
            values = chosen[row, : len(target)].tolist()
            score = Score(sum(values), subwords.target.pieces(target, sources[index]), values)
            if output.attention is not None:
                text, weights = targets[index], output.attention[row]
                seen = attention_map(subwords, sources[index], source, target, weights, text)
                attention, by_word = _attentions(seen, sources[index], text)
                score = replace(score, attention=attention, word_attention=by_word)
            yield index, score

    def too_long(self, **sides: Sequence[str]) -> str | None:
        """Return which text is longer than the model can read; None if none is.

        Args:
            sides: the texts, as ``source`` or ``target``.
        """
        most = self.model.max_length
        if most is None:
            return None
        for side, texts in sides.items():
            ids = getattr(self.checkpoint.subwords, side).encode_batch(list(texts))
            for number, row in enumerate(ids):
                if len(row) >= most:
                    return (
                        f"{side} {number} has {len(row) + 1:,} subwords, the end included, but the "
                        f"model reads at most {most:,}; shorten it ({texts[number]!r:.60})"
                    )
        return None

    def _check_lengths(self, **sides: Sequence[str]) -> None:
        if problem := self.too_long(**sides):
            raise DataError(problem)


def check_texts(**sides: Sequence[str] | None) -> None:
    """Raise `ValueError` if an argument is a single text, or holds anything but texts."""
    for name, texts in sides.items():
        if isinstance(texts, str):
            raise ValueError(f"{name} is one text; give a list of texts: [{texts!r:.60}]")
        for number, text in enumerate(texts or ()):
            if not isinstance(text, str):
                raise ValueError(f"{name}[{number}] is {text!r:.60}, not a text")


def _search(search: str | Search, n_best: int, options: dict[str, Any]) -> Search:
    """Return the search of a name and its options."""
    if isinstance(search, Search):
        if options or n_best != 1:
            raise ValueError("options and n_best belong to a search given by its name")
        return search
    if search not in SEARCHES:
        raise ValueError(f"search={search!r}: choose {', '.join(SEARCHES)}, or pass a search")
    many: dict[str, Any] = {} if n_best == 1 else {"n_best": n_best}
    if many and search == "greedy":
        raise ValueError("search='greedy' finds one output; for n_best, use beam or sample")
    try:
        return SEARCHES[search](**many, **options)
    except TypeError as error:
        raise ValueError(f"search={search!r}: {error}") from error


def _attentions(seen: AttentionMap, source: str, target: str) -> tuple[Attention, Attention]:
    """Return the attention by piece, and by word."""
    weights = word_attention(seen.weights, seen.source_words, seen.target_words)
    return Attention(seen.source, seen.target, seen.weights), Attention(
        _words(source, seen.source, seen.source_words),
        _words(target, seen.target, seen.target_words),
        weights.float(),
    )


def _words(text: str, pieces: Sequence[str], numbers: Sequence[int]) -> list[str]:
    """Return the words of a text by number, as it has them, or else joined from their pieces."""
    count = max(numbers, default=-1) + 1
    words = text.split()
    if len(words) >= count:
        return words[:count]
    joined = [""] * count
    for piece, number in zip(pieces, numbers, strict=True):
        if number >= 0:
            joined[number] += piece.replace("▁", "")
    return joined


def _bar(batches: Iterable[Batch]) -> Iterable[Batch]:
    from rich.progress import track

    return track(batches, "batches", total=len(batches))  # type: ignore[arg-type]
