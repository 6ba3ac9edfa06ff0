"""Compiling kernels: lazily, once a machine, and kept for the processes to come.

A kernel is a C function made by numba, called through its address: no array is wrapped, no type is
dispatched on, and the interpreter's lock is free while it runs.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numba
from llvmlite import ir
from numba import cfunc, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

# Sums may be reordered, so that they vectorize; NaN and infinity keep their meaning.
OPTIONS: dict[str, Any] = {
    "fastmath": {"reassoc", "contract", "nsz", "arcp"},
    "error_model": "numpy",
}
jit = njit(**OPTIONS)
# For solvers, which see finite numbers only: sums of what is chosen vectorize too.
finite = njit(**{**OPTIONS, "fastmath": OPTIONS["fastmath"] | {"nnan", "ninf"}})
# The same, in the order that is written; a product and a sum may be one operation.
exact = njit(forceinline=True, **{**OPTIONS, "fastmath": {"nnan", "ninf", "contract"}})
# The same, of any numbers.
careful = njit(forceinline=True, **{**OPTIONS, "fastmath": {"contract"}})

BLOCK = 16  # positions of a row looked at together
PADDED = 8  # candidates looked at together

FLOATS = types.CPointer(types.float64)
INTEGERS = types.CPointer(types.int64)

# What a solver is asked besides weights: the smoothed max; or speed, weights of a millionth being
# enough. The other bits are a driver's.
VALUES, SINGLE = 1, 2

# A solver works on what is left of one row when hopeless positions are taken out:
# (values, vectors, places, count, length, theta, result, work, order, asked) → a number
SOLVER = types.float64(
    FLOATS,
    FLOATS,
    INTEGERS,
    types.int64,
    types.int64,
    types.float64,
    FLOATS,
    FLOATS,
    INTEGERS,
    types.int64,
)
REACH = types.float64(types.float64, types.int64)


@cache
def address(function: Callable[..., Any], signature: Any) -> int:
    """The address of ``function`` compiled for ``signature``."""
    with _kernel_cache() as kept:
        compiled = cfunc(signature, cache=kept, **OPTIONS)(function)
    _alive.append(compiled)
    return compiled.address


_alive: list[Any] = []  # a compiled function is freed with its object


@cache
def kernel(function: Callable[..., None], signature: Any) -> Any:
    """Return ``function`` as a C function of pointers, integers and floats.

    It runs on the calling thread and releases the interpreter's lock.
    """
    kinds = {types.int64: ctypes.c_int64, types.float64: ctypes.c_double}
    arguments = [kinds.get(argument, ctypes.c_void_p) for argument in signature.args]
    return ctypes.CFUNCTYPE(None, *arguments)(address(function, signature))


@contextlib.contextmanager
def _kernel_cache() -> Iterator[bool]:
    """Let numba keep its files in the user's cache, in a folder that changes with this package.

    Beside the sources, numba would neither notice a change in a file that a kernel calls into, nor
    write where the package is read-only. (A kernel's own file it looks at itself.)
    ``NUMBA_CACHE_DIR`` overrides. Yields whether anything can be kept: where there is no place to
    write to, kernels are compiled anew in every process.
    """
    before = numba.config.CACHE_DIR
    folder = before or _cache_folder()
    numba.config.CACHE_DIR = folder or ""
    try:
        yield folder is not None
    finally:
        numba.config.CACHE_DIR = before


@cache
def _cache_folder() -> str | None:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    digest = hashlib.sha256(f"{platform.machine()} {numba.__version__}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    folder = Path(base) / "seq2seq" / "kernels" / digest.hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return str(folder) if os.access(folder, os.W_OK) else None


@intrinsic
def from_bits(typing_context, bits):  # type: ignore[no-untyped-def]
    """The float of the same bits: int32 → float32, int64 → float64."""
    return _bitcast({types.int32: types.float32, types.int64: types.float64}[bits], bits)


@intrinsic
def to_bits(typing_context, number):  # type: ignore[no-untyped-def]
    """The inverse of ``from_bits``."""
    return _bitcast({types.float32: types.int32, types.float64: types.int64}[number], number)


def _bitcast(result, given):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.bitcast(arguments[0], context.get_value_type(result))

    return result(given), generate


@intrinsic
def above(typing_context, x, position, limit):  # type: ignore[no-untyped-def]
    """A bit for each of the 16 numbers of ``x`` from ``position`` on: whether it is > ``limit``."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        kind = context.get_value_type(x.dtype)
        vector = ir.VectorType(kind, BLOCK)
        data = context.make_array(x)(context, builder, value=arguments[0]).data
        start = builder.bitcast(builder.gep(data, [arguments[1]]), vector.as_pointer())
        numbers = builder.load(start, align=x.dtype.bitwidth // 8)
        limits = _splat(builder, vector, arguments[2])
        bits = builder.bitcast(builder.fcmp_ordered(">", numbers, limits), ir.IntType(BLOCK))
        return builder.zext(bits, ir.IntType(64))

    return types.int64(x, types.int64, x.dtype), generate


def _splat(builder, vector, value):  # type: ignore[no-untyped-def]
    unknown, integer = ir.Constant(vector, ir.Undefined), ir.IntType(32)
    one = builder.insert_element(unknown, value, ir.Constant(integer, 0))
    lanes = ir.Constant(ir.VectorType(integer, vector.count), [0] * vector.count)
    return builder.shuffle_vector(one, unknown, lanes)


@intrinsic
def sums_above(typing_context, x, count, limit):  # type: ignore[no-untyped-def]
    """Of the first ``count`` doubles those > ``limit``: their number, sum, and sum of squares.

    Read in blocks of ``PADDED``, the last one whole. What is not used is not computed.
    """

    def addends(builder, numbers, limits):  # type: ignore[no-untyped-def]
        (x,) = numbers
        return builder.fcmp_ordered(">", x, limits), (x, builder.fmul(x, x))

    return _sums(3, (x,), addends)(x, types.int64, types.float64)


@intrinsic
def sums_equal(typing_context, x, v, count, value):  # type: ignore[no-untyped-def]
    """Of the first ``count`` doubles those equal to ``value``: their number, and the sum of v."""

    def addends(builder, numbers, values):  # type: ignore[no-untyped-def]
        x, v = numbers
        return builder.fcmp_ordered("==", x, values), (v,)

    return _sums(2, (x, v), addends)(x, v, types.int64, types.float64)


def _sums(results, arrays, chosen_addends):  # type: ignore[no-untyped-def]
    """Sums over blocks of arrays, of what is chosen: 1, and what ``chosen_addends`` says."""
    double, vector = ir.DoubleType(), ir.VectorType(ir.DoubleType(), PADDED)
    zeros, ones = (ir.Constant(vector, [value] * PADDED) for value in (0.0, 1.0))

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        *given, count, value = arguments
        places = [
            context.make_array(kind)(context, builder, value=array).data
            for kind, array in zip(arrays, given, strict=True)
        ]
        limits = _splat(builder, vector, value)
        totals = [cgutils.alloca_once_value(builder, zeros) for _ in range(results)]
        step, zero = ir.Constant(count.type, PADDED), ir.Constant(count.type, 0)
        with cgutils.for_range_slice(builder, zero, count, step) as (position, _):
            numbers = []
            for place in places:
                start = builder.bitcast(builder.gep(place, [position]), vector.as_pointer())
                numbers.append(builder.load(start, align=8))
            chosen, addends = chosen_addends(builder, numbers, limits)
            for total, addend in zip(totals, (ones, *addends), strict=True):
                more = builder.select(chosen, addend, zeros)
                builder.store(builder.fadd(builder.load(total), more), total)
        kind = ir.FunctionType(double, [double, vector])
        name = f"llvm.vector.reduce.fadd.v{PADDED}f64"
        reduce = cgutils.get_or_insert_function(builder.module, kind, name)
        found = [
            builder.call(
                reduce,
                [ir.Constant(double, 0.0), builder.load(total)],
                fastmath=("reassoc", "nsz"),
            )
            for total in totals
        ]
        return context.make_tuple(builder, signature.return_type, found)

    return lambda *kinds: (types.UniTuple(types.float64, results)(*kinds), generate)


@intrinsic
def count_above(typing_context, x, count, limit):  # type: ignore[no-untyped-def]
    """How many of the first ``count`` doubles, read in whole blocks, are > ``limit``."""
    integer, vector = ir.IntType(64), ir.VectorType(ir.DoubleType(), PADDED)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        data = context.make_array(x)(context, builder, value=arguments[0]).data
        limits = _splat(builder, vector, arguments[2])
        total = cgutils.alloca_once_value(builder, ir.Constant(integer, 0))
        step, zero = ir.Constant(integer, PADDED), ir.Constant(integer, 0)
        with cgutils.for_range_slice(builder, zero, arguments[1], step) as (position, _):
            start = builder.bitcast(builder.gep(data, [position]), vector.as_pointer())
            chosen = builder.fcmp_ordered(">", builder.load(start, align=8), limits)
            bits = builder.zext(builder.bitcast(chosen, ir.IntType(PADDED)), integer)
            builder.store(builder.add(builder.load(total), builder.ctpop(bits)), total)
        return builder.load(total)

    return types.int64(x, types.int64, types.float64), generate


@intrinsic
def lowest_bit(typing_context, bits):  # type: ignore[no-untyped-def]
    """The place of the lowest bit that is set; there has to be one."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate


def caller(signature: Any) -> Any:
    """A function ``call(address, *arguments)`` for compiled functions of ``signature``."""

    @intrinsic
    def call(typing_context, target, arguments):  # type: ignore[no-untyped-def]
        def generate(context, builder, called, values):  # type: ignore[no-untyped-def]
            given = cgutils.unpack_tuple(builder, values[1])
            wanted = [context.get_value_type(kind) for kind in signature.args]
            given = [
                builder.inttoptr(value, kind) if isinstance(kind, ir.PointerType) else value
                for value, kind in zip(given, wanted, strict=True)
            ]
            result = context.get_value_type(signature.return_type)
            function = builder.inttoptr(values[0], ir.FunctionType(result, wanted).as_pointer())
            return builder.call(function, given)

        return signature.return_type(target, arguments), generate

    return call


call_solver = caller(SOLVER)
call_reach = caller(REACH)
