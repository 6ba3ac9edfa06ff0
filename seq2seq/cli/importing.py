"""The long imports of the commands, as short as they can be; `scripts/bench_startup.py` measures.

A command's start is its imports. Two things in them are of no use, and are left out here.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import re
from collections.abc import Iterator
from typing import Any

#: What torchmetrics, which comes with Lightning, imports where it is installed: for metrics that
#: are not used here. Together they take as long as PyTorch.
UNUSED = frozenset({"librosa", "matplotlib", "scipy", "torchaudio", "torchvision", "transformers"})


@contextlib.contextmanager
def quick_imports() -> Iterator[None]:
    """Inside, the collector of reference cycles rests: what modules define, lives on.

    It would walk through all that is imported so far, again and again, for a tenth to a quarter of
    the time. Afterwards it does not look at these objects any more (`gc.freeze`), until the process
    ends: what is then left over, Triton's bindings report as lost.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)
        gc.enable()


@contextlib.contextmanager
def without_extras() -> Iterator[None]:
    """Inside, Lightning and torchmetrics do not see that the packages of `UNUSED` are installed."""
    from lightning_utilities.core import imports as found

    imports: Any = found
    cache = imports.RequirementCache
    is_met, is_available = cache.__bool__, imports.package_available

    def met(requirement: Any) -> bool:
        named = re.match(r"[\w-]+", requirement.requirement or requirement.module)
        return not (named and named[0] in UNUSED) and is_met(requirement)

    def available(package: str) -> bool:
        return package not in UNUSED and is_available(package)

    cache.__bool__, imports.package_available = met, available
    try:
        yield
    finally:
        cache.__bool__, imports.package_available = is_met, is_available
