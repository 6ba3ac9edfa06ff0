"""The LightningModule: one training step, its loss, its optimizer and its schedule."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from seq2seq.data.batch import Batch
from seq2seq.mappings import Mapping
from seq2seq.models.attending import AttendingModel
from seq2seq.nn.losses import SequenceLoss
from seq2seq.tasks import Task
from seq2seq.training.gradients import scale_and_clip
from seq2seq.training.logging_interval import logging_interval
from seq2seq.training.nonfinite_updates import NonfiniteGuard
from seq2seq.training.optimizer import build_optimizer
from seq2seq.training.out_of_memory import Halving
from seq2seq.training.schedules import Plateau
from seq2seq.training.sharding import FullySharded, Sharded

#: Divisor of summed losses, which keeps them in the range of half precision. It is a power of two,
#: so the division is exact.
SCALE = 1024.0


def parameter_groups(model: nn.Module) -> list[Any]:
    """Return the trainable parameters for an optimizer, with those of mappings in their own group.

    That group has no weight decay, which would pull γ, λ, α and p towards values without meaning.
    """
    mappings = (part for part in model.modules() if isinstance(part, Mapping))
    own = {id(p): p for mapping in mappings for p in mapping.parameters() if p.requires_grad}
    others = [p for p in model.parameters() if p.requires_grad and id(p) not in own]
    if not own:
        return others
    return [{"params": others}, {"params": [*own.values()], "weight_decay": 0.0}]


class Seq2SeqModule(lightning.LightningModule):
    """LightningModule that trains by maximum likelihood or a mapping's Fenchel–Young loss.

    The loss of an update is the mean over its target tokens (or classes), over all accumulated
    batches and all processes. Each batch backpropagates its sum. The gradients are divided by the
    total number of tokens just before they are clipped.

    Logged every ``log_every_n_steps`` updates:

    - ``train/loss`` and ``train/perplexity``: means since they were last logged, over the updates
      whose loss is finite;
    - ``train/gradient_norm`` (before clipping) and ``train/learning_rate`` of this update;
    - ``train/skipped_updates`` of the run (see ``NonfiniteGuard``);
    - ``train/halved_batches`` of this process (see ``Halving``).

    Args:
        task: computes the loss of the model on a batch.
        model: the model to train.
        loss: returns the summed loss and the number of tokens, from logits and targets.
        optimizer: builds the optimizer from the parameters.
        schedule: builds the schedule from the optimizer.
        nonfinite_guard: skips non-finite updates; None: ``NonfiniteGuard()``.
        compile: returns the callable that training steps use in place of the model, such as
            `torch.compile`; None: training steps call the model itself. Everything else, including
            validation, calls the model.
        ema_decay: d of the exponential moving average of the weights, w̄ ← d·w̄ + (1 − d)·w after
            every update. Validations, and so the checkpoints, use it. None: none.

    Raises:
        ValueError: if the decay is not between 0 and 1.
    """

    def __init__(
        self,
        task: Task,
        model: AttendingModel,
        loss: SequenceLoss,
        optimizer: Callable[..., Optimizer],
        schedule: Callable[..., LRScheduler | Plateau],
        nonfinite_guard: NonfiniteGuard | None = None,
        compile: Callable[[AttendingModel], Any] | None = None,
        ema_decay: float | None = None,
    ) -> None:
        super().__init__()
        if ema_decay is not None and not 0 < ema_decay < 1:
            raise ValueError(f"ema.decay={ema_decay} has to be above 0 and below 1")
        self.ema_decay = ema_decay
        #: The averaged model; None before :meth:`begin_average`, or if nothing is averaged.
        self.averaged: AveragedModel | None = None
        self.task = task
        self.model = model
        # The tuple hides it from PyTorch, which would register it as a second module with weights.
        self._trained = (model if compile is None else compile(model),)
        self.loss = loss
        self.optimizer = optimizer
        self.schedule = schedule
        self.nonfinite_guard = nonfinite_guard or NonfiniteGuard()
        self.halving = Halving(
            lambda batch: self.task.loss(self._trained[0], batch, self.loss),
            [*model.parameters()],
            lambda: self.trainer.precision_plugin.forward_context(),
        )
        #: The plateau schedule, which validation steps; None with any other schedule.
        self.plateau: Plateau | None = None
        #: In a resumed run, the plateau schedule's state, kept until that schedule is built.
        self._plateau_state: dict[str, Any] | None = None
        #: In a resumed run, the saved value of `_totals`, kept until training starts.
        self._restored_totals: list[Tensor] = []
        #: Summed loss, negative log-likelihood and tokens of each update since the last logged one.
        self._totals: list[Tensor] = []
        #: The same three sums of each batch of the current update, in this process.
        self._batches: list[Tensor] = []
        #: The sharded model; None with another strategy than `FullySharded`.
        self.sharded: Sharded | None = None

    def configure_model(self) -> None:
        """Shard the model if the strategy is :class:`FullySharded`."""
        strategy = self.trainer.strategy
        if isinstance(strategy, FullySharded) and self.averaged is not None:
            raise ValueError(
                "ema.decay averages whole weights, which trainer=fsdp does not have; use "
                "trainer=ddp, or set ema.decay=null"
            )
        if isinstance(strategy, FullySharded) and self.sharded is None:
            self.sharded = Sharded(self.model, strategy.device_mesh["data_parallel"])

    def begin_average(self) -> None:
        """Create the averaged model, if the weights are averaged.

        Call this before a state is loaded, and after everything has been added to the model, such
        as an annealed γ.
        """
        if self.ema_decay is not None and self.averaged is None:
            average = get_ema_multi_avg_fn(self.ema_decay)
            self.averaged = AveragedModel(self.model, multi_avg_fn=average).requires_grad_(False)

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        """Update the weights, and then their average."""
        super().optimizer_step(*arguments, **options)
        if self.averaged is not None:
            self.averaged.update_parameters(self.model)

    def whole_model(self) -> AttendingModel:
        """Return the model with all its weights on this device; the averaged one, if there is one.

        All processes must call this at the same time.
        """
        if self.averaged is not None:
            averaged: Any = self.averaged.module
            return averaged
        return self.model if self.sharded is None else self.sharded.whole()

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the summed loss of the target tokens, divided by ``SCALE``."""
        result = self.halving(batch)
        if self.plateau is not None:
            self.plateau.warm_up(self.trainer.global_step)
        self._batches.append(torch.stack([*result]).detach())
        return self.nonfinite_guard.guard(result.loss_sum, result.tokens) / SCALE

    def configure_callbacks(self) -> list[lightning.Callback]:
        """Return the callbacks that any trainer of this module needs."""
        return [self.nonfinite_guard]

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Turn gradients of sums into gradients of means, clip them, and log the coming update.

        The gradient norm is computed once and used for all three. Each process and each accumulated
        batch counts by its number of tokens; Lightning alone would weight them equally.
        """
        sums = torch.stack(self._batches).double().sum(0)
        self._batches.clear()
        sums = self.trainer.strategy.reduce(sums, reduce_op="sum")
        self._totals.append(sums)
        scale = SCALE * self.trainer.world_size * self.trainer.accumulate_grad_batches
        if self.sharded is not None:
            self.sharded.average_kept_gradients()
        by_norm = gradient_clip_algorithm in (None, "norm") and gradient_clip_val
        limit = gradient_clip_val if by_norm and gradient_clip_val else math.inf
        norm = scale_and_clip(self.parameters(), scale / sums[2].clamp(min=1), limit)
        if not by_norm:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        self.nonfinite_guard.judge(optimizer, norm, self.trainer.global_step + 1)
        if (self.trainer.global_step + 1) % logging_interval(self.trainer) == 0:
            totals = torch.stack(self._totals)
            finite = totals[:, :1].isfinite()
            loss_sum, nll_sum, tokens = totals.where(finite, 0.0).sum(0)
            self._totals.clear()
            self.log("train/loss", (loss_sum / tokens).float())
            self.log("train/perplexity", (nll_sum / tokens).exp().float())
            self.log("train/gradient_norm", norm)
            self.log("train/halved_batches", float(self.halving.halved))
            self.log("train/learning_rate", optimizer.param_groups[0]["lr"])

    def configure_optimizers(self) -> Any:
        """Return one optimizer of the trainable parameters, and a schedule stepped every update."""
        try:
            scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
            optimizer = build_optimizer(self.optimizer, parameter_groups(self.model), scaled)
            schedule = self.schedule(optimizer)
        except TypeError as error:
            raise ValueError(f"optimizer or schedule: {error}") from error
        if isinstance(schedule, Plateau):
            self.plateau = schedule
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step", "frequency": 1},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save what Lightning does not: the plateau schedule and the losses not logged yet."""
        checkpoint["totals"] = [*self._totals]
        if self.plateau is not None:
            checkpoint["plateau"] = self.plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the plateau schedule and the losses not logged yet."""
        self._plateau_state = checkpoint.get("plateau")
        self._restored_totals = checkpoint.get("totals", [])

    def on_train_start(self) -> None:
        """Restore the schedule of a resumed run.

        The plateau schedule loads its state here, because it did not exist earlier. The learning
        rate of the others is recomputed, because the user may have changed a limit it depends on.
        """
        self._totals = [totals.to(self.device) for totals in self._restored_totals]
        for config in self.trainer.lr_scheduler_configs:
            schedule = config.scheduler
            if isinstance(schedule, LambdaLR):
                for group, base, factor in zip(
                    schedule.optimizer.param_groups,
                    schedule.base_lrs,
                    schedule.lr_lambdas,
                    strict=True,
                ):
                    group["lr"] = base * factor(schedule.last_epoch)
        if self.plateau is not None and self._plateau_state is not None:
            self.plateau.load_state_dict(self._plateau_state)
