"""Answer single texts by a trained model, with other parameters of its mapping."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from seq2seq.checkpoint import Checkpoint
from seq2seq.explore.exploration import Answer
from seq2seq.mappings.temporary_parameters import parameters_set
from seq2seq.search import Search


@dataclass(frozen=True)
class Question:
    """A question to a model.

    Attributes:
        model: number of the checkpoint, from 0.
        source: the source text.
        reference: a target text to read, or None.
        parameters: parameters of the mapping of cross-attention, for this question only.
    """

    model: int
    source: str
    reference: str | None = None
    parameters: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Any) -> Question:
        """Build a question from untrusted JSON.

        Raises:
            ValueError: naming what is wrong.
        """
        if not isinstance(given, dict) or set(given) - {*cls.__dataclass_fields__}:
            raise ValueError(f"send an object of {', '.join(cls.__dataclass_fields__)}")
        model, source = given.get("model", 0), given.get("source")
        reference, values = given.get("reference"), given.get("parameters", {})
        if type(model) is not int:
            raise ValueError("model must be an integer")
        if not isinstance(source, str) or not source.strip():
            raise ValueError("source must be a text")
        if not (reference is None or isinstance(reference, str)):
            raise ValueError("reference must be a text, or null")
        if not isinstance(values, dict) or any(
            type(v) not in (int, float) for v in values.values()
        ):
            raise ValueError("parameters must be an object of numbers")
        try:
            f"{source}{reference}".encode()
            numbers = {name: float(value) for name, value in values.items()}
        except UnicodeEncodeError as error:
            raise ValueError("a text has characters that are not Unicode") from error
        except OverflowError as error:
            raise ValueError("a number in parameters is too large") from error
        return cls(model, source, reference or None, numbers)


class Live:
    """The models that answer questions, one at a time.

    Args:
        checkpoints: the models.
        search: search algorithm, for tasks that write text.
        max_length: largest number of subwords; longer texts are cut.
        device: device of the models.
    """

    def __init__(
        self,
        checkpoints: Sequence[Checkpoint],
        search: Search,
        *,
        max_length: int = 256,
        device: torch.device | str = "cpu",
    ) -> None:
        self.checkpoints = checkpoints
        self.search = search
        self.max_length = max_length
        self.device = device

    def answer(self, question: Question) -> dict[str, Any]:
        """Return the answer in the form of the page's data, for JSON.

        Raises:
            ValueError: if there is no such model or parameter.
        """
        if not 0 <= question.model < len(self.checkpoints):
            raise ValueError(f"there is no model {question.model}")
        checkpoint = self.checkpoints[question.model]
        task, known = checkpoint.task, None if question.reference is None else [question.reference]
        with contextlib.ExitStack() as stack:
            for mapping in checkpoint.model.attention_mappings()["cross"]:
                stack.enter_context(parameters_set(mapping, question.parameters))
            (outcome,) = task.look(
                checkpoint.model,
                checkpoint.subwords,
                [question.source],
                known,
                search=self.search,
                max_length=self.max_length,
                device=self.device,
            )
        score = None
        if known is not None and "writing" in outcome.looks:
            score = round(task.answer_scores([outcome.text], [known])[0], 2)
        return asdict(Answer.of(outcome, score))
