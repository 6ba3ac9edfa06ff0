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

from seq2seq.data.batch import Batch
from seq2seq.mappings import Mapping
from seq2seq.models.attending import AttendingModel
from seq2seq.nn.losses import SequenceLoss
from seq2seq.tasks import Task
from seq2seq.training.schedules import Plateau


def logging_interval(trainer: lightning.Trainer) -> int:
    """``trainer.log_every_n_steps``, which Lightning sets without declaring; at least 1."""
    return max(1, int(trainer.log_every_n_steps))  # type: ignore[attr-defined]


def parameter_groups(model: nn.Module) -> list[Any]:
    """What an optimizer takes: the trainable parameters, those of mappings in a group of their own.

    Weight decay would draw γ, λ, α and p to nothing of meaning; their group has none.
    """
    mappings = (part for part in model.modules() if isinstance(part, Mapping))
    own = {id(p): p for mapping in mappings for p in mapping.parameters() if p.requires_grad}
    others = [p for p in model.parameters() if p.requires_grad and id(p) not in own]
    if not own:
        return others
    return [{"params": others}, {"params": [*own.values()], "weight_decay": 0.0}]


class Seq2SeqModule(lightning.LightningModule):
    """Trains a model by maximum likelihood, or by its output mapping's Fenchel–Young loss.

    The loss of a batch is the mean over its target tokens (or classes). Logged every
    ``log_every_n_steps``: ``train/loss`` and ``train/perplexity``, means since the last time;
    ``train/gradient_norm`` (before clipping) and ``train/learning_rate`` of that update.

    Args:
        task: how the model reads a batch.
        model: what is trained.
        loss: summed loss and number of tokens, of logits and targets.
        optimizer: builds the optimizer from the parameters.
        schedule: builds the schedule from the optimizer.
    """

    def __init__(
        self,
        task: Task,
        model: AttendingModel,
        loss: SequenceLoss,
        optimizer: Callable[..., Optimizer],
        schedule: Callable[..., LRScheduler | Plateau],
    ) -> None:
        super().__init__()
        self.task = task
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.schedule = schedule
        #: The plateau schedule, if that is the one in use: validation steps it.
        self.plateau: Plateau | None = None
        #: Its state in a resumed run, until it exists.
        self._plateau_state: dict[str, Any] | None = None
        #: Of the batches since the last logged update, in a resumed run, until training starts.
        self._restored_totals: list[Tensor] = []
        #: Loss, negative log-likelihood and tokens of the batches since the last logged update.
        self._totals: list[Tensor] = []

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Mean loss of a target token."""
        result = self.task.loss(self.model, batch, self.loss)
        if self.plateau is not None:
            self.plateau.warm_up(self.trainer.global_step)
        self._totals.append(torch.stack([*result]).detach())
        return result.loss_sum / result.tokens.clamp(min=1)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip, and log the update that is about to be made: one norm serves both."""
        by_norm = gradient_clip_algorithm in (None, "norm") and gradient_clip_val
        limit = gradient_clip_val if by_norm and gradient_clip_val else math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.parameters(), limit)
        if not by_norm:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        if (self.trainer.global_step + 1) % logging_interval(self.trainer) == 0:
            loss_sum, nll_sum, tokens = torch.stack(self._totals).double().sum(0)
            self._totals.clear()
            self.log("train/loss", (loss_sum / tokens).float())
            self.log("train/perplexity", (nll_sum / tokens).exp().float())
            self.log("train/gradient_norm", norm)
            self.log("train/learning_rate", optimizer.param_groups[0]["lr"])

    def configure_optimizers(self) -> Any:
        """One optimizer over the trainable parameters; its schedule steps with every update."""
        try:
            optimizer = self.optimizer(parameter_groups(self.model))
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
        """Keep what Lightning does not see: the plateau schedule, the losses not logged yet."""
        checkpoint["totals"] = [*self._totals]
        if self.plateau is not None:
            checkpoint["plateau"] = self.plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the plateau schedule and the losses not logged yet."""
        self._plateau_state = checkpoint.get("plateau")
        self._restored_totals = checkpoint.get("totals", [])

    def on_train_start(self) -> None:
        """Finish the restoring of a resumed run's schedule.

        The plateau schedule gets its state, now that it exists. The rate of the others is computed
        anew: it may follow a limit that was changed.
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
