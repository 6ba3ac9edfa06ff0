"""A model in shards over several devices (FSDP), and whole again where it has to be."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
import torch.distributed
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from seq2seq.models.attending import AttendingModel


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
