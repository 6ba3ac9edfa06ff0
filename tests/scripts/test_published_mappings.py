"""The "published" contender of the benchmark is the published algorithm."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from seq2seq.mappings import functional

SCRIPT = Path(__file__).parents[2] / "scripts" / "published_mappings.py"
PUBLISHED: dict[str, Any] = runpy.run_path(str(SCRIPT))


def pairs(name: str, shift: float, rewritten: bool) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Weights and gradients, as published and ours."""
    generator = torch.Generator().manual_seed(0)
    x = (torch.randn(20, 30, generator=generator) + shift).requires_grad_()
    vectors = torch.randn(20, 30, generator=generator)
    theirs = PUBLISHED["published"](name, 0.1, rewritten=rewritten)(x)
    ours = getattr(functional, name)(x, lam=0.1)
    return [
        (theirs, ours),
        (torch.autograd.grad(theirs, x, vectors)[0], torch.autograd.grad(ours, x, vectors)[0]),
    ]


@pytest.mark.parametrize("rewritten", [True, False])
@pytest.mark.parametrize(("name", "shift"), [("fusedmax", 0.0), ("oscarmax", 10.0)])
def test_published_and_ours_agree_where_they_should(name: str, shift: float, rewritten: bool):
    if not rewritten and PUBLISHED["package"] is None:
        pytest.skip("torchsparseattn is not installed")
    for theirs, ours in pairs(name, shift, rewritten):
        torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=0.0)


def test_published_oscarmax_keeps_its_fault():
    theirs, ours = pairs("oscarmax", -1.0, rewritten=True)[0]
    assert ((theirs - ours).abs().amax(-1) > 1e-3).sum() > 10
