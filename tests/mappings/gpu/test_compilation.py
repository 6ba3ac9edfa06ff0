"""The kernels compile without a device, which checks types that the interpreter ignores."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from seq2seq.mappings import gpu

MASK, GAMMA = torch.ones(2, 1, 1, 30, dtype=torch.bool), torch.ones(3, 1, 1)
PLAIN, MASKED = (None, None, None), (MASK, GAMMA, 1.4 * GAMMA)
CAPABILITIES = (80, 90, 100)  # of the A100, the H100 and H200, and the B200


@pytest.mark.slow
@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("kernels", ["rows", pytest.param("attention", marks=pytest.mark.thorough)])
def test_every_kernel_compiles_for_a_device(tmp_path, kernels, capability):
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path)}
    environment.pop("TRITON_INTERPRET", None)  # in a process where kernels are not interpreted
    command = [sys.executable, str(Path(__file__)), kernels, str(capability)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]


class Device:
    """A device of a compute capability, such as 90, to compile for, never to launch on."""

    def __init__(self, capability):
        self.capability = capability

    def get_current_target(self):
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", self.capability, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device=None):
        return 0


class Compiled:
    """A kernel that is compiled for the arguments of a call, and not launched."""

    def __init__(self, kernel):
        self.kernel = kernel

    def __getitem__(self, grid):
        return lambda *values, **keywords: self.kernel.warmup(*values, grid=grid, **keywords)


def compile_rows():
    """Each mapping in each type, with and without a mask; one mapping in every combination."""
    from seq2seq.mappings.gpu import launch

    for name in ("forward_kernel", "backward_kernel"):
        setattr(launch, name, Compiled(getattr(launch, name)))
    cases = [(name, torch.bfloat16, MASKED) for name in gpu.NAMES]
    cases += [(name, torch.float64, PLAIN) for name in gpu.NAMES]
    cases += [("sparsemax", torch.bfloat16, PLAIN), ("sparsemax", torch.float64, MASKED)]
    for name, dtype, given in cases:
        x = torch.zeros(2, 3, 4, 30, dtype=dtype)
        gpu.argmax(name, x, *given, 1.0, 1.3)
        gpu.jacobian_product(name, x, x, x, *given, 1.0, 1.3)
    for alpha in (1.5, 2.0):
        gpu.argmax("entmax", torch.zeros(30), *PLAIN, 1.0, alpha)


def compile_attention():
    """Every pair of an α, a type and a kind of mask."""
    from seq2seq.mappings.gpu import attention, attention_kernels

    for name in ("forward", "backward_query", "backward_key"):
        setattr(attention_kernels, name, Compiled(getattr(attention_kernels, name)))
    causal, masked = {"causal": True}, {"mask": MASK[..., :5]}
    for alpha, half, single in [
        (1.3, causal, masked),
        (1.5, masked, causal),
        (2.0, causal, masked),
    ]:
        for dtype, given in [(torch.float16, half), (torch.float32, single)]:
            tensors = [torch.zeros(2, 3, 5, 64, dtype=dtype, requires_grad=True) for _ in range(3)]
            attention.sparse_attention(*tensors, alpha=alpha, **given).sum().backward()


if __name__ == "__main__":
    import triton

    triton.runtime.driver.set_active(Device(int(sys.argv[2])))
    {"rows": compile_rows, "attention": compile_attention}[sys.argv[1]]()
