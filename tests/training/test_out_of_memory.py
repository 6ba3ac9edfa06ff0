"""A batch that does not fit into memory gives the same gradients in parts."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_runs import batches, train
from torch import Tensor

from seq2seq.data.batch import Batch
from seq2seq.mappings import Fusedmax, Mapping
from seq2seq.models import Transformer
from seq2seq.nn.chunked_loss import Projected
from seq2seq.nn.losses import SequenceLoss, SequenceLossOutput
from seq2seq.tasks.translation import Translation
from seq2seq.training.out_of_memory import Halving, is_out_of_memory

ALLOCATOR = (
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 40000000000 bytes. Error code 12 (Cannot allocate memory)"
)
ERRORS: dict[str, Callable[[], Exception]] = {
    "gpu": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "cpu": lambda: RuntimeError(ALLOCATOR),
    "python": MemoryError,
}


class Small(SequenceLoss):
    """A loss whose memory is out above ``most`` sentences, in the pass that is named."""

    def __init__(self, most: int, where: str = "forward", kind: str = "gpu") -> None:
        super().__init__(label_smoothing=0.1)
        self.most, self.where, self.kind = most, where, kind
        self.sizes: list[int] = []
        self.seen: list[weakref.ref[Tensor]] = []
        self.held = 0

    def __call__(
        self, logits: Projected, target: Tensor, mapping: Mapping, attention: Tensor | None = None
    ) -> SequenceLossOutput:
        self.held = max(self.held, sum(ref() is not None for ref in self.seen))
        self.sizes.append(len(target))
        self.seen.append(weakref.ref(logits.states))
        if len(target) > self.most:
            if self.where == "forward":
                raise ERRORS[self.kind]()
            logits.states.register_hook(self.fail)
        return super().__call__(logits, target, mapping, attention)

    def fail(self, gradient: Tensor) -> None:
        raise ERRORS[self.kind]()


def big_batch() -> Batch:
    """Seven pairs of different lengths."""
    draw = torch.Generator().manual_seed(2)
    lengths = torch.tensor([9, 8, 8, 6, 5, 4, 3])
    source, target = (torch.randint(4, 20, (7, 9), generator=draw) for _ in range(2))
    for row, length in enumerate(lengths.tolist()):
        source[row, length:] = target[row, length:] = 0
    target[:, 0] = 2
    return Batch(source, target, lengths, lengths, torch.arange(7))


def model() -> Transformer:
    torch.manual_seed(1)
    sizes = {"size": 8, "feedforward_size": 16, "heads": 2}
    layers = {"encoder_layers": 1, "decoder_layers": 1, "dropout": 0.0}
    mapping = Fusedmax(learn=["gamma"])
    return Transformer(20, 20, cross_mapping=mapping, **sizes, **layers).double()


def halving(net: Transformer, loss: SequenceLoss) -> Halving:
    return Halving(lambda batch: Translation().loss(net, batch, loss), [*net.parameters()])


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("where", ["forward", "backward"])
def test_parts_have_the_sums_and_gradients_of_the_whole(where: str, kind: str) -> None:
    batch, net, loss = big_batch(), model(), Small(2, where, kind)
    whole = Translation().loss(net, batch, SequenceLoss(label_smoothing=0.1))
    expected = torch.autograd.grad(whole.loss_sum / whole.tokens, [*net.parameters()])
    taken = halving(net, loss)
    found = taken(batch)
    (found.loss_sum / found.tokens).backward()
    assert loss.sizes == [7, 3, 1, 2, 4, 2, 2]
    assert taken.halved == 1
    for ours, theirs in zip(found, whole, strict=True):
        torch.testing.assert_close(ours, theirs)
    for parameter, gradient in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    assert loss.held == 0, "what an attempt or a part before had computed is let go"


def test_matching_weights_are_copied_exactly() -> None:
    batch, net, other = big_batch(), model(), model()
    loss = Small(7)
    halving(net, loss)(batch).loss_sum.backward()
    Translation().loss(other, batch, SequenceLoss(label_smoothing=0.1)).loss_sum.backward()
    assert loss.sizes == [7]
    assert all(
        torch.equal(ours.grad, theirs.grad)  # type: ignore[arg-type]
        for ours, theirs in zip(net.parameters(), other.parameters(), strict=True)
    )


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_training_continues_as_with_enough_memory(where: str) -> None:
    options = {"accumulate_grad_batches": 2}
    found, _ = train(batches(6), Small(1, where), **options)
    expected, _ = train(batches(6), SequenceLoss(label_smoothing=0.1), **options)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6)


def test_it_is_logged_once_for_a_size_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        _, trainer = train(batches(6), Small(1), log_every_n_steps=2)
    assert trainer.callback_metrics["train/halved_batches"] == 6
    (message,) = [r.message for r in caplog.records if "fit into memory" in r.message]
    assert message == (
        "a batch of 2 sentence pairs, 22 slots, does not fit into memory. It is processed in "
        "halves, which is slower; to avoid this, set data.batch.tokens=11"
    )


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_a_sentence_that_does_not_fit_alone_is_named(where: str) -> None:
    taken = halving(model(), Small(0, where))
    with pytest.raises(ValueError, match=r"of 9 and 9 subwords \(number 0 of the split\)"):
        taken(big_batch()).loss_sum.backward()


def test_other_errors_are_not_mistaken_for_it() -> None:
    def fail(batch: Batch) -> SequenceLossOutput:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        Halving(fail, [])(big_batch())
    assert not is_out_of_memory(ValueError("out of memory"))


def test_parts_are_computed_in_the_precision_of_the_whole() -> None:
    seen = []

    class Looking(Small):
        def __call__(self, logits: Projected, *rest: Any) -> SequenceLossOutput:
            seen.append(logits.whole().dtype)
            return super().__call__(logits, *rest)

    def half() -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16)

    net, loss = model().float(), Looking(4, "backward")
    taken = Halving(
        lambda batch: Translation().loss(net, batch, loss), [*net.parameters()], context=half
    )
    with half():
        found = taken(big_batch())
    found.loss_sum.backward()
    assert seen == [torch.bfloat16] * 3


def test_a_part_of_a_batch_needs_no_more_padding_than_its_longest() -> None:
    part = big_batch().part(slice(4, 6))
    assert part.source.shape == part.target.shape == (2, 5)
    assert part.indices.tolist() == [4, 5]
    assert part.ids(0) == big_batch().ids(4)


LIMITED = """
    import resource, torch
    from seq2seq.data.batch import Batch
    from seq2seq.nn.losses import SequenceLossOutput
    from seq2seq.training.out_of_memory import Halving

    layer = torch.nn.Linear(1, 2**20)

    def loss(batch):
        wide = layer(batch.source[:, :1].float()).pow(2)  # 4 MiB a sentence, and as much again
        return SequenceLossOutput(wide.sum(), wide.detach().sum(), batch.target_lengths.sum())

    def gradient(compute):
        layer.zero_grad()
        compute(batch).loss_sum.backward()
        return layer.weight.grad.clone()

    lengths = torch.ones(64, dtype=torch.int64)
    ids = torch.arange(64)[:, None] % 7
    batch = Batch(ids, ids, lengths, lengths, torch.arange(64))
    expected = gradient(loss)
    pages = int(open("/proc/self/statm").read().split()[0])
    limit = pages * resource.getpagesize() + 300 * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    halving = Halving(loss, [*layer.parameters()])
    torch.testing.assert_close(gradient(halving), expected)
    print(halving.halved)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_machine_without_enough_memory() -> None:
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED)],
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert result.stdout == "1\n", result.stderr
    assert "64 sentence pairs, 64 slots, does not fit into memory" in result.stderr


@pytest.mark.gpu
def test_a_gpu_without_enough_memory() -> None:
    layer = torch.nn.Linear(1, 2**24, device="cuda")
    ids = torch.arange(64, device="cuda")[:, None] % 7
    lengths = torch.ones(64, dtype=torch.int64, device="cuda")
    batch = Batch(ids, ids, lengths, lengths, torch.arange(64, device="cuda"))

    def loss(batch: Batch) -> SequenceLossOutput:
        wide = layer(batch.source[:, :1].float()).pow(2)
        return SequenceLossOutput(wide.sum(), wide.detach().sum(), batch.target_lengths.sum())

    loss(batch).loss_sum.backward()
    assert layer.weight.grad is not None
    expected = layer.weight.grad.clone()
    layer.zero_grad()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 3 * 2**30) / total)
    try:
        taken = Halving(loss, [*layer.parameters()])
        taken(batch).loss_sum.backward()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert taken.halved == 1
    torch.testing.assert_close(layer.weight.grad, expected)
