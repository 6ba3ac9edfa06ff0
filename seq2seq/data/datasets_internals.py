"""The fingerprint of a data set, which the library ``datasets`` does not make public.

``tests/system/test_internals.py`` fails if the library changes it.
"""

from __future__ import annotations

import uuid
from typing import Any


def fingerprint(dataset: Any) -> str:
    """Return a hash of the data set's files and of the functions that were applied to it.

    If it is missing, return a random text. Nothing is then read from the cache.
    """
    return getattr(dataset, "_fingerprint", None) or uuid.uuid4().hex
