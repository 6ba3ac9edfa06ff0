"""Start training from a trained model: copy its weights, freeze parts of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seq2seq.data.vocabulary_extension import written_before
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.mappings import Mapping
from seq2seq.models.attending import AttendingModel

#: Maximum number of tensors that an error message names.
MOST_SHOWN = 8


@dataclass(frozen=True)
class Taken:
    """Summary of the weights that a new model took from a trained one.

    Attributes:
        parameters: number of copied parameters.
        new_rows: number of new vocabulary pieces by side; only "target" if both sides share a
            vocabulary.
        grown: names of the tensors that have rows for the new pieces.
        own: names of the learned mapping parameters that were not copied.
    """

    parameters: int
    new_rows: dict[str, int]
    grown: tuple[str, ...]
    own: tuple[str, ...]

    def __str__(self) -> str:
        """Return one line that says what was copied and what is new."""
        new = [f"{n:,} {side} pieces" for side, n in self.new_rows.items() if n]
        if new:
            new = [f"{' and '.join(new)} (rows of {', '.join(self.grown)})"]
        new += self.own
        return f"{self.parameters:,} parameters taken; new: {', '.join(new) or 'none'}"


@torch.no_grad()
def take_weights(
    model: AttendingModel,
    trained: AttendingModel,
    old: VocabularyPair,
    new: VocabularyPair,
) -> Taken:
    """Copy the weights of a trained model into a new one of the same architecture.

    Rows of the old pieces are copied. The row of a new piece starts at the mean of the rows of the
    old pieces that encoded its text. If no old piece could encode it, the row keeps its random
    initial values.

    Parameters of a mapping are copied only if the new model has the same mapping in that place. It
    must learn the same parameters from the same start values. Otherwise the mapping starts as
    configured.

    Args:
        model: the new model; changed in place.
        trained: the trained model, of the same architecture (`check_architecture`).
        old: the vocabularies of the trained model.
        new: the vocabularies of the new model, which begin with the old ones.

    Raises:
        ValueError: if the architectures differ; the message lists the differing shapes.
    """
    weights, state = trained.state_dict(), model.state_dict()
    of_mappings = _mapping_tensors(trained) | _mapping_tensors(model)
    kept = _kept_mappings(model, trained)
    sides = {
        "source": _Rows(old.source.size, written_before(old.source, new.source)),
        "target": _Rows(old.target.size, written_before(old.target, new.target)),
    }
    grown: dict[str, _Rows] = {}
    for name, tensor in state.items():
        rows = sides["source" if name.startswith("source_embedding") else "target"]
        if name not in of_mappings and name in weights and rows.fit(weights[name], tensor):
            grown[name] = rows
    shared = [name for name in state if name not in of_mappings or name in kept]
    _check_shapes(_without(weights, of_mappings - kept), _without(state, of_mappings - kept), grown)
    for name in shared:
        if name in grown:
            grown[name].copy(weights[name], state[name])
        else:
            state[name].copy_(weights[name])
    _check_ties({name: weights[name] for name in shared}, state)
    return Taken(
        sum(parameter.numel() for parameter in _unique(trained, set(shared))),
        {s: len(r.written) for s, r in sides.items() if s == "target" or not new.joint},
        tuple(grown),
        tuple(n for n, _ in model.named_parameters() if n in of_mappings and n not in kept),
    )


def check_architecture(model: AttendingModel, trained: AttendingModel) -> None:
    """Raise `ValueError` if a new model's weights do not have the shapes of a trained model's.

    Parameters of mappings may differ.

    Args:
        model: the new model, with the same vocabularies as the trained one.
        trained: the trained model.

    Raises:
        ValueError: the message lists the tensors that differ.
    """
    own = _mapping_tensors(trained) | _mapping_tensors(model)
    _check_shapes(_without(trained.state_dict(), own), _without(model.state_dict(), own), {})


def freeze(model: AttendingModel, names: Sequence[str]) -> int:
    """Freeze parts of a model; return the number of parameters that are still trained.

    A frozen parameter receives no gradient, so no updates and no weight decay. Dropout still
    applies. Parameters of mappings are not frozen: ``attention.learn`` decides whether they are
    learned.

    Args:
        model: the model; changed in place.
        names: keys of ``model.parts()``.

    Raises:
        ValueError: for an unknown name, or if all parameters would be frozen.
    """
    parts = model.parts()
    of_mappings = {id(p) for part in _mappings(model) for p in part.parameters()}
    for name in names:
        if name not in parts:
            raise ValueError(
                f"init.freeze: {type(model).__name__} has no part {name!r}; choose from "
                f"{', '.join(sorted(parts))}"
            )
        for parameter in (p for module in parts[name] for p in module.parameters()):
            if id(parameter) not in of_mappings:
                parameter.requires_grad_(False)
    left = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if not left:
        raise ValueError(f"init.freeze=[{','.join(names)}] leaves nothing to train; freeze less")
    return left


def check_new_rows_are_trained(model: AttendingModel, taken: Taken, names: Sequence[str]) -> None:
    """Raise `ValueError` if rows of new pieces would be frozen before they are trained.

    Raises:
        ValueError: the message names the frozen parts.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    if any(not parameters[name].requires_grad for name in taken.grown):
        raise ValueError(
            f"init.freeze=[{','.join(names)}] would also freeze the rows of the new pieces, which "
            "are not trained yet (tied tables count as one part: model.tie_embeddings). Leave "
            "embeddings and output out of init.freeze, or set init.extend_vocabulary=false"
        )


@dataclass(frozen=True)
class _Rows:
    """Rows of the tables of one side.

    Attributes:
        old: number of old rows.
        written: for each new piece, the ids of the old pieces that encoded its text.
    """

    old: int
    written: list[list[int]]

    def fit(self, trained: Tensor, tensor: Tensor) -> bool:
        """Return True if ``tensor`` has the shape of ``trained`` plus a row for each new piece."""
        larger = (self.old + len(self.written), *trained.shape[1:])
        grows = bool(self.written) and trained.dim() > 0 and len(trained) == self.old
        return grows and tensor.shape == larger

    def copy(self, trained: Tensor, tensor: Tensor) -> None:
        tensor[: self.old] = trained
        for row, ids in enumerate(self.written, start=self.old):
            if ids:
                tensor[row] = trained[ids].mean(0)


def _mappings(model: nn.Module) -> Iterator[Mapping]:
    return (part for part in model.modules() if isinstance(part, Mapping))


def _mapping_tensors(model: nn.Module) -> set[str]:
    """Return the names of the tensors of all mappings."""
    return {
        f"{name}.{key}"
        for name, part in model.named_modules()
        if isinstance(part, Mapping)
        for key in part.state_dict()
    }


def _kept_mappings(model: nn.Module, trained: nn.Module) -> set[str]:
    """Return the names of the learned parameters whose mapping is the same in both models."""
    before = {name: part for name, part in trained.named_modules() if isinstance(part, Mapping)}
    return {
        f"{name}.{key}"
        for name, part in model.named_modules()
        if isinstance(part, Mapping) and name in before and _alike(part, before[name])
        for key in part.state_dict()
        if key.partition(".")[0] in part.learned()
    }


def _alike(mapping: Mapping, other: Mapping) -> bool:
    """Return True if two mappings learn the same parameters from the same start values."""
    starts = [{n: learned.start for n, learned in m.learned().items()} for m in (mapping, other)]
    return (type(mapping), mapping.per) == (type(other), other.per) and starts[0] == starts[1]


def _without(tensors: dict[str, Tensor], names: set[str]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if name not in names}


def _check_shapes(
    weights: dict[str, Tensor], state: dict[str, Tensor], grown: Collection[str]
) -> None:
    differing = [
        f"{name} is {_shape(weights, name)} in the checkpoint and {_shape(state, name)} here"
        for name in dict.fromkeys([*weights, *state])
        if name not in grown and _shape(weights, name) != _shape(state, name)
    ]
    if differing:
        more = len(differing) - MOST_SHOWN
        raise ValueError(
            "; ".join(differing[:MOST_SHOWN]) + (f"; and {more} more" if more > 0 else "")
        )


def _shape(tensors: dict[str, Tensor], name: str) -> str:
    return str(tuple(tensors[name].shape)) if name in tensors else "missing"


def _check_ties(weights: dict[str, Tensor], state: dict[str, Tensor]) -> None:
    """Raise `ValueError` if tables that were trained separately are now tied.

    Copying would let one overwrite the other.

    Raises:
        ValueError: for the first such table.
    """
    for name, tensor in weights.items():
        copied = state[name][: len(tensor)] if tensor.dim() else state[name]
        if not torch.equal(copied, tensor.to(copied)):
            raise ValueError(
                f"init: {name} is a separate table in the checkpoint, but tied to another table "
                "here; set model.tie_embeddings to its value in the checkpoint"
            )


def _unique(model: nn.Module, names: set[str]) -> list[nn.Parameter]:
    """Return the parameters with these names; a tied parameter occurs once."""
    return [p for name, p in model.named_parameters() if name in names]
