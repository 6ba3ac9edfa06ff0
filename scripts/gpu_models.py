"""Parts of `check_gpu.py`: training, search, CUDA graphs and compilation of the models."""

from __future__ import annotations

import argparse
import statistics
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from gpu_report import Row
from torch import Tensor, nn

from seq2seq.data.batch import BOS_ID, EOS_ID, PAD_ID, Batch
from seq2seq.mappings import (
    Entmax,
    Fusedmax,
    Mapping,
    Normmax,
    Oscarmax,
    Softmax,
    Sparsemax,
    Sqpnormmax,
)
from seq2seq.models import DecomposableAttention, Recurrent, RecurrentClassifier, Transformer
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.nn.losses import SequenceLoss
from seq2seq.search import Beam
from seq2seq.training.optimizer import build_optimizer

LABELS = ("entailment", "neutral", "contradiction")
ATTENTION: dict[str, Callable[[], Mapping]] = {"softmax": Softmax, "fusedmax": Fusedmax}
GRAPHED = (Softmax, Sparsemax, Entmax, Sqpnormmax, Normmax, Fusedmax, Oscarmax)
# cuDNN's LSTM and bfloat16 round more than the CPU.
LARGEST_DIFFERENCES = {"float32": 2e-3, "bfloat16": 5e-2}
SAME_SCORES = 1e-2  # between log-probabilities of whole outputs
SAME_NUMBERS = 1e-4  # of a graph or a compiled model, relative


def families(quick: bool) -> dict[str, Callable[[Mapping], Any]]:
    """Return what builds each family of models; ``quick``: with few parameters."""
    v = vocabulary(quick)
    sizes: dict[str, Any] = {"size": 16, "feedforward_size": 16, "heads": 2} if quick else {}
    width: dict[str, Any] = {"embedding_size": 16, "hidden_size": 16} if quick else {}
    common: dict[str, Any] = {"strength": "relative"}
    return {
        "transformer": lambda m: Transformer(v, v, cross_mapping=m, **sizes, **common),
        "recurrent": lambda m: Recurrent(v, v, mapping=m, input_feeding=False, **width, **common),
        "input feeding": lambda m: Recurrent(v, v, mapping=m, **width, **common),
        "gru classifier": lambda m: RecurrentClassifier(v, v, LABELS, mapping=m, **width, **common),
        "decomposable attention": lambda m: DecomposableAttention(
            v, v, LABELS, mapping=m, reverse_mapping=m, **width, **common
        ),
    }


def vocabulary(quick: bool) -> int:
    """Return the number of subwords."""
    return 40 if quick else 8000


def batch(quick: bool) -> Batch:
    """Return sentences of random subwords and lengths, and random labels."""
    generator = torch.Generator().manual_seed(0)
    sentences, longest = (4, 7) if quick else (128, 32)

    def side(first: Sequence[int]) -> tuple[Tensor, Tensor]:
        lengths = torch.randint(longest // 2, longest + 1, (sentences,), generator=generator)
        lengths[0] = longest
        ids = torch.randint(4, vocabulary(quick), (sentences, longest), generator=generator)
        ids[:, : len(first)] = torch.tensor(first, dtype=torch.long)
        ids.scatter_(1, lengths[:, None] - 1, EOS_ID)
        return ids.where(torch.arange(longest) < lengths[:, None], PAD_ID), lengths

    source, source_lengths = side([])
    target, target_lengths = side([BOS_ID])
    labels = torch.randint(len(LABELS), (sentences,), generator=generator)
    return Batch(
        source, target, source_lengths, target_lengths, torch.arange(sentences), labels=labels
    )


def mean_loss(called: Callable[..., Any], model: Any, batch: Batch) -> Tensor:
    """Return the training loss by token, or by pair of a classifier.

    Args:
        called: the model, or what computes the same as it does.
        model: the model.
        batch: sentences, on the device of the model.
    """
    if isinstance(model, EncoderDecoder):
        output = called(batch.source, batch.source_lengths, batch.target_input, return_logits=False)
        found = SequenceLoss(0.1)(output.logits, batch.target_output, model.output_mapping)
    else:
        assert batch.labels is not None
        output = called(batch.source, batch.source_lengths, batch.target, batch.target_lengths)
        labels = batch.labels[:, None]
        classes = SequenceLoss(ignore_index=-1)
        found = classes(output.logits[:, None], labels, model.output_mapping)
    return found.loss_sum / found.tokens


def training(args: argparse.Namespace) -> Iterator[Row]:
    """Train every model on one batch, in float32 and bfloat16."""
    data = batch(args.quick)
    for family, build in families(args.quick).items():
        for name, attention in ATTENTION.items():
            model = _seeded(build, attention())
            with torch.no_grad():
                on_cpu = float(mean_loss(model.eval(), model, data))
            for precision in LARGEST_DIFFERENCES:
                row: Row = {"model": family, "attention": name, "precision": precision}
                try:
                    yield {**row, **_trained(build, attention(), data, precision, on_cpu, args)}
                except Exception:
                    yield {**row, "traceback": traceback.format_exc()}


def _trained(
    build: Callable[[Mapping], Any],
    attention: Mapping,
    data: Batch,
    precision: str,
    on_cpu: float,
    args: argparse.Namespace,
) -> Row:
    half = precision == "bfloat16"
    context = partial(torch.autocast, args.device, torch.bfloat16) if half else nullcontext
    model, here = _seeded(build, attention).to(args.device), data.to(args.device)
    with torch.no_grad(), context():
        first = float(mean_loss(model.eval(), model, here))
    adam = partial(torch.optim.Adam, lr=1e-3)
    optimizer = build_optimizer(adam, [p for p in model.parameters() if p.requires_grad], False)
    model.train()

    def step() -> Tensor:
        with context():
            loss = mean_loss(model, model, here)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.detach()

    on_gpu = args.device == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    losses = [step() for _ in range(3 if args.quick else 10)]
    seconds = _seconds(step, args)
    losses.append(step())
    difference = abs(first - on_cpu) / abs(on_cpu)
    finite = bool(torch.stack(losses).isfinite().all())
    row: Row = {
        "ms a step": 1e3 * seconds,
        "tokens/s": data.tokens / seconds,
        "loss on the CPU": on_cpu,
        "first loss": first,
        "last loss": float(losses[-1]),
    }
    if on_gpu:
        row["peak MiB"] = torch.cuda.max_memory_allocated() / 2**20
        row["optimizer is fused"] = bool(optimizer.defaults.get("fused"))
    falls = args.quick or float(losses[-1]) < float(losses[0])
    row["passed"] = finite and falls and difference <= LARGEST_DIFFERENCES[precision]
    return row


def search(args: argparse.Namespace) -> Iterator[Row]:
    """Search with a beam of 5, and compare the outputs with those on the CPU."""
    data = batch(args.quick)
    length = 5 if args.quick else 20
    beam = Beam(5, min_length=length, max_length=length, max_length_ratio=1e3)
    for family, build in families(args.quick).items():
        for name, attention in ATTENTION.items():
            model = _seeded(build, attention()).eval()
            if not isinstance(model, EncoderDecoder):
                continue
            row: Row = {"model": family, "attention": name}
            try:
                expected = beam(model, data.source, data.source_lengths)
                model, here = model.to(args.device), data.to(args.device)
                find = partial(beam, model, here.source, here.source_lengths)
                found = find()
                with_attention = find(return_attention=True)
                seconds = _seconds(find, args)
                pairs = [(a[0], b[0]) for a, b in zip(found, expected, strict=True)]
                apart = max(abs(a.score - b.score) for a, b in pairs)
                yield {
                    **row,
                    "sentences/s": len(data) / seconds,
                    "same as on the CPU": statistics.mean(a.tokens == b.tokens for a, b in pairs),
                    "scores differ by": apart,
                    "passed": apart <= SAME_SCORES
                    and all(one[0].attention is not None for one in with_attention),
                }
            except Exception:
                yield {**row, "traceback": traceback.format_exc()}


def graphs(args: argparse.Namespace) -> Iterator[Row]:
    """Capture CUDA graphs, replay them on other numbers, and compare with the plain calls."""
    torch.manual_seed(0)
    shape = (4, 8) if args.quick else (4096, 64)
    for mapping in (kind() for kind in GRAPHED):
        x = torch.randn(shape, device=args.device, requires_grad=True)
        v = torch.randn(shape, device=args.device)

        def both(mapping: Mapping = mapping, x: Tensor = x, v: Tensor = v) -> list[Tensor]:
            y = mapping(x)
            return [y.detach(), *torch.autograd.grad(y, x, v)]

        yield _graphed(f"{type(mapping).__name__}, forward and backward", both, [x], args)
    data = batch(args.quick).to(args.device)
    for name, attention in ATTENTION.items():
        for family, build in families(args.quick).items():
            model = _seeded(build, attention()).to(args.device).eval()
            if family in ("transformer", "decomposable attention"):  # others pack by length
                parameters = [p for p in model.parameters() if p.requires_grad]

                def step(model: Any = model, parameters: list[Any] = parameters) -> list[Tensor]:
                    loss = mean_loss(model, model, data)
                    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
                    return [loss.detach(), *(g for g in gradients if g is not None)]

                yield _graphed(f"{family} with {name}, a training step", step, parameters, args)
            if isinstance(model, EncoderDecoder):
                with torch.no_grad():
                    state = model.start(data.source, data.source_lengths)
                tokens = torch.full((len(data),), BOS_ID, device=args.device)

                def decode(
                    model: Any = model, state: Any = state, tokens: Tensor = tokens
                ) -> list[Tensor]:
                    with torch.no_grad():
                        return [model.step(state, tokens).logits]

                yield _graphed(f"{family} with {name}, a decoding step", decode, [], args)


def _graphed(
    case: str,
    function: Callable[[], list[Tensor]],
    inputs: Sequence[Tensor],
    args: argparse.Namespace,
) -> Row:
    row: Row = {"case": case}
    try:
        replay = captured(function, args.device)
        with torch.no_grad():
            for x in inputs:
                x.mul_(0.9)
        found = [x.clone() for x in replay()]
        expected = function()
        error = _difference(found, expected)
        eager, graph = _seconds(function, args), _seconds(replay, args)
        times = {"µs": 1e6 * eager, "µs of the graph": 1e6 * graph, "graph ÷ plain": graph / eager}
        return {**row, **times, "difference": error, "passed": error <= SAME_NUMBERS}
    except Exception:
        return {**row, "traceback": traceback.format_exc()}


def captured(function: Callable[[], list[Tensor]], device: str) -> Callable[[], list[Tensor]]:
    """Return what replays the calls of ``function`` as a CUDA graph; on a CPU, ``function``."""
    if device == "cpu":
        return function
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):  # because kernels compile and libraries allocate in first calls
            function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = function()

    def replay() -> list[Tensor]:
        graph.replay()
        return results

    return replay


def compiled(args: argparse.Namespace) -> Iterator[Row]:
    """Compile models and mappings, as `compile=default` does, and compare with the plain ones."""
    # On a CPU a backend without code generation: what is checked is that the script works.
    options: dict[str, Any] = {"backend": "aot_eager" if args.device == "cpu" else "inductor"}
    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("transformer", "softmax", {"dynamic": True}),
        ("transformer", "fusedmax", {"dynamic": True}),
        ("decomposable attention", "fusedmax", {"dynamic": True}),
        ("recurrent", "fusedmax", {"dynamic": True}),
    ]
    if args.quick:
        cases = cases[1:3]
    elif args.device == "cuda":
        cases.append(("transformer", "fusedmax", {"dynamic": False, "mode": "reduce-overhead"}))
    data = batch(args.quick).to(args.device)
    for family, name, chosen in cases:
        row: Row = {"model": family, "attention": name, **chosen}
        try:
            torch.compiler.reset()
            model = _seeded(families(args.quick)[family], ATTENTION[name]()).to(args.device).eval()
            called = torch.compile(model, **options, **chosen)
            yield {**row, **_compared(model, called, data, args)}
        except Exception:
            yield {**row, "traceback": traceback.format_exc()}


def _compared(model: Any, called: Any, data: Batch, args: argparse.Namespace) -> Row:
    parameters = [p for p in model.parameters() if p.requires_grad]

    def step(function: Any) -> list[Tensor]:
        loss = mean_loss(function, model, data)
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        return [loss.detach(), *(g for g in gradients if g is not None)]

    started = time.perf_counter()
    found = [x.clone() for x in step(called)]
    _wait(args)
    first = time.perf_counter() - started
    error = _difference(found, step(model))
    eager, fast = _seconds(partial(step, model), args), _seconds(partial(step, called), args)
    return {
        "first s": first,
        "ms": 1e3 * eager,
        "ms compiled": 1e3 * fast,
        "compiled ÷ plain": fast / eager,
        "difference": error,
        "passed": error <= 10 * SAME_NUMBERS,
    }


def _seeded(build: Callable[[Mapping], Any], attention: Mapping) -> Any:
    torch.manual_seed(0)
    return build(attention)


def _difference(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Return the largest relative difference between tensors, by their norms."""
    pairs = zip(found, expected, strict=True)
    return max(float((a - b).norm() / b.norm().clamp(min=1e-6)) for a, b in pairs)


def _seconds(call: Callable[[], Any], args: argparse.Namespace) -> float:
    """Return the seconds of a call: the median of three times, each of a few calls."""
    calls, times = 1 if args.quick else 5, []
    for _ in range(3):
        _wait(args)
        started = time.perf_counter()
        for _ in range(calls):
            call()
        _wait(args)
        times.append((time.perf_counter() - started) / calls)
    return statistics.median(times)


def _wait(args: argparse.Namespace) -> None:
    if args.device == "cuda":
        torch.cuda.synchronize()
