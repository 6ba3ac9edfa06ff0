"""Models that start from a checkpoint: which weights are taken, new and frozen."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch
from datasets import Dataset
from small_runs import batches, fit

from seq2seq.data import VocabularyPair, build_subwords
from seq2seq.data.vocabulary_extension import extend_vocabularies, written_before
from seq2seq.mappings import Fusedmax, Mapping, Softmax
from seq2seq.models import DecomposableAttention, Recurrent, RecurrentClassifier, Transformer
from seq2seq.models.attending import AttendingModel
from seq2seq.nn.losses import SequenceLoss
from seq2seq.tasks.translation import Translation
from seq2seq.training.module import Seq2SeqModule
from seq2seq.training.schedules import constant
from seq2seq.training.transfer import (
    check_architecture,
    check_new_rows_are_trained,
    freeze,
    take_weights,
)


def recurrent(size: int = 30, mapping: Mapping | None = None, **options: object) -> Recurrent:
    settings = {"embedding_size": 8, "hidden_size": 8, "dropout": 0.0, **options}
    return Recurrent(size, size, mapping=mapping or Softmax(), **settings)


def transformer(positions: str = "learned") -> Transformer:
    return Transformer(
        30, 30, cross_mapping=Softmax(), size=8, feedforward_size=8, heads=2, positions=positions
    )


LABELS = ("yes", "no")
MODELS: dict[str, Callable[[], AttendingModel]] = {
    "recurrent": recurrent,
    "copying": lambda: recurrent(copying=True),
    "transformer": transformer,
    "classifier": lambda: RecurrentClassifier(30, 30, LABELS, mapping=Softmax(learn=["gamma"])),
    "decomposable": lambda: DecomposableAttention(
        30, 30, LABELS, mapping=Softmax(learn=["gamma"]), reverse_mapping=Softmax()
    ),
}


@pytest.fixture(scope="module")
def pair() -> VocabularyPair:
    texts = [f"the small dog sees number {k}" for k in range(40)]
    split = Dataset.from_dict({"source": texts, "target": texts})
    return build_subwords(split, size=30, byte_fallback=False)


@pytest.fixture(scope="module")
def extended(pair: VocabularyPair) -> VocabularyPair:
    texts = [f"the hepatitis dog oozes {k} weekly" for k in range(40)]
    split = Dataset.from_dict({"source": texts, "target": texts})
    return extend_vocabularies(pair, split, size=60)


def predictions(model: AttendingModel) -> torch.Tensor:
    batch = batches(1)[0]
    source, target = batch.source % 20, batch.target_input % 20
    return model.eval()(source, batch.source_lengths, target).logits


def test_the_model_predicts_what_the_trained_one_does(pair: VocabularyPair) -> None:
    trained, model = (recurrent(pair.source.size) for _ in range(2))
    assert not torch.equal(predictions(model), predictions(trained))
    taken = take_weights(model, trained, pair, pair)
    assert torch.equal(predictions(model), predictions(trained))
    assert taken.parameters == sum(p.numel() for p in trained.parameters())
    assert str(taken).endswith("new: none")


def test_parameters_of_another_mapping_are_the_new_models_own(pair: VocabularyPair) -> None:
    trained = recurrent(pair.source.size, Softmax(learn=["gamma"]))
    model = recurrent(pair.source.size, Fusedmax(gamma=4.0, lam=0.3, learn=["gamma", "lam"]))
    with torch.no_grad():
        trained.decoder.attention.mapping.learned()["gamma"].free.fill_(9.0)
    taken = take_weights(model, trained, pair, pair)
    mapping = model.decoder.attention.mapping
    assert [mapping.gamma.item(), mapping.lam.item()] == pytest.approx([4.0, 0.3])
    names = ("decoder.attention.mapping.gamma.free", "decoder.attention.mapping.lam.free")
    assert taken.own == names
    for name, tensor in trained.state_dict().items():
        if name not in names:
            assert torch.equal(model.state_dict()[name], tensor)


@pytest.mark.parametrize(("start", "goes_on"), [(1.0, True), (2.0, False)])
def test_the_same_mapping_continues_with_its_learned_parameters(
    pair: VocabularyPair, start: float, goes_on: bool
) -> None:
    trained = recurrent(pair.source.size, Fusedmax(learn=["gamma"]))
    with torch.no_grad():
        trained.decoder.attention.mapping.learned()["gamma"].free.fill_(9.0)
    model = recurrent(pair.source.size, Fusedmax(gamma=start, learn=["gamma"]))
    taken = take_weights(model, trained, pair, pair)
    learned = float(trained.decoder.attention.mapping.gamma)
    assert float(model.decoder.attention.mapping.gamma) == pytest.approx(
        learned if goes_on else start
    )
    assert bool(taken.own) != goes_on


@pytest.mark.parametrize("tie", ["none", "target", "all"])
def test_old_rows_are_kept_and_new_ones_begin_at_the_mean_of_the_old_pieces(
    pair: VocabularyPair, extended: VocabularyPair, tie: str
) -> None:
    old, new = pair.source.size, extended.source.size
    trained, model = recurrent(old, tie_embeddings=tie), recurrent(new, tie_embeddings=tie)
    with torch.no_grad():
        trained.output.bias.copy_(torch.arange(float(old)))
    drawn = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    taken = take_weights(model, trained, pair, extended)
    written = written_before(pair.source, extended.source)
    assert taken.new_rows == {"target": new - old}
    assert f"{new - old} target pieces" in str(taken)
    tables = ("source_embedding.weight", "target_embedding.weight", "output.weight", "output.bias")
    assert taken.grown == tables
    for name in tables:
        before, after = trained.state_dict()[name], model.state_dict()[name]
        assert torch.equal(after[:old], before)
        for row, ids in enumerate(written, start=old):
            expected = before[ids].mean(0) if ids else drawn[name][row]
            assert torch.equal(after[row], expected)
    assert any(written)
    assert not all(written), "a new character has no old pieces"


def test_shapes_that_differ_are_listed(pair: VocabularyPair) -> None:
    with pytest.raises(ValueError, match=r"bridge\.\S+ is \(8, 8\) in the checkpoint and missing"):
        check_architecture(recurrent(bridge="copy"), recurrent())
    message = r"encoder\.network\.weight_ih_l0 is \(16, 8\) in the checkpoint and \(24, 12\) here"
    with pytest.raises(ValueError, match=message):
        check_architecture(recurrent(hidden_size=12, embedding_size=12), recurrent())
    check_architecture(recurrent(mapping=Fusedmax(learn=["lam"]), dropout=0.5), recurrent())


def test_tables_that_were_trained_apart_are_not_tied(pair: VocabularyPair) -> None:
    size = pair.source.size
    apart, tied = recurrent(size, tie_embeddings="none"), recurrent(size, tie_embeddings="all")
    with pytest.raises(
        ValueError, match=r"set model\.tie_embeddings to its value in the checkpoint"
    ):
        take_weights(tied, apart, pair, pair)
    take_weights(apart, tied, pair, pair)
    assert torch.equal(apart.source_embedding.weight, apart.output.weight)


@pytest.mark.parametrize("name", MODELS)
def test_every_weight_belongs_to_a_part(name: str) -> None:
    model = MODELS[name]()
    parts = model.parts()
    assert {"embeddings", "output"} <= set(parts)
    found = {id(p) for part in parts.values() for module in part for p in module.parameters()}
    own = {id(p) for m in model.modules() if isinstance(m, Mapping) for p in m.parameters()}
    assert {id(p) for p in model.parameters()} - own <= found
    assert not [key for key in parts if key.endswith(("mapping", "_norm", "positions"))]


def test_frozen_parts_stay_as_they_are_under_weight_decay() -> None:
    model = recurrent(dropout=0.5, mapping=Fusedmax(learn=["lam"]))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    frozen = ("encoder.", "source_embedding.", "decoder.attention.")
    left = freeze(model, ["encoder", "source_embedding", "attention"])
    assert left == sum(p.numel() for p in model.parameters() if p.requires_grad)
    optimizer = functools.partial(torch.optim.AdamW, lr=0.1, weight_decay=0.5)
    module = Seq2SeqModule(Translation(), model, SequenceLoss(), optimizer, constant)
    fit(module, batches(3))
    learned = "decoder.attention.mapping.lam.free"
    for name, tensor in model.state_dict().items():
        stays = name.startswith(frozen) and name != learned
        assert torch.equal(tensor, before[name]) == stays, name
    assert all(part.training for part in model.train().modules()), "dropout is not frozen"


def test_an_error_for_an_unknown_part_lists_the_known_ones() -> None:
    names = "attention, bridge, decoder, embeddings, encoder, output, source_embedding"
    with pytest.raises(ValueError, match=f"Recurrent has no part 'encodr'; choose from {names}"):
        freeze(recurrent(), ["encodr"])


def test_something_has_to_be_left_to_train() -> None:
    parts = ["embeddings", "encoder", "bridge", "decoder", "output"]
    with pytest.raises(ValueError, match="leaves nothing to train"):
        freeze(recurrent(), parts)
    assert freeze(recurrent(mapping=Fusedmax(learn=["lam"])), parts) == 1


def test_new_rows_are_not_frozen(pair: VocabularyPair, extended: VocabularyPair) -> None:
    model = recurrent(extended.source.size, tie_embeddings="target")
    freeze(model, ["output"])
    taken = take_weights(
        model, recurrent(pair.source.size, tie_embeddings="target"), pair, extended
    )
    with pytest.raises(ValueError, match="would also freeze the rows of the new pieces"):
        check_new_rows_are_trained(model, taken, ["output"])
    free = recurrent(extended.source.size)
    check_new_rows_are_trained(free, taken, [])
