"""Shard a model over several devices (FSDP), and gather its full weights when needed."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.distributed
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from seq2seq.models.attending import AttendingModel


class FullySharded(ModelParallelStrategy):
    """FSDP2 strategy over all processes; the training state is a single file, as on one device.

    The processes must be connected already (``torch.distributed.init_process_group``).

    Args:
        options: arguments of the base class: ``timeout``, ``process_group_backend``.
    """

    def __init__(self, **options: Any) -> None:
        size = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
        super().__init__(
            data_parallel_size=size,
            tensor_parallel_size=1,
            save_distributed_checkpoint=False,
            **options,
        )

    # The methods below replace Lightning's, which look parameters up by attribute name. In a
    # mapping the attribute of that name is not the parameter.

    @property
    def lightning_restore_optimizer(self) -> bool:
        """Return True, so that Lightning restores the optimizer's state."""
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Return the full weights of the module; all processes must call this."""
        assert self.lightning_module is not None
        return _gathered(self.lightning_module.state_dict())

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Return the full state of the optimizer; all processes must call this."""
        return _gathered(optimizer.state_dict())

    def load_checkpoint(
        self, checkpoint_path: Any, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read the full training state on every process."""
        return self.checkpoint_io.load_checkpoint(checkpoint_path, weights_only=weights_only)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Load this process's shards of the weights."""
        module = self.lightning_module
        assert module is not None
        shards = module.state_dict()
        weights = checkpoint["state_dict"].items()
        own = {name: _shard(value, shards[name]) for name, value in weights}
        module.load_state_dict(own, strict=strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Load this process's shards of the optimizer's state."""
        for optimizer, whole in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            own = {
                number: {name: _shard(value, parameters[number]) for name, value in state.items()}
                for number, state in whole["state"].items()
            }
            optimizer.load_state_dict({**whole, "state": own})


def _gathered(node: Any) -> Any:
    """Return a nested dict with each shard replaced by its full tensor on the CPU."""
    if isinstance(node, dict):
        return {key: _gathered(value) for key, value in node.items()}
    return node.full_tensor().cpu() if isinstance(node, DTensor) else node


def _shard(value: Any, like: Tensor) -> Any:
    """Shard a full tensor like ``like``; return it unchanged if that is no shard of its shape."""
    if not isinstance(like, DTensor) or not isinstance(value, Tensor) or value.shape != like.shape:
        return value
    return distribute_tensor(
        value.to(like.device), like.device_mesh, like.placements, src_data_rank=None
    )


class Sharded:
    """A model sharded in place: each layer of a stack is one unit, and the rest is another.

    Scalars, such as a learned γ, cannot be sharded. Every process keeps a copy of them.

    Args:
        model: the model, with the same weights on all processes.
        mesh: one-dimensional mesh of the processes.
    """

    def __init__(self, model: AttendingModel, mesh: DeviceMesh) -> None:
        self.model = model
        self._whole = copy.deepcopy(model)
        self.kept = [parameter for parameter in model.parameters() if parameter.dim() == 0]
        for layer in _stacked(model):
            # A decoder layer computes the source's keys and values before its own forward pass.
            # That call gathers the layer's weights, which then stay until the backward pass.
            early = hasattr(layer, "keys_values")
            fully_shard(
                layer, mesh=mesh, reshard_after_forward=not early, ignored_params={*self.kept}
            )
            if early:
                register_fsdp_forward_method(layer, "keys_values")
        fully_shard(model, mesh=mesh, ignored_params={*self.kept})

    def average_kept_gradients(self) -> None:
        """Average the gradients of the parameters that are not sharded over all processes."""
        for parameter in self.kept:
            if parameter.grad is not None:
                torch.distributed.all_reduce(parameter.grad)
                parameter.grad /= torch.distributed.get_world_size()

    @torch.no_grad()
    def whole(self) -> AttendingModel:
        """Return an unsharded model with the current weights; all processes must call this."""
        state = self.model.state_dict()
        device = next(iter(state.values())).device
        for name, kept in self._whole.to(device).state_dict().items():
            value = state[name]
            kept.copy_(value.full_tensor() if isinstance(value, DTensor) else value)
        return self._whole.train(self.model.training)


def _stacked(model: nn.Module) -> Iterator[nn.Module]:
    """Return the layers of the model's stacks."""
    return (layer for part in model.children() if isinstance(part, nn.ModuleList) for layer in part)
