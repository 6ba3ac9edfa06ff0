"""`compile=default`: the same losses, and one compilation for all lengths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import nn
from torch._dynamo.utils import counters

from seq2seq.cli.application import config_folder
from seq2seq.data.batch import BOS_ID, EOS_ID, PAD_ID, Batch
from seq2seq.mappings import Fusedmax, Mapping, Softmax
from seq2seq.models import EncoderDecoder, Recurrent, Transformer
from seq2seq.nn.dropout import Dropout
from seq2seq.nn.losses import SequenceLoss
from seq2seq.tasks.translation import Translation
from seq2seq.training.annealing import Annealer, Linear
from seq2seq.training.module import Seq2SeqModule

SIZE = 30
SMALL = {"size": 16, "feedforward_size": 32, "heads": 2, "encoder_layers": 1, "decoder_layers": 1}
DRY = {**SMALL, "dropout": 0.0}
WIDTHS = {"embedding_size": 16, "hidden_size": 16, "dropout": 0.2}
MODELS: dict[str, Callable[[Mapping], EncoderDecoder]] = {
    "transformer": lambda m: Transformer(SIZE, SIZE, cross_mapping=m, **SMALL),
    "recurrent": lambda m: Recurrent(SIZE, SIZE, mapping=m, input_feeding=False, **WIDTHS),
    "input feeding": lambda m: Recurrent(SIZE, SIZE, mapping=m, input_feeding=True, **WIDTHS),
}
SHAPES = [(5, 7, 9), (6, 9, 8), (4, 5, 6), (8, 8, 8), (3, 11, 5)]  # sentences, and the longest two


@pytest.fixture(autouse=True)
def nothing_compiled() -> Iterator[None]:
    """Graphs of other tests neither help nor count."""
    torch.compiler.reset()
    counters.clear()
    yield
    torch.compiler.reset()


def configured(*overrides: str) -> Any:
    """Return the model as the command compiles it with ``compile=default``."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", ["compile=default", *overrides])
    return instantiate(config.compile, _convert_="all")


def graphs() -> int:
    """How many were compiled."""
    return counters["stats"]["unique_graphs"]


def module(model: EncoderDecoder, compile: Any = None) -> Seq2SeqModule:
    return Seq2SeqModule(
        Translation(),
        model,
        SequenceLoss(label_smoothing=0.1),
        partial(torch.optim.Adam, lr=0.01),
        lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0),
        compile=compile,
    )


def batches() -> list[Batch]:
    draw = torch.Generator().manual_seed(3)
    return [_batch(*shape, draw) for shape in SHAPES]


def _batch(sentences: int, source: int, target: int, draw: torch.Generator) -> Batch:
    def side(longest: int, first: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        lengths = torch.randint(3, longest + 1, (sentences,), generator=draw)
        lengths[0] = longest
        ids = torch.randint(4, SIZE, (sentences, longest), generator=draw)
        ids[:, : len(first)] = torch.tensor(first)
        ids.scatter_(1, lengths[:, None] - 1, EOS_ID)
        return ids.where(torch.arange(longest) < lengths[:, None], PAD_ID), lengths

    (source_ids, source_lengths), (target_ids, target_lengths) = (
        side(source, []),
        side(target, [BOS_ID]),
    )
    return Batch(source_ids, target_ids, source_lengths, target_lengths, torch.arange(sentences))


def losses(run: Seq2SeqModule, between: Callable[[int], object] = lambda step: None) -> list[float]:
    """Of an update a batch, dropout included."""
    torch.manual_seed(5)
    optimizer = torch.optim.Adam(run.model.parameters(), 0.01)
    found = []
    for step, batch in enumerate(batches()):
        between(step)
        loss = run.training_step(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(float(loss.detach()))
    return found


def twins(make: Callable[[Mapping], EncoderDecoder], mapping: type[Mapping]) -> list[Any]:
    models = []
    for _ in range(2):
        torch.manual_seed(1)
        models.append(make(mapping()))
    return models


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "mapping"),
    [
        ("transformer", Fusedmax),
        pytest.param("recurrent", Fusedmax, marks=pytest.mark.thorough),
        pytest.param("input feeding", Softmax, marks=pytest.mark.thorough),
    ],
)
def test_a_compiled_model_trains_as_the_eager_one_and_is_compiled_for_all_lengths_at_once(
    kind: str, mapping: type[Mapping]
) -> None:
    eager, compiled = twins(MODELS[kind], mapping)
    run = module(compiled, configured("compile.backend=aot_eager"))
    seen: list[int] = []
    found = losses(run, lambda step: seen.append(graphs()))
    assert found == pytest.approx(losses(module(eager)), abs=1e-5)
    assert seen[0] == 0 < seen[1]
    assert seen[1:] == [seen[1]] * (len(SHAPES) - 1), "no batch is compiled for anew"
    if kind == "transformer":
        assert seen[1] == 1, "in one graph: dropout, masks and mapping included"
    assert [*compiled.state_dict()] == [*eager.state_dict()], "as a checkpoint holds it"


@pytest.mark.slow
@pytest.mark.thorough
def test_inductor_s_kernels_compute_the_same() -> None:
    """Without dropout, whose draws inductor makes in an order of its own."""
    eager, compiled = twins(lambda m: Transformer(SIZE, SIZE, cross_mapping=m, **DRY), Fusedmax)
    found = losses(module(compiled, configured()))
    assert found == pytest.approx(losses(module(eager)), abs=1e-5)


@pytest.mark.slow
@pytest.mark.thorough
def test_inductor_s_backward_pass_drops_what_its_forward_pass_dropped() -> None:
    dropout, weight = Dropout(0.5), torch.randn(40, 30, requires_grad=True)

    def network(x: torch.Tensor) -> torch.Tensor:
        return dropout((dropout(x) @ weight).relu()).sum()

    value = torch.compile(network, dynamic=True)(torch.randn(20, 40))
    value.backward()
    assert weight.grad is not None
    assert (weight * weight.grad).sum().item() == pytest.approx(value.item(), rel=1e-4), "Euler's"


@pytest.mark.slow
def test_annealing_gamma_does_not_recompile() -> None:
    eager, compiled = twins(MODELS["transformer"], Fusedmax)
    annealers = [Annealer(Linear(4.0, 1.0, len(SHAPES)), model) for model in (eager, compiled)]
    seen: list[int] = []

    def next_gamma(step: int) -> None:
        seen.append(graphs())
        annealers[1].set(step)

    run = module(compiled, configured("compile.backend=eager"))
    found = losses(run, next_gamma)
    assert found == pytest.approx(losses(module(eager), annealers[0].set), abs=1e-5)
    assert seen == [0, *[1] * (len(SHAPES) - 1)]


def test_only_the_training_step_calls_what_is_compiled() -> None:
    calls = []

    def compile(model: nn.Module) -> Callable[..., Any]:
        class Compiled(nn.Module):
            output_mapping = model.output_mapping

            def forward(self, *inputs: Any, **options: Any) -> Any:
                calls.append(inputs)
                return model(*inputs, **options)

        return Compiled()

    model = MODELS["transformer"](Softmax())
    run = module(model, compile)
    assert run.model is model
    assert not any("_trained" in name or "_orig_mod" in name for name in run.state_dict())
    batch = batches()[0]
    run.model(batch.source, batch.source_lengths, batch.target_input)
    assert not calls
    run.training_step(batch, 0)
    assert len(calls) == 1


@pytest.mark.slow
def test_the_options_do_what_they_say() -> None:
    batch = batches()[0]
    whole = configured("compile.backend=eager", "compile.fullgraph=true")
    module(MODELS["transformer"](Softmax()), whole).training_step(batch, 0)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="pack_padded_sequence"):
        module(MODELS["recurrent"](Softmax()), whole).training_step(batch, 0)
    counters.clear()
    each = configured("compile.backend=eager", "compile.dynamic=false")
    losses(module(MODELS["transformer"](Softmax()), each))
    assert graphs() == len(SHAPES), "dynamic=false: every size of batch for itself"
    with pytest.raises(RuntimeError, match="mode"):
        configured("compile.mode=fastest")(MODELS["transformer"](Softmax()))


def test_without_gradients_it_is_one_graph_too() -> None:
    model = MODELS["transformer"](Softmax()).eval()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    batch = batches()[0]
    given = (batch.source, batch.source_lengths, batch.target_input)
    with torch.no_grad():
        torch.testing.assert_close(compiled(*given).logits, model(*given).logits)
    assert graphs() == 1
