"""Short training runs in this process: a real trainer, a tiny model, a few batches."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import lightning
import torch
from torch.utils.data import DataLoader

from seq2seq.data.batch import Batch
from seq2seq.mappings import Softmax
from seq2seq.models import Recurrent
from seq2seq.nn.losses import SequenceLoss
from seq2seq.tasks.translation import Translation
from seq2seq.training.module import Seq2SeqModule
from seq2seq.training.nonfinite_updates import NonfiniteGuard
from seq2seq.training.schedules import constant

ADAM = functools.partial(torch.optim.Adam, lr=0.01)


def batches(number: int) -> list[Batch]:
    """Batches of two pairs of ids from 4 on."""
    draw = torch.Generator().manual_seed(1)
    made = []
    for k in range(number):
        source, target = (torch.randint(4, 30, (2, 6), generator=draw) for _ in range(2))
        source[:, -1] = target[:, -1] = 3
        target[:, 0] = 2
        lengths = torch.full((2,), 6)
        made.append(Batch(source, target, lengths, lengths, torch.tensor([2 * k, 2 * k + 1])))
    return made


def train(
    given: list[Batch],
    loss: SequenceLoss,
    optimizer: Callable[..., torch.optim.Optimizer] = ADAM,
    nonfinite_guard: NonfiniteGuard | None = None,
    **options: Any,
) -> tuple[dict[str, Any], lightning.Trainer]:
    """Weights and state of the optimizer after one pass over the batches."""
    torch.manual_seed(3)
    model = Recurrent(30, 30, mapping=Softmax(), embedding_size=8, hidden_size=8, dropout=0.0)
    module = Seq2SeqModule(Translation(), model, loss, optimizer, constant, nonfinite_guard)
    trainer = fit(module, given, gradient_clip_val=1.0, **options)
    state = trainer.optimizers[0].state_dict()["state"]
    kept = {f"{n}/{k}": v for n, entry in state.items() for k, v in entry.items()}
    return {**model.state_dict(), **kept}, trainer


def fit(module: Seq2SeqModule, given: list[Batch], **options: Any) -> lightning.Trainer:
    """One pass over the batches; options are those of the trainer."""
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(module, DataLoader(given, batch_size=None))  # type: ignore[arg-type]
    return trainer


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(torch.as_tensor(first[key]), torch.as_tensor(second[key])) for key in first
    )
