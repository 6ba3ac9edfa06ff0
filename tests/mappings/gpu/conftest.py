"""Without a CUDA device, run the kernels in Triton's interpreter, on the CPU."""

import os
from collections.abc import Iterator

import pytest
import torch

triton = pytest.importorskip("triton", reason="triton is not installed")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

if DEVICE == "cpu":
    import numpy as np
    from triton.runtime import interpreter

    # What a kernel is, compiled or interpreted, is decided when it is decorated.
    before = os.environ.get("TRITON_INTERPRET")
    os.environ["TRITON_INTERPRET"] = "1"
    try:
        import seq2seq.mappings.gpu.attention
        import seq2seq.mappings.gpu.launch  # noqa: F401
    finally:
        if before is None:
            del os.environ["TRITON_INTERPRET"]
        else:
            os.environ["TRITON_INTERPRET"] = before


@pytest.fixture
def device() -> str:
    """Where the kernels run."""
    return DEVICE


@pytest.fixture(autouse=True)
def interpreted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Triton as its interpreter needs it, for the length of a test."""
    if DEVICE == "cuda":
        yield
        return
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    # Triton's own device functions, such as tl.sum, were decorated when something imported Triton.
    for module in (triton.language, triton.language.standard):
        for name, value in vars(module).items():
            if isinstance(value, triton.runtime.JITFunction):
                monkeypatch.setattr(module, name, _interpreted(value.fn))
    monkeypatch.setattr(interpreter.ScanOps, "generic_scan", _scan)
    with np.errstate(all="ignore"):
        yield


_INTERPRETED: dict = {}


def _interpreted(function):
    """One interpreted function for each: the interpreter tells them apart by identity."""
    if function not in _INTERPRETED:
        _INTERPRETED[function] = interpreter.InterpretedFunction(function)
    return _INTERPRETED[function]


def _scan(self, inputs):
    """Compute an associative scan in log₂ n steps over whole tiles.

    The interpreter's own runs Python for every element, from left to right. This one is fast, and,
    as on a device, right only if the function is associative.
    """
    tiles, step = list(inputs), 1
    size = inputs[0].handle.data.shape[self.axis]
    first = np.arange(size)  # rows are scanned along the last axis
    while step < size:
        earlier = [self.to_tensor(np.roll(x.handle.data, step, self.axis), x.dtype) for x in tiles]
        combined = self.combine_fn.fn(*earlier, *tiles)
        combined = combined if isinstance(combined, tuple) else (combined,)
        tiles = [
            self.to_tensor(np.where(first < step, x.handle.data, y.handle.data), x.dtype)
            for x, y in zip(tiles, combined, strict=True)
        ]
        step *= 2
    return tiles
