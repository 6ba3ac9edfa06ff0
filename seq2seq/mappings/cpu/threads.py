"""Kernels over rows, in parallel on the threads of PyTorch."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property, partial
from typing import Any

import llvmlite.binding as llvm
import torch
from llvmlite import ir
from numba import types

from seq2seq.mappings.cpu.compilation import address

GRAIN = 1 << 14  # numbers that are worth a thread, or a share
SHARES = 4  # a thread, since rows take longer and shorter
OMP_PAUSE_SOFT = 1


def _kind(argument: Any) -> tuple[Any, str]:
    """How an argument is passed, and how it is written down."""
    if isinstance(argument, types.CPointer):
        return ctypes.c_void_p, "q"
    return {types.int64: (ctypes.c_int64, "q"), types.float64: (ctypes.c_double, "d")}[argument]


class RowKernel:
    """A compiled function of the rows from ``first`` to before ``end``, any part of them.

    Args:
        function: what is compiled, when it is first called.
        signature: its pointers, int64 and float64; nothing is returned.
        first: the place of ``first`` among its arguments; ``end`` follows.
    """

    def __init__(self, function: Callable[..., None], signature: Any, first: int) -> None:
        self.function, self.signature, self.first = function, signature, first
        kinds = [_kind(argument) for argument in signature.args]
        self._type = ctypes.CFUNCTYPE(None, *(kind for kind, _ in kinds))
        self._layout = struct.Struct("=qqq" + "".join(code for _, code in kinds))
        self._codes = "".join(code for _, code in kinds)

    @cached_property
    def call(self) -> Any:
        """The function itself, for all of its arguments; the interpreter's lock is free in it."""
        return self._type(address(self.function, self.signature))

    def __call__(self, *arguments: Any, length: int) -> None:
        """Call it for all rows, of ``length`` numbers each, a share after another by any thread."""
        first, end = arguments[self.first], arguments[self.first + 1]
        rows = end - first
        threads = min(torch.get_num_threads(), rows * length // GRAIN, rows)
        if threads <= 1:
            self.call(*arguments)
            return
        share = max(-(-rows // (SHARES * threads)), -(-GRAIN // length))
        parallel = _openmp()
        if parallel is None:
            self._by_pool(arguments, share, threads)
            return
        place = ctypes.cast(self.call, ctypes.c_void_p).value
        words = bytearray(self._layout.pack(0, place, share, *map(_word, arguments)))
        data = (ctypes.c_char * len(words)).from_buffer(words)
        parallel(_sharing(self._codes, self.first), ctypes.addressof(data), threads, 0)

    def _by_pool(self, arguments: tuple[Any, ...], share: int, threads: int) -> None:
        before, after = arguments[: self.first], arguments[self.first + 2 :]
        first, end = arguments[self.first : self.first + 2]

        def run(row: int) -> None:
            self.call(*before, row, min(row + share, end), *after)

        for _ in _pool(threads).map(run, range(first, end, share)):
            pass


def _word(argument: Any) -> float:
    """A number, or the address of an array or of nothing."""
    if argument is None:
        return 0
    return ctypes.addressof(argument) if isinstance(argument, ctypes.Array) else argument


@cache
def _openmp() -> Any:
    """What starts a function on threads of the OpenMP that PyTorch loads; None where it has none.

    Threads of our own would have to share the cores with its, which go on spinning for a while
    after each of PyTorch's operations. A child that is forked would wait for threads that it has
    not; so they are let go before, and start anew in both.
    """
    try:
        library = ctypes.CDLL(None)
        function, pause = library.GOMP_parallel, library.omp_pause_resource_all
    except (AttributeError, OSError, TypeError):
        return None
    os.register_at_fork(before=partial(pause, OMP_PAUSE_SOFT))
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    function.restype = None
    return function


@cache
def _sharing(codes: str, first: int) -> int:
    """The address of ``void (*)(words)``: take a share and call, until there are no more.

    The words are a counter, the address of a kernel, the rows of a share, and the arguments.
    """
    word, double, nothing = ir.IntType(64), ir.DoubleType(), ir.VoidType()
    kinds = [double if code == "d" else word for code in codes]
    module = ir.Module("sharing")
    function = ir.Function(module, ir.FunctionType(nothing, [word.as_pointer()]), "share")
    entry, turn, work, done = (
        function.append_basic_block(name) for name in ("entry", "turn", "work", "done")
    )
    (words,) = function.args
    builder = ir.IRBuilder(entry)

    def at(place: int) -> Any:
        return builder.gep(words, [ir.Constant(word, place)])

    target, share = builder.load(at(1)), builder.load(at(2))
    given: list[Any] = []
    for place, kind in enumerate(kinds):
        given.append(builder.load(builder.bitcast(at(3 + place), kind.as_pointer())))
    kernel = builder.inttoptr(target, ir.FunctionType(nothing, kinds).as_pointer())
    start, end = given[first], given[first + 1]
    builder.branch(turn)

    builder.position_at_end(turn)
    number = builder.atomic_rmw("add", words, ir.Constant(word, 1), "monotonic")
    begin = builder.add(start, builder.mul(number, share))
    builder.cbranch(builder.icmp_signed("<", begin, end), work, done)

    builder.position_at_end(work)
    stop = builder.add(begin, share)
    stop = builder.select(builder.icmp_signed("<", stop, end), stop, end)
    builder.call(kernel, [*given[:first], begin, stop, *given[first + 2 :]])
    builder.branch(turn)

    builder.position_at_end(done)
    builder.ret_void()
    return _loaded(str(module))


def _loaded(module: str) -> int:
    """The address of ``share`` in a module of LLVM."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(module), machine)
    engine.finalize_object()
    _alive.append(engine)
    return engine.get_function_address("share")


_alive: list[Any] = []  # a function goes with its engine


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="seq2seq-mappings")


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
