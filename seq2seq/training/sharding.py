"""A model in shards over several devices (FSDP), and whole again where it has to be."""

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
    """Lightning's FSDP2 over all processes; the state of training is one file, as on one device.

    Args:
        options: of the base class: ``timeout``, ``process_group_backend``.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False, **options)

    def setup_environment(self) -> None:
        """Shard over all processes, now that their number is known."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    # Lightning finds parameters by the names of attributes, and a mapping's are not their values.

    @property
    def lightning_restore_optimizer(self) -> bool:
        """Lightning asks for the optimizer's state to be restored."""
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """The module's whole weights; all processes take part."""
        assert self.lightning_module is not None
        return _gathered(self.lightning_module.state_dict())

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The optimizer's whole state; all processes take part."""
        return _gathered(optimizer.state_dict())

    def load_checkpoint(
        self, checkpoint_path: Any, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read the state of training, whole, on every process."""
        return self.checkpoint_io.load_checkpoint(checkpoint_path, weights_only=weights_only)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Take this process's shards of the weights."""
        module = self.lightning_module
        assert module is not None
        held = module.state_dict()
        given = checkpoint["state_dict"].items()
        own = {name: _shard(value, held[name]) for name, value in given}
        module.load_state_dict(own, strict=strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Take this process's shards of the optimizer's state."""
        for optimizer, whole in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            own = {
                number: {name: _shard(value, parameters[number]) for name, value in state.items()}
                for number, state in whole["state"].items()
            }
            optimizer.load_state_dict({**whole, "state": own})


def _gathered(node: Any) -> Any:
    """The same with whole tensors, on the CPU, in the place of shards."""
    if isinstance(node, dict):
        return {key: _gathered(value) for key, value in node.items()}
    return node.full_tensor().cpu() if isinstance(node, DTensor) else node


def _shard(value: Any, like: Tensor) -> Any:
    """A whole tensor cut as ``like`` is, if it is cut and they are of the same shape."""
    if not isinstance(like, DTensor) or not isinstance(value, Tensor) or value.shape != like.shape:
        return value
    return distribute_tensor(
        value.to(like.device), like.device_mesh, like.placements, src_data_rank=None
    )


class Sharded:
    """Shards a model in place: each layer of a stack is gathered by itself, then all the rest.

    Scalars, such as a learned γ, cannot be cut: every process keeps them.

    Args:
        model: of the same weights on all processes.
        mesh: of the processes, of one dimension.
    """

    def __init__(self, model: AttendingModel, mesh: DeviceMesh) -> None:
        self.model = model
        self._whole = copy.deepcopy(model)
        self.kept = [parameter for parameter in model.parameters() if parameter.dim() == 0]
        for layer in _stacked(model):
            # What a decoder's layer makes of the source is asked for before the layer is called:
            # its weights are gathered then, and stay until the way back.
            asked = hasattr(layer, "keys_values")
            fully_shard(
                layer, mesh=mesh, reshard_after_forward=not asked, ignored_params={*self.kept}
            )
            if asked:
                register_fsdp_forward_method(layer, "keys_values")
        fully_shard(model, mesh=mesh, ignored_params={*self.kept})

    def average_kept_gradients(self) -> None:
        """The mean over all processes of the gradients of what is not sharded."""
        for parameter in self.kept:
            if parameter.grad is not None:
                torch.distributed.all_reduce(parameter.grad)
                parameter.grad /= torch.distributed.get_world_size()

    @torch.no_grad()
    def whole(self) -> AttendingModel:
        """A plain model with all weights as they are now; all processes have to take part."""
        state = self.model.state_dict()
        device = next(iter(state.values())).device
        for name, kept in self._whole.to(device).state_dict().items():
            value = state[name]
            kept.copy_(value.full_tensor() if isinstance(value, DTensor) else value)
        return self._whole.train(self.model.training)


def _stacked(model: nn.Module) -> Iterator[nn.Module]:
    """The layers of the model's stacks."""
    return (layer for part in model.children() if isinstance(part, nn.ModuleList) for layer in part)
