"""The kernels compile for a device, which need not be there: the interpreter checks no types."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from seq2seq.mappings import gpu


@pytest.mark.slow
def test_every_kernel_compiles_for_a_device(tmp_path):
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path)}
    environment.pop("TRITON_INTERPRET", None)  # in a process where kernels are not interpreted
    command = [sys.executable, str(Path(__file__))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]


class Device:
    """A device of compute capability 9.0 to compile for, never to launch on."""

    def get_current_target(self):
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", 90, 32)

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


def main():
    import triton

    from seq2seq.mappings.gpu import attention, attention_kernels, launch

    triton.runtime.driver.set_active(Device())
    for module, names in [
        (launch, ["forward_kernel", "backward_kernel"]),
        (attention_kernels, ["forward", "backward_query", "backward_key"]),
    ]:
        for name in names:
            setattr(module, name, Compiled(getattr(module, name)))
    mask, gamma = torch.ones(2, 1, 1, 30, dtype=torch.bool), torch.ones(3, 1, 1)
    for name in sorted(gpu.NAMES):
        for dtype in (torch.bfloat16, torch.float64):
            x = torch.zeros(2, 3, 4, 30, dtype=dtype)
            for given in [(None, None, None), (mask, gamma, 1.4 * gamma)]:
                gpu.argmax(name, x, *given, 1.0, 1.3)
                gpu.jacobian_product(name, x, x, x, *given, 1.0, 1.3)
    for alpha in (1.5, 2.0):
        gpu.argmax("entmax", torch.zeros(30), None, None, None, 1.0, alpha)
    for alpha in (1.3, 1.5, 2.0):
        for dtype in (torch.float16, torch.float32):
            tensors = [torch.zeros(2, 3, 5, 64, dtype=dtype, requires_grad=True) for _ in range(3)]
            for given in [{"causal": True}, {"mask": mask[..., :5]}]:
                attention.sparse_attention(*tensors, alpha=alpha, **given).sum().backward()


if __name__ == "__main__":
    main()
