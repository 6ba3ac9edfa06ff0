"""Mappings in exported programs: only PyTorch's operators, and the same weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from seq2seq.mappings import Entmax, Fusedmax, Mapping, Oscarmax
from seq2seq.mappings.implementations import reference
from seq2seq.mappings.tracing import tracing

BATCH, LENGTH = Dim("batch", min=1, max=4096), Dim("length", min=1, max=4096)
SHAPES = [(1, 1), (3, 2), (2, 40), (5, 13)]


class Attend(nn.Module):
    def __init__(self, mapping: Mapping) -> None:
        super().__init__()
        self.mapping = mapping

    def forward(self, scores: Tensor, mask: Tensor) -> Tensor:
        return self.mapping(scores, mask[:, None])


def exported(mapping: Mapping) -> ExportedProgram:
    inputs = torch.randn(3, 4, 7).double(), torch.ones(3, 7, dtype=torch.bool)
    shapes = {"scores": {0: BATCH, 2: LENGTH}, "mask": {0: BATCH, 1: LENGTH}}
    with tracing():
        return torch.export.export(
            Attend(mapping),
            inputs,
            dynamic_shapes=shapes,
            # PyTorch 2.11 does not see that min(length, 4 · length) is length.
            prefer_deferred_runtime_asserts_over_guards=True,
        )


def operations(program: ExportedProgram) -> set[str]:
    graphs = (getattr(module, "graph", None) for module in program.graph_module.modules())
    return {str(node.target) for graph in graphs if graph is not None for node in graph.nodes}


@pytest.mark.parametrize(
    "mapping",
    [
        lambda: Entmax(alpha=1.2, gamma=0.3),
        lambda: Fusedmax(gamma=0.1, lam=0.3),
        lambda: Oscarmax(gamma=0.1, lam=torch.tensor([[0.02], [0.0], [0.3], [0.1]])),
    ],
)
def test_an_exported_program_has_the_same_weights_by_operations_of_pytorch_alone(
    mapping: Callable[[], Mapping],
) -> None:
    own = mapping()
    program = exported(own)
    assert not [name for name in operations(program) if "seq2seq" in name]
    attend = program.module()
    torch.manual_seed(0)
    for batch, length in SHAPES:
        for scale in (0.3, 30.0):
            scores = (torch.randn(batch, 4, length) * scale).double().round(decimals=1)
            mask = torch.rand(batch, length) < 0.7  # holes, and rows of nothing
            expected = own(scores, mask[:, None])
            torch.testing.assert_close(attend(scores, mask), expected, rtol=0, atol=1e-9)
            with reference():
                torch.testing.assert_close(own(scores, mask[:, None]), expected, rtol=0, atol=1e-9)


def test_outside_of_tracing_a_mapping_is_one_operator_of_this_package() -> None:
    inputs = torch.randn(3, 4, 7), torch.ones(3, 7, dtype=torch.bool)
    program = torch.export.export(Attend(Fusedmax()), inputs)
    assert "seq2seq.weights.default" in operations(program)
