"""Exported programs agree with the model, for any batch, any length and every step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from seq2seq import mappings
from seq2seq.checkpoint import load_checkpoint
from seq2seq.mappings import (
    ConstrainedSoftmax,
    ConstrainedSparsemax,
    Entmax,
    Fusedmax,
    Mapping,
    Normmax,
    Oscarmax,
    Softmax,
    Sparsemax,
    Sqpnormmax,
)
from seq2seq.models import EncoderDecoder, Recurrent, Transformer
from seq2seq.models.ensemble import Ensemble
from seq2seq.models.pair_classifier import PairClassifier
from seq2seq.models.recurrent_classifier import RecurrentClassifier
from seq2seq.publishing.errors import PublishingError
from seq2seq.publishing.export import FORMS, export, recorded
from seq2seq.publishing.programs import Port, Program, programs
from seq2seq.search.distribution import log_probabilities

pytestmark = pytest.mark.slow

Run = Callable[..., tuple[Tensor, ...]]


def recurrent(mapping: Mapping, **options: object) -> Recurrent:
    torch.manual_seed(1)
    sizes = {"embedding_size": 6, "hidden_size": 8}
    return Recurrent(23, 23, mapping=mapping, **(sizes | options)).eval()


def transformer(mapping: Mapping, **options: object) -> Transformer:
    torch.manual_seed(1)
    sizes = {"size": 8, "feedforward_size": 16, "heads": 2}  # and the default max_length
    layers = {"encoder_layers": 1, "decoder_layers": 2}
    return Transformer(23, 23, cross_mapping=mapping, **(sizes | layers | options)).eval()


def by_torch(model: nn.Module, tmp_path: Path) -> dict[str, Run]:
    def loaded(part: Program) -> Run:
        path = tmp_path / f"{part.name}.pt2"
        FORMS["torch"][1](part, recorded(part, model))(path)
        return torch.export.load(path).module()

    return {part.name: loaded(part) for part in programs(model)}


def by_onnx(model: nn.Module, tmp_path: Path) -> dict[str, Run]:
    onnxruntime = pytest.importorskip("onnxruntime")

    def loaded(part: Program) -> Run:
        path = tmp_path / f"{part.name}.onnx"
        FORMS["onnx"][1](part, recorded(part, model))(path)
        session = onnxruntime.InferenceSession(path)
        names = [given.name for given in session.get_inputs()]

        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            given = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
            return tuple(torch.from_numpy(found) for found in session.run(None, given))

        return run

    return {part.name: loaded(part) for part in programs(model)}


def check_steps(model: EncoderDecoder, parts: dict[str, Run], tolerance: float) -> None:
    """Run steps from arbitrary tokens, for batches with padding and for one word."""
    torch.manual_seed(2)
    for batch, length in ((1, 1), (3, 9), (5, 4)):
        source = torch.randint(4, 23, (batch, length))
        lengths = torch.randint(1, length + 1, (batch,))
        lengths[0] = length
        with torch.inference_mode():
            state = model.start(source, lengths)
            parts_of_state = list(parts["encoder"](source, lengths))
            for own, found in zip((*state.source, *state.past), parts_of_state, strict=False):
                torch.testing.assert_close(found, own, rtol=0, atol=tolerance)
            for _ in range(4):
                token = torch.randint(4, 23, (batch,))
                logits, state, attention = model.step(state, token, return_attention=True)
                expected = log_probabilities(logits, model.output_mapping, torch.tensor([0, 2]))
                found, weights, *changed = parts["step"](token, *parts_of_state)
                parts_of_state[len(parts_of_state) - len(changed) :] = changed
                torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)
                torch.testing.assert_close(weights, attention.squeeze(3), rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    "model",
    [
        lambda: recurrent(Fusedmax(0.1, 0.02), input_feeding=True, encoder_layers=2),
        lambda: recurrent(ConstrainedSparsemax(0.6), cell="gru", coverage=True),
        lambda: transformer(
            Entmax(1.5, 0.2, learn=["gamma"], per="head"),
            encoder_mapping=Sparsemax(0.1),
            decoder_mapping=Entmax(1.5, 0.3),
            output_mapping=Sparsemax(),
            positions="rotary",
        ),
    ],
    ids=["recurrent", "constrained", "transformer"],
)
def test_exported_steps_are_those_of_the_model(
    model: Callable[[], EncoderDecoder], tmp_path: Path
) -> None:
    own = model().double()
    check_steps(own, by_torch(own, tmp_path), tolerance=1e-9)


MAPPINGS: dict[str, Callable[[], Mapping]] = {
    "ConstrainedSoftmax": lambda: ConstrainedSoftmax(0.6, 0.5),
    "ConstrainedSparsemax": lambda: ConstrainedSparsemax(0.6, 0.5),
    "Entmax": lambda: Entmax(1.5, 0.4),
    "Fusedmax": lambda: Fusedmax(0.1, 0.3),
    "Normmax": lambda: Normmax(1.5, 0.4),
    "Oscarmax": lambda: Oscarmax(0.05, 0.4),
    "Softmax": lambda: Softmax(0.7),
    "Sparsemax": lambda: Sparsemax(0.3),
    "Sqpnormmax": lambda: Sqpnormmax(1.5, 0.4),
}
STATEFUL = {name for name, make in MAPPINGS.items() if make().stateful}
KINDS = ("Transformer", "Recurrent")


def test_the_table_has_every_mapping() -> None:
    classes = (one for one in vars(mappings).values() if isinstance(one, type))
    named = {one.__name__ for one in classes if issubclass(one, Mapping) and one is not Mapping}
    assert named == MAPPINGS.keys()


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MAPPINGS)
def test_every_mapping_is_exported_in_every_position(kind: str, name: str, tmp_path: Path) -> None:
    make = MAPPINGS[name]
    others = {} if name in STATEFUL else {"output_mapping": make()}
    if kind == "Recurrent":
        own: EncoderDecoder = recurrent(make(), **others).double()
    elif name in STATEFUL:
        pytest.skip("a Transformer refuses mappings that carry something from step to step")
    else:
        selves = {"encoder_mapping": make(), "decoder_mapping": make()}
        own = transformer(make(), decoder_layers=1, **selves, **others).double()
    check_steps(own, by_torch(own, tmp_path), tolerance=1e-8)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "model",
    [
        lambda: recurrent(Fusedmax(0.1, 0.02)),
        lambda: transformer(
            Sparsemax(0.2), encoder_mapping=Softmax(0.7), decoder_mapping=Sparsemax()
        ),
    ],
    ids=["recurrent", "transformer"],
)
def test_so_are_those_of_onnx(model: Callable[[], EncoderDecoder], tmp_path: Path) -> None:
    own = model()
    check_steps(own, by_onnx(own, tmp_path), tolerance=2e-6)


class Bessel(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (torch.special.bessel_j1(x),)


def test_an_operator_that_onnx_lacks_is_named() -> None:
    x = Port("x", "float32", (2,))
    part = Program("step", Bessel(), (torch.ones(2),), (x,), (Port("y", "float32", (2,)),))
    program = torch.export.export(part.module, part.examples)
    with pytest.raises(
        PublishingError, match=r"step has an operator that ONNX does not have.*bessel"
    ):
        FORMS["onnx"][1](part, program)


def test_an_exported_classifier_is_the_classifier(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model: PairClassifier = RecurrentClassifier(
        23, 23, ["yes", "no"], mapping=Fusedmax(0.1), embedding_size=6, hidden_size=8
    )
    model = model.double().eval()
    classify = by_torch(model, tmp_path)["classifier"]
    for lengths in (([1], [1]), ([7, 3], [2, 5])):
        sides = [torch.randint(4, 23, (len(side), max(side))) for side in lengths]
        inputs = [part for pair in zip(sides, map(torch.tensor, lengths)) for part in pair]  # noqa: B905
        with torch.inference_mode():
            logits, attention, _ = model(*inputs, return_attention=True)
            found = classify(*inputs)
        torch.testing.assert_close(found[0], logits.softmax(-1), rtol=0, atol=1e-9)
        torch.testing.assert_close(found[1], attention, rtol=0, atol=1e-9)


def test_what_cannot_be_taken_apart_is_refused() -> None:
    with pytest.raises(PublishingError, match=r"copying=true cannot be exported"):
        programs(recurrent(Softmax(), copying=True))
    with pytest.raises(PublishingError, match="Ensemble cannot be exported"):
        programs(Ensemble([recurrent(Softmax())]))


def test_exporting_leaves_the_model_as_it_is() -> None:
    model = recurrent(Fusedmax(0.1, 0.02, learn=["lam"])).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    programs(model)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_other_files_are_not_replaced_by_an_export(run_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "interface.json").write_text("{}")
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(PublishingError, match="has other files, which would be deleted"):
        export(load_checkpoint(run_folder), folder)
    assert (folder / "thesis.tex").read_text() == "years of work"


def test_a_full_disk_is_told_and_aborts_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # which Windows lacks
    program = torch.export.export(nn.Linear(100, 100), (torch.zeros(1, 100),))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            FORMS["torch"][1](Program("a", nn.Identity(), (), (), ()), program)(tmp_path / "a.pt2")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
