"""Rows in parallel on as many threads as PyTorch may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch

GRAIN = 1 << 15  # numbers that are worth a thread


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="seq2seq-mappings")


os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has none of its parent's threads


def over_rows(run: Callable[[int, int], None], rows: int, length: int) -> None:
    """Call ``run(first, end)`` so that every row has its turn; ``run`` lets go of the GIL."""
    threads = min(torch.get_num_threads(), rows * length // GRAIN, rows)
    if threads <= 1:
        run(0, rows)
        return
    share = -(-rows // threads)
    pool = _pool(threads - 1)
    others = [
        pool.submit(run, first, min(first + share, rows)) for first in range(share, rows, share)
    ]
    run(0, share)
    for other in others:
        other.result()
