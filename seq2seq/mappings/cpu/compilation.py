"""How numba compiles the kernels.

A kernel is a loop over the rows of NumPy arrays. numba compiles it at its first call, for the types
of the arguments, and caches the result on disk for later processes: beside this package, or in the
user's cache folder if the package is read-only. The environment variable ``NUMBA_CACHE_DIR`` sets
another folder.

numba's cache notices changes in the file of a kernel, but not in other files that it calls. Each
kernel is therefore a closure over :data:`VERSION`, which numba makes part of the cache's key.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit
from numba.extending import register_jitable

VERSION = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
).hexdigest()

# Sums may be reordered, so that they vectorize; NaN and infinity keep their meaning.
FAST = {"reassoc", "contract", "nsz", "arcp"}
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": FAST}

#: For functions that a kernel calls.
jit = njit(**OPTIONS)
#: The same for arguments that are never NaN.
ordered = njit(**{**OPTIONS, "fastmath": FAST | {"nnan"}})
#: The same for arguments that are finite.
finite = njit(**{**OPTIONS, "fastmath": FAST | {"nnan", "ninf"}})
#: The same, but keep the order of operations; a product and a sum may become one operation.
exact = njit(forceinline=True, **{**OPTIONS, "fastmath": {"nnan", "ninf", "contract"}})
#: For functions that a kernel is built with. They stay Python functions, because numba cannot make
#: a compiled function part of a cache's key.
part = register_jitable(**OPTIONS)


def kernel(function: Callable[..., Any]) -> Any:
    """Return ``function``, compiled at its first call; it releases the GIL while it runs."""
    try:
        return njit(cache=True, nogil=True, **OPTIONS)(function)
    except RuntimeError:  # there is no writable folder for the cache
        return njit(nogil=True, **OPTIONS)(function)
