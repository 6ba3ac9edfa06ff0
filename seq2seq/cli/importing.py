"""Speed up the imports of the commands; `scripts/bench_startup.py` measures them.

Most of the time to start a command is imports. This module avoids two useless parts of them.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import re
from collections.abc import Iterator
from typing import Any

#: Packages that torchmetrics, a dependency of Lightning, imports if they are installed, for metrics
#: that are not used here. Together they take as long as PyTorch.
UNUSED = frozenset({"librosa", "matplotlib", "scipy", "torchaudio", "torchvision", "transformers"})


@contextlib.contextmanager
def quick_imports() -> Iterator[None]:
    """Disable the cyclic garbage collector in the block: imported objects stay alive anyway.

    The collector would traverse all imported objects again and again, which takes a tenth to a
    quarter of the time. Afterwards it ignores these objects (`gc.freeze`). They are unfrozen when
    the process ends, because Triton's bindings would report them as leaks.
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
    """Hide the installed packages of `UNUSED` from Lightning and torchmetrics in the block.

    This changes two functions of ``lightning_utilities`` until the block ends, and saves about a
    second of 4.6. If a release has them no more, the imports take longer, and nothing else changes.
    """
    from lightning_utilities.core import imports as module

    imports: Any = module
    cache = getattr(imports, "RequirementCache", None)
    if cache is None or not hasattr(imports, "package_available"):
        yield
        return
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
