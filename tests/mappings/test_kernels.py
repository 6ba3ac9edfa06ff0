"""The compiled kernels agree with the reference, for any layout, threads and batch."""

import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import seq2seq
from seq2seq.mappings import (
    Entmax,
    Fusedmax,
    Normmax,
    Oscarmax,
    Sparsemax,
    Sqpnormmax,
    entmax,
)
from seq2seq.mappings.cpu.kernels import SOLVERS
from seq2seq.mappings.implementations import jacobian_product, reference
from seq2seq.mappings.operators import prepare

MAPPINGS = [
    Sparsemax(),
    Sparsemax(gamma=0.3),
    Entmax(),
    Entmax(alpha=1.1),
    Entmax(alpha=1.3),
    Entmax(alpha=1.8, gamma=2.0),
    Entmax(alpha=2.0),
    Entmax(alpha=3.0),
    Sqpnormmax(),
    Sqpnormmax(p=1.1, gamma=0.5),
    Sqpnormmax(p=2.0),
    Normmax(),
    Normmax(p=1.3),
    Normmax(p=4.0),
    Fusedmax(),
    Fusedmax(lam=0.0),
    Fusedmax(lam=1.0, gamma=0.2),
    Oscarmax(),
    Oscarmax(lam=0.0),
    Oscarmax(lam=0.01, gamma=0.3),
]
every = pytest.mark.parametrize("mapping", MAPPINGS, ids=repr)


def test_every_kernel_is_looked_at():
    assert {mapping.omega.name for mapping in MAPPINGS} == set(SOLVERS)


@st.composite
def problems(draw):
    """Scores of many kinds, and a mask of many kinds or none."""
    shape = draw(st.sampled_from([(7,), (2, 5), (2, 3, 4)]))
    length = draw(st.one_of(st.integers(1, 40), st.sampled_from([64, 127, 200, 513])))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    x = torch.randn(*shape, length, generator=generator, dtype=torch.float64)
    if draw(st.booleans()):
        x = (2 * x).round() / 4  # ties
    x = x * draw(st.sampled_from([0.01, 0.1, 1.0, 10.0])) + draw(st.sampled_from([0.0, -3.0]))
    if draw(st.booleans()):
        x[torch.rand(x.shape, generator=generator) < 0.3] = -math.inf
    mask = None
    kind = draw(st.sampled_from(["none", "lengths", "holes", "rows"]))
    if kind == "lengths":
        lengths = torch.randint(0, length + 1, (*shape[:1], *[1] * len(shape)), generator=generator)
        mask = torch.arange(length) < lengths
    elif kind == "holes":
        mask = torch.rand(length, generator=generator) < 0.6
    elif kind == "rows":
        mask = torch.rand(*shape, 1, generator=generator) < 0.7
    return x, mask


@every
@settings(max_examples=25, deadline=None)
@given(problem=problems(), single=st.booleans())
def test_they_agree_with_the_reference(mapping, problem, single):
    x, mask = problem
    if single:
        x = x.float()
    v = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    tolerance = {"atol": 2e-6, "rtol": 1e-5} if single else {"atol": 1e-11, "rtol": 1e-9}
    y, value = mapping(x, mask), mapping.max(x, mask)
    with reference():
        y_wanted, value_wanted = mapping(x, mask), mapping.max(x, mask)
    torch.testing.assert_close(y, y_wanted, **tolerance)
    torch.testing.assert_close(value, value_wanted, **tolerance)
    if single and (getattr(mapping, "alpha", 0) > 2 or getattr(mapping, "p", 0) > 2):
        return  # J is unbounded where weights vanish, and is cut off where the type ends
    # J·v at the same weights: rounding may move the support where scores tie at its edge.
    x, mask, call = prepare(mapping.omega, x, mask, -1, mapping.gamma)
    product = jacobian_product(y_wanted, v, x, mask, call)
    with reference():
        wanted = jacobian_product(y_wanted, v, x, mask, call)
    scale = wanted.abs().max().clamp(min=1.0)
    torch.testing.assert_close(product / scale, wanted / scale, **tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("lam", [0.01, 0.02, 0.1])
def test_equal_neighbors_stay_equal(dtype, lam):
    generator = torch.Generator().manual_seed(0)
    steps = torch.rand(300, 40, generator=generator, dtype=torch.float64) < 0.3
    sizes = 0.1 * torch.rand(300, 40, generator=generator, dtype=torch.float64)
    stairs = (steps * sizes).cumsum(-1)
    stairs[100:200] *= -1
    stairs[200:] = (10 * stairs[200:]).round() / 10
    x, v = stairs.to(dtype), torch.randn(300, 40, generator=generator, dtype=dtype)
    for rows in (x, x[:, :7]):
        x = rows.clone().requires_grad_()
        y = Fusedmax(lam=lam)(x)
        assert (y[:, 1:] == y[:, :-1])[rows[:, 1:] == rows[:, :-1]].all()
        (product,) = torch.autograd.grad(y, x, v[:, : x.size(1)])
        with reference():
            (wanted,) = torch.autograd.grad(Fusedmax(lam=lam)(x), x, v[:, : x.size(1)])
        if dtype == torch.float64:  # multiples of 0.1 apart: where λ is one too, J has a choice
            torch.testing.assert_close(product[:200], wanted[:200])


@settings(max_examples=60, deadline=None)
@given(problem=problems(), alpha=st.floats(1.0, 2.0))
def test_what_is_computed_in_single_precision_is_right_to_a_millionth(problem, alpha):
    x, mask = problem
    v = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    x, v = x.float().requires_grad_(), v.float()
    exact = x.detach().double().requires_grad_()
    y, wanted = (entmax(scores, mask, alpha=alpha) for scores in (x, exact))
    torch.testing.assert_close(y.double(), wanted, atol=1e-6, rtol=0)
    if alpha <= 1.6:  # above, y^{2 − α} is too steep where y vanishes
        (product,) = torch.autograd.grad(y, x, v)
        (exact_product,) = torch.autograd.grad(wanted, exact, v.double())
        torch.testing.assert_close(product.double(), exact_product, atol=3e-6, rtol=1e-5)


@every
def test_threads_batches_and_layouts_change_nothing(mapping):
    x = torch.randn(4, 64, 300, generator=torch.Generator().manual_seed(1))
    mask = torch.arange(300) < torch.tensor([300, 20, 0, 299])[:, None, None]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = mapping(x, mask)
        torch.set_num_threads(3)
        together = mapping(x, mask)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(alone, together)
    assert torch.equal(mapping(x[1:2, 5:9], mask[1:2]), alone[1:2, 5:9])
    strided = x.transpose(0, 1).contiguous().transpose(0, 1)
    assert torch.equal(mapping(strided, mask), alone)
    reversed_rows = torch.flip(x, [1])
    assert torch.equal(mapping(reversed_rows, mask), torch.flip(alone, [1]))
    expanded = x[0, 0].expand(3, 2, 300)
    assert torch.equal(mapping(expanded), mapping(x[0, 0]).expand(3, 2, 300))


@every
def test_inputs_are_left_alone(mapping):
    x = torch.randn(3, 40, generator=torch.Generator().manual_seed(2)).requires_grad_()
    mask = torch.rand(3, 40, generator=torch.Generator().manual_seed(3)) < 0.7
    kept, mask_kept, v = x.detach().clone(), mask.clone(), torch.randn(3, 40)
    v_kept = v.clone()
    y = mapping(x, mask)
    y_kept = y.detach().clone()
    y.backward(v)
    assert torch.equal(x, kept)
    assert torch.equal(mask, mask_kept)
    assert torch.equal(v, v_kept)
    assert torch.equal(y, y_kept)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every
def test_scores_of_the_largest_sizes(mapping, dtype):
    # In single precision 1e30 − 1 is 1e30: what is left is the largest alone, or those equal to it.
    x = torch.tensor([1e30, -1e30, 1e30, 0.0, -1e30], dtype=dtype)
    y = mapping(x)
    assert y[0] > 0
    torch.testing.assert_close(y[0] + y[2], torch.ones((), dtype=dtype))
    assert (y[[1, 3, 4]] == 0).all()
    if not mapping.omega.neighbors:  # the first position has one neighbor, the third has two
        assert y[0] == y[2]
    assert mapping(torch.tensor([-1e30, 1e30], dtype=dtype)).tolist() == [0, 1]


def test_kernels_run_in_a_forked_process():
    script = """
import os, torch
from seq2seq.mappings import sparsemax
torch.set_num_threads(2)
x = torch.randn(2000, 100)
y = sparsemax(x)
child = os.fork()
if child == 0:
    os._exit(0 if torch.equal(sparsemax(x), y) else 1)
assert os.waitpid(child, 0)[1] == 0
assert torch.equal(sparsemax(x), y)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_importing_the_mappings_compiles_and_loads_nothing():
    script = "import sys, seq2seq.mappings; assert not {'numba', 'triton'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


PACKAGE = Path(seq2seq.__file__).parent


def run(script, cache, package=PACKAGE, **environment):
    """Run a script in a process whose compiled kernels are cached in the folder ``cache``."""
    environment |= {"PATH": "", "PYTHONPATH": str(package.parent), "OMP_NUM_THREADS": "1"}
    environment["NUMBA_CACHE_DIR"] = str(cache)
    command = [sys.executable, "-P", "-c", script]
    subprocess.run(command, check=True, timeout=300, env=environment)
    return {file: file.stat().st_mtime_ns for file in cache.rglob("*.nb?")}


def test_another_process_finds_the_kernels_compiled(tmp_path):
    script = """
import torch, numba
from seq2seq.mappings import fusedmax
fusedmax(torch.randn(4, 8, requires_grad=True)).sum().backward()
"""
    first, second = (run(script, tmp_path) for _ in range(2))
    assert first
    assert first == second


def test_a_change_in_any_file_of_the_kernels_compiles_them_anew(tmp_path):
    package, cache = tmp_path / "seq2seq", tmp_path / "cache"
    cache.mkdir()
    shutil.copytree(PACKAGE, package)
    script = "import torch; from seq2seq.mappings import sparsemax; sparsemax(torch.randn(4, 8))"
    before = run(script, cache, package)
    with (package / "mappings/cpu/scan.py").open("a") as file:  # the kernels are in another file
        file.write("# a comment\n")
    assert set(before) < set(run(script, cache, package))


def test_where_nothing_can_be_kept_kernels_compile_all_the_same(tmp_path):
    (tmp_path / "file").write_text("no folder can be made below a file")
    script = "import torch; from seq2seq.mappings import sparsemax; sparsemax(torch.randn(4, 8))"
    locator = "UserProvidedCacheLocator"  # of numba's places, the one that the test can block
    assert not run(script, tmp_path / "file", NUMBA_CACHE_LOCATOR_CLASSES=locator)
