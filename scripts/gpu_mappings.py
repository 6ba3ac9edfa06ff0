"""Parts of `check_gpu.py`: the mappings and blockwise attention, beside softmax and AdaSplash."""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import statistics
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from bench_mappings import MAPPINGS, SHAPES, ours, peers
from gpu_report import Row
from mapping_bars import ADASPLASH, ON_GPU, OURS, TORCH
from mapping_race import BOTH, DIRECTIONS, Contender, Lane, Setting, race, take_turns
from torch import Tensor

from seq2seq.mappings.functional import entmax

ROUNDS, TURN = 9, 0.005
CHECKED_ROWS = 256
LARGEST_ERRORS = (1e-5, 1e-4)  # of weights and of products with the Jacobian, in float32
LENGTHS, LONGEST_MATRIX = (1024, 4096, 16384), 4096
CHECKED_LENGTH, LARGEST_RELATIVE_ERROR = 200, 1e-3


def mappings(args: argparse.Namespace) -> Iterator[Row]:
    """Race every mapping at every shape, after a check of its weights and derivatives."""
    shapes = ["8x16"] if args.quick else SHAPES["cuda"].split(",")
    names = ["softmax", "sparsemax", "fusedmax"] if args.quick else list(MAPPINGS)
    softmax = Contender("softmax", TORCH, partial(torch.softmax, dim=-1), "softmax")
    mine = list(ours(names))
    exact = {contender.mapping: contender.function for contender in mine}
    others = [peer for peer in peers(args.device) if peer.beside in exact]
    # Others last, because theirs may take long to compile, or fail.
    for contenders, shape in itertools.product((mine, others), shapes):
        setting = Setting(shape, 1.0, 1, BOTH, args.device, 2 if args.quick else ROUNDS, TURN)
        checks: dict[tuple[str, str], Row] = {}
        racing = []
        for contender in (softmax, *contenders) if contenders else ():
            row: Row = {"mapping": contender.mapping, "by": contender.by, "shape": shape}
            try:
                checked = _check(contender, exact[contender.beside], setting)
            except Exception:
                yield {**row, **failure(contender.by)}
                continue
            checks[contender.mapping, contender.by] = {**row, **checked}
            racing.append(contender)
        if racing:
            yield from _races(racing, setting, checks)


def failure(by: str) -> Row:
    """Return the columns for the exception that is being handled; code of others may fail."""
    ours_or_torch = by in (OURS, TORCH)
    return {"traceback" if ours_or_torch else "output": traceback.format_exc()}


def _races(
    contenders: Sequence[Contender], setting: Setting, checks: dict[tuple[str, str], Row]
) -> Iterator[Row]:
    microseconds: dict[tuple[str, str], Row] = {}
    for direction in DIRECTIONS:
        given = Setting(setting.shape, 1.0, 1, direction, *_rest(setting))
        for result in race(contenders, given):
            row = microseconds.setdefault((result.mapping, result.by), {})
            name = "both" if direction == BOTH else "forward"
            row[f"{name} µs"] = result.median * 1e6
            row[f"{name} ÷ softmax"] = result.ratio
    for key, row in microseconds.items():
        if key[1] == OURS and setting.device == "cuda":
            row[f"bar ≤ {ON_GPU:g}"] = "met" if row["both ÷ softmax"] <= ON_GPU else "not met"
        yield {**checks[key], **row}


def _rest(setting: Setting) -> tuple[str, int, float]:
    return setting.device, setting.rounds, setting.turn


def _check(contender: Contender, exact: Callable[[Tensor], Tensor], setting: Setting) -> Row:
    """Return the errors against the CPU in float64, and the seconds of the first call."""
    generator = torch.Generator().manual_seed(0)
    rows, length = setting.size
    x = torch.randn(rows, length, generator=generator)
    v = torch.randn(rows, length, generator=generator)
    on_device = x.to(setting.device).requires_grad_()
    started = time.perf_counter()
    y = contender.function(on_device)
    (gradient,) = torch.autograd.grad(y, on_device, v.to(setting.device))
    found = y.detach().cpu(), gradient.cpu()  # which waits for the device
    first = time.perf_counter() - started
    some = x[:CHECKED_ROWS].double().requires_grad_()
    expected = exact(some)
    products = torch.autograd.grad(expected, some, v[:CHECKED_ROWS].double())
    pairs = zip(found, (expected, *products), strict=True)
    errors = [float((a[:CHECKED_ROWS] - b.detach()).abs().max()) for a, b in pairs]
    row: Row = {"error of weights": errors[0], "error of products": errors[1], "first s": first}
    if contender.by == OURS:
        limits = zip(errors, LARGEST_ERRORS, strict=True)
        row["passed"] = all(error <= limit for error, limit in limits)
    return row


@dataclass(frozen=True)
class Attention:
    """A way to compute attention, ``(q, k, v) → output``, with entmax of ``alpha``; 1: softmax."""

    name: str
    by: str
    alpha: float
    function: Callable[[Tensor, Tensor, Tensor], Tensor]
    longest: int = 2**30


def attention(args: argparse.Namespace) -> Iterator[Row]:
    """Race kinds of attention, forward and backward, after a check of output and gradients."""
    shape = (1, 1, 24, 16) if args.quick else (4, 8, 0, 64)
    for others, causal in itertools.product((False, True), repeat=2):
        kinds = list(adasplash_attentions(causal) if others else attentions(causal))
        if not kinds or (others and args.device == "cpu"):
            continue
        softmax = partial(F.scaled_dot_product_attention, is_causal=causal)
        good = []
        for kind in (Attention("softmax", TORCH, 1.0, softmax), *kinds):
            row: Row = {"attention": kind.name, "by": kind.by, "causal": causal}
            try:
                errors = attention_errors(kind, causal, args)
            except Exception:
                yield {**row, **failure(kind.by)}
                continue
            good.append((kind, {**row, "error": max(errors)}))
            if kind.by == OURS:
                good[-1][1]["passed"] = max(errors) <= LARGEST_RELATIVE_ERROR
        for length in (shape[2],) if args.quick else LENGTHS:
            size = (*shape[:2], length, shape[3])
            fitting = [(kind, row) for kind, row in good if length <= kind.longest]
            yield from _attention_race(fitting, size, args)


def attentions(causal: bool) -> Iterator[Attention]:
    """Give our kinds."""
    from seq2seq.mappings.gpu.attention import sparse_attention

    for alpha in (1.5, 2.0, 1.3):
        blocks = partial(sparse_attention, alpha=alpha, causal=causal)
        yield Attention(f"blockwise entmax {alpha}", OURS, alpha, blocks)
    matrix = partial(by_matrix, alpha=1.5, causal=causal)
    yield Attention("matrix of scores, entmax 1.5", OURS, 1.5, matrix, LONGEST_MATRIX)


def adasplash_attentions(causal: bool) -> Iterator[Attention]:
    """Give the kinds of the AdaSplash package, if it is installed; its second is causal."""
    if importlib.util.find_spec("adasplash") is None:
        return
    import adasplash

    first = partial(adasplash.adasplash_v1, alpha=1.5, is_causal=causal)
    yield Attention("adasplash_v1 1.5", ADASPLASH, 1.5, first)
    if causal:
        yield Attention("adasplash_v2 1.5", ADASPLASH, 1.5, adasplash.adasplash_v2)


def by_matrix(q: Tensor, k: Tensor, v: Tensor, *, alpha: float, causal: bool) -> Tensor:
    """Return attention with a matrix of scores; ``alpha=1`` is softmax."""
    scores = q @ k.mT * q.shape[-1] ** -0.5
    mask = scores.new_ones(scores.shape[-2:], dtype=torch.bool).tril() if causal else None
    if alpha == 1:
        scores = scores if mask is None else scores.masked_fill(~mask, -torch.inf)
        return scores.softmax(-1) @ v
    return entmax(scores, mask, alpha=alpha) @ v


def attention_errors(kind: Attention, causal: bool, args: argparse.Namespace) -> list[float]:
    """Return the relative errors of output and gradients in float32, against float64 on the CPU."""
    generator = torch.Generator().manual_seed(0)
    shape = (1, 1, 24, 16) if args.quick else (2, 3, CHECKED_LENGTH, 64)
    tensors = [torch.randn(shape, generator=generator) for _ in range(4)]
    found = _with_gradients(kind.function, [x.to(args.device) for x in tensors])
    reference = partial(by_matrix, alpha=kind.alpha, causal=causal)
    expected = _with_gradients(reference, [x.double() for x in tensors])
    pairs = zip(found, expected, strict=True)
    return [float((a.cpu() - b).norm() / b.norm()) for a, b in pairs]


def _with_gradients(function: Callable[..., Tensor], tensors: Sequence[Tensor]) -> list[Tensor]:
    leaves = [x.detach().requires_grad_() for x in tensors[:3]]
    out = function(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, tensors[3])]


def _attention_race(
    contenders: Sequence[tuple[Attention, Row]], size: tuple[int, ...], args: argparse.Namespace
) -> Iterator[Row]:
    on_gpu = args.device == "cuda"
    dtype = torch.bfloat16 if on_gpu else torch.float32  # the interpreter has no bfloat16
    tensors = [torch.randn(4, *size, device=args.device, dtype=dtype) for _ in range(4)]
    lanes, rows = [], []
    for kind, checks in contenders:
        row = {**checks, "length": size[2]}

        def call(x: Tensor, function: Callable[..., Tensor] = kind.function) -> Any:
            return _with_gradients(function, x.unbind(0))

        try:
            if on_gpu:
                torch.cuda.reset_peak_memory_stats()
                before = torch.cuda.memory_allocated()
                call(tensors[0])
                row["MiB"] = (torch.cuda.max_memory_allocated() - before) / 2**20
            lanes.append(Lane(call, tensors, TURN))
            rows.append(row)
        except Exception:
            yield {**row, **failure(kind.by)}
    if not lanes:
        return
    seconds = take_turns(lanes, 2 if args.quick else ROUNDS)
    for row, mine in zip(rows, seconds, strict=True):
        ratios = itertools.starmap(lambda a, b: a / b, zip(mine, seconds[0], strict=True))
        yield {
            **row,
            "µs": statistics.median(mine) * 1e6,
            "÷ softmax": statistics.median(ratios),
        }
