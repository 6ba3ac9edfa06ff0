"""The kernels behind the public functions, as used for CUDA tensors."""

import pytest
import torch

from seq2seq.mappings import (
    Entmax,
    Fusedmax,
    Normmax,
    Oscarmax,
    Sparsemax,
    Sqpnormmax,
    implementations,
)

MAPPINGS = [
    Sparsemax(),
    Entmax(alpha=1.3),
    Sqpnormmax(),
    Normmax(p=1.5),
    Fusedmax(lam=0.2, gamma=0.5),
    Oscarmax(lam=0.05),
]


@pytest.mark.parametrize("mapping", MAPPINGS, ids=repr)
def test_values_gradients_and_learned_parameters_are_the_references(mapping, device, monkeypatch):
    monkeypatch.setitem(implementations.PLACES, device, "gpu.kernels")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 17, generator=generator).to(device)
    v = torch.randn(2, 3, 17, generator=generator).to(device)
    mask = (torch.rand(2, 1, 17, generator=generator) < 0.7).to(device)
    results = []
    for reference in (False, True):
        leaf = x.clone().requires_grad_()
        gamma = torch.tensor([[0.5], [1.0], [2.0]], device=device, requires_grad=True)
        learned = type(mapping)(gamma=gamma, **_theta(mapping))
        with implementations.reference() if reference else torch.enable_grad():
            y = learned(leaf, mask)
            value = learned.max(leaf, mask)
            (y * v).sum().backward(retain_graph=True)
            value.sum().backward()
        results.append((y.detach(), value.detach(), leaf.grad, gamma.grad))
    torch.testing.assert_close(results[0], results[1], atol=2e-6, rtol=2e-5)


def _theta(mapping):
    domain = mapping.omega.domain
    return {} if domain is None else {domain.name: mapping.omega.parameter}
