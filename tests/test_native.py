"""Native code: the cache of kernels on disk, machines without vector functions, and what the IR says."""

from __future__ import annotations

import ctypes
import os
import random
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from compiled import close
from test_compile import BLOCKS

from tinygrad_sq import (
    MLP,
    Value,
    atan,
    compile,
    cos,
    cosh,
    cost,
    half_squared_error,
    maximum,
    sin,
    table,
    value_and_grad,
)
from tinygrad_sq.compiler import fuse, lower, native, nest, tape, vector_math


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("TINYGRAD_SQ_CACHE", str(tmp_path / "kernels"))
    return tmp_path / "kernels"


def work(k: float = 2.5) -> list[float]:
    """A kernel of its own, run."""
    result: list[float] = compile(lambda x: sin(x) * k).each([1.0, 2.0]).tolist()
    return result


EXPECTED = pytest.approx([2.5 * np.sin(1.0), 2.5 * np.sin(2.0)])


# --- the cache ---


def test_the_same_kernel_is_compiled_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process, or program, finds the code of the first; another function, type or width does not."""
    assert work() == EXPECTED
    (file,) = folder.iterdir()
    assert file.suffix == ".o"
    with monkeypatch.context() as patch:
        patch.setattr(native, "_object_code", lambda ir, level: pytest.fail("compiled again"))
        patch.setattr("tinygrad_sq.compiler.kernel.lower", lambda *given: pytest.fail("written again"))
        assert work() == EXPECTED


def test_another_kernel_is_another_file(folder: Path) -> None:
    """The key is what the code depends on: type and number of samples at a time are in it, constants and names are
    not, but for constants that are part of the code."""
    work()
    assert work(3.0) == pytest.approx([3.0 * np.sin(1.0), 3.0 * np.sin(2.0)])
    compile(lambda another: sin(another) * 4.0).each([1.0, 2.0])
    assert len(list(folder.iterdir())) == 1
    compile(lambda x: (sin(x) + 1.0) * 4.0).each([1.0, 2.0])
    compile(lambda x: (sin(x) - 0.0 + 1.5) * 4.0).each([1.0, 2.0])
    compile(lambda x: (sin(x) + 1.5) * 4.0).each([1.0, 2.0])
    assert len(list(folder.iterdir())) == 4
    compile(lambda x: sin(x) * 2.0, dtype="float32").each([1.0, 2.0])
    compile(lambda x: sin(x) * 2.0).each([1.0])
    compile(lambda x: sin(x) / 2.0).each([1.0, 2.0])
    assert len(list(folder.iterdir())) == 7


def test_another_version_compiles_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that is written otherwise is not taken for that which is in the cache."""
    work()
    monkeypatch.setattr("tinygrad_sq.compiler.kernel.version", lambda: "another")
    work()
    assert len(list(folder.iterdir())) == 2


def test_the_version_is_of_all_that_writes_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change in any of its modules is another version."""
    before = lower.version()
    for module in (fuse, lower, nest, tape, vector_math):
        with monkeypatch.context() as patch:
            patch.setattr(module, "__file__", __file__)
            assert lower.version.__wrapped__() != before
    assert lower.version.__wrapped__() == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"short",
        lambda content: content[:-1],
        lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:],
        lambda content: bytes(32) + content[32:],
        lambda content: os.urandom(len(content)),
    ],
)
def test_a_corrupt_file_is_ignored(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    """Whatever was done to it, the kernel is compiled anew and the file is whole again."""
    work()
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert work() == EXPECTED
    assert file.read_bytes() == whole


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then there is no cache, and no error."""
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("TINYGRAD_SQ_CACHE", str(tmp_path / "file" / "kernels"))
    assert work() == EXPECTED


def test_a_file_that_cannot_be_replaced(folder: Path) -> None:
    """Nor if there is something else in its place; and nothing half-written stays behind."""
    work()
    (file,) = folder.iterdir()
    file.unlink()
    (file / "inside").mkdir(parents=True)
    assert work() == EXPECTED
    assert list(folder.iterdir()) == [file]


def test_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of what could not be written stays behind either."""
    with monkeypatch.context() as patched:
        patched.setattr("hashlib.sha256", lambda code: (_ for _ in ()).throw(OSError("no space left on device")))
        native._write(folder / "kernel.o", b"code")
    assert list(folder.iterdir()) == []


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TINYGRAD_SQ_CACHE, else a folder of XDG_CACHE_HOME, else of ~/.cache."""
    monkeypatch.delenv("TINYGRAD_SQ_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    work()
    assert len(list((tmp_path / "xdg" / "tinygrad_sq").iterdir())) == 1
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    work()
    assert len(list((tmp_path / "home" / ".cache" / "tinygrad_sq").iterdir())) == 1


SCRIPT = """
from tinygrad_sq import compile, sin
for k in range(6):
    assert abs(compile(lambda x: sin(x) * float(k)).each([1.0, 2.0])[0] - 0.8414709848078965 * k) < 1e-12
"""


def test_concurrent_writers(folder: Path) -> None:
    """Processes and threads that compile the same kernels at once leave whole files, and all are right."""
    processes = [subprocess.Popen([sys.executable, "-c", SCRIPT]) for _ in range(3)]
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(work())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert results == [EXPECTED] * 4
    files = list(folder.iterdir())
    assert {file.suffix for file in files} == {".o"}
    assert all(native._read(file) is not None for file in files)


# --- machines ---


def without_vector_functions(monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]) -> None:
    """A new `Machine`, made after `change`; the known one comes back afterwards."""
    change()
    fresh = native.Machine()
    monkeypatch.setattr(native, "machine", lambda: fresh)
    monkeypatch.setattr("tinygrad_sq.compiler.kernel.machine", lambda: fresh)


def no_libmvec(monkeypatch: pytest.MonkeyPatch, lacking: str = "libmvec") -> None:
    load = llvm.load_library_permanently

    def refuse(name: str) -> None:
        if name.startswith(lacking):
            raise RuntimeError(f"{name}: cannot open shared object file")
        load(name)

    monkeypatch.setattr(llvm, "load_library_permanently", refuse)


def no_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    no_libmvec(monkeypatch, lacking="libm")


def an_old_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """SSE2 alone: neither wide registers nor a fused multiplication and addition."""
    features = llvm.get_host_cpu_features()
    for name in features:
        if name.startswith(("avx", "fma", "f16c", "xop", "vaes", "vpclmul", "gfni", "sse3", "ssse3", "sse4")):
            features[name] = False
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: features)
    monkeypatch.setattr(llvm, "get_host_cpu_name", lambda: "x86-64")


@pytest.mark.parametrize(("dtype", "f", "bytes_each"), [("float64", "", 8), ("float32", "f", 4)])
def test_vector_functions_of_this_machine(dtype: str, f: str, bytes_each: int) -> None:
    """Where glibc has them, sin and atan2 are called for vectors of one register."""
    features = llvm.get_host_cpu_features()
    letter, size = ("e", 64) if features.get("avx512f") else ("d", 32) if features.get("avx2") else ("", 0)
    try:
        libmvec = ctypes.CDLL("libmvec.so.1") if letter else None
    except OSError:
        libmvec = None
    symbols = [f"_ZGV{letter}N{size // bytes_each}{each}{f}" for each in ("v_sin", "vv_atan2")]
    expected = {symbol for symbol in symbols if hasattr(libmvec, symbol)}
    program = compile(lambda x, y: sin(x) + table.atan2(x, y), dtype=dtype)
    program.each(np.ones(100), np.ones(100))
    assert set(re.findall(r"@(_ZGV\w+)\(", program.llvm)) == expected


@pytest.mark.parametrize("lack", [no_libmvec, no_glibc, an_old_processor])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_a_machine_may_lack(
    lack: Callable[[pytest.MonkeyPatch], None], dtype: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without vector functions, each sample has its own call; without an FMA instruction, libm has one."""
    without_vector_functions(monkeypatch, lambda: lack(monkeypatch))
    f, params = BLOCKS["residual"]
    program = compile(f, params=params, dtype=dtype)
    X = np.random.default_rng(0).normal(size=(35, 3)).astype(dtype)
    y, gradient = program.flat_value_and_grad(X)
    assert "_ZGV" not in program.llvm
    monkeypatch.undo()
    exact, gradient_of = compile(f, params=params, dtype=dtype).flat_value_and_grad(X)
    assert close(y, exact, dtype, scale=1.0, ulps=100.0)
    assert all(close(a, float(b), dtype, scale=1.0, ulps=100.0) for a, b in zip(gradient, gradient_of))
    del folder


def test_a_function_of_which_there_is_no_vector_form(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is called for each sample of the block."""
    host = native.machine()
    monkeypatch.setattr(host, "libm", lambda name, n, real="double": None)
    X = np.linspace(-2.0, 2.0, 70)
    y, d = compile(value_and_grad(lambda x: atan(x) * cosh(x))).each(X)
    for k, x in enumerate(X.tolist()):
        v = Value(x)
        eager = atan(v) * cosh(v)
        eager.backward()
        assert close(y[k], eager.data)
        assert close(d[k], v.grad)
    del folder


@pytest.mark.parametrize(("register", "sums", "row"), [(32, 8, 64), (16, 4, 32), (64, 16, 256)])
def test_registers_of_any_size(
    register: int, sums: int, row: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code for processors with shorter vectors, and no vector functions, gives the same."""
    host = native.machine()
    for name, size in {"register": register, "sums": sums, "row": row, "abi": None}.items():
        monkeypatch.setattr(host, name, size)
    model = MLP(5, [7, 9, 2], activation="tanh", output_activation="sin", seed=0)
    X = np.linspace(-1.0, 1.0, 375).reshape(75, 5)
    Y = np.linspace(0.0, 1.0, 150).reshape(75, 2)
    program = compile(lambda x, y: half_squared_error(model(x), y), params=model.parameters())
    value, gradient = program.value_and_grad(X, Y)
    J = cost(model, X.tolist(), Y.tolist())
    J.backward()
    assert value == pytest.approx(J.data, rel=1e-13)
    assert gradient == pytest.approx([p.grad for p in model.parameters()], rel=1e-12, abs=1e-14)
    assert folder.exists()


def test_an_unsupported_processor(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that says which, and what can still be done."""

    def fail() -> None:
        raise RuntimeError("Unable to find target for this triple")

    monkeypatch.setattr(llvm.Target, "from_default_triple", fail)
    with pytest.raises(
        RuntimeError, match=r"no code for this processor \(.+\), so that .* without compiled=True: Unable to"
    ):
        compile(sin)([1.0])


def test_a_function_without_a_vector_form() -> None:
    """The libm of this machine has no vector function of an unknown name."""
    assert native.machine().libm("no_such_function", 1) is None
    name = next(row.native for row in table.rows.values() if row.native == "exp")
    assert isinstance(name, str)
    found = native.machine().libm(name, 1)
    assert found is None or found.startswith("_ZGV")


# --- the IR ---


def test_the_ir_is_that_of_the_operation() -> None:
    """Sums of products are fused, a maximum keeps NaN, and nothing is allowed to reassociate but the sum over lanes."""
    p = Value(2.0)
    program = compile(lambda x: maximum(p * x[0] + x[1], x[2]), params=[p])
    program.value_and_grad(np.ones((3, 3)))
    assert "llvm.fma" in program.llvm
    assert "llvm.maximum" in program.llvm
    assert "fast" not in program.llvm
    assert all("reduce.fadd" in line for line in program.llvm.splitlines() if "reassoc" in line)
    assert "noalias" in program.llvm


def test_the_assembly_is_this_machines(folder: Path) -> None:
    """It has the entry point, and can be asked for whether or not the code came from the cache."""
    program = compile(lambda x: x * 2.0)
    program.each([1.0, 2.0])
    assert "run:" in program.asm
    again = compile(lambda x: x * 2.0)
    again.each([1.0, 2.0])
    assert again.asm == program.asm
    del folder


def test_long_code_is_compiled_in_parts() -> None:
    """A chain that does not roll becomes functions of bounded size, and is still right; also outside of the loop over
    samples."""
    p = Value(0.5)

    functions = random.Random(0).choices([sin, cos], k=200)

    def chain(x: Any) -> Any:
        return reduce(lambda y, f: f(y), functions, x)

    program = compile(lambda x: chain(x) * chain(p), params=[p])
    y, (d,) = program.value_and_grad([0.5, 1.0, 2.0])
    assert program.llvm.count("define internal void @part") > 5
    eager = sum(chain(Value(x)) for x in (0.5, 1.0, 2.0)) * chain(p) / 3.0
    p.grad = 0.0
    eager.backward()
    assert close(y, eager.data, ulps=1000.0)
    assert close(d, p.grad, ulps=1000.0)
