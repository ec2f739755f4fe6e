"""Native: LLVM IR to a function that can be called, by way of llvmlite and a cache on disk."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Machine:
    """This machine's CPU as a target, and the vector functions of its libm."""

    def __init__(self) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        features = llvm.get_host_cpu_features()
        self.cpu = llvm.get_host_cpu_name()
        self.features = features.flatten()
        # The letter of the vector ABI that the CPU has, and the bytes of its registers (libmvec, glibc 2.35 and later).
        self.abi = next(((a, n) for f, a, n in (("avx512f", "e", 64), ("avx2", "d", 32)) if features.get(f)), None)
        try:
            llvm.load_library_permanently("libmvec.so.1")
        except RuntimeError:
            self.abi = None
        with suppress(RuntimeError):  # elsewhere than with glibc, libm is part of what is loaded already
            llvm.load_library_permanently("libm.so.6")
        # The bytes of a register; how many sums they hold, of 32 or 16 registers; the bytes of a row, several to a sum.
        self.register, self.sums, self.row = (64, 16, 256) if features.get("avx512f") else (32, 8, 64)

    def target(self) -> Any:
        """A new target machine: an execution engine takes its own away with it."""
        try:
            default = llvm.Target.from_default_triple()
        except RuntimeError as error:
            raise RuntimeError(
                f"LLVM has no code for this processor ({platform.machine()}), so that compile cannot be used here, and "
                f"fit goes without compiled=True: {error}"
            ) from None
        return default.create_target_machine(cpu=self.cpu, features=self.features, opt=2, jit=True)

    def libm(self, name: str, operands: int, real: str = "double") -> str | None:
        """The symbol of the function for `name` on vectors of one register; None if the machine has none."""
        if self.abi is None:
            return None
        letter, size = self.abi
        lanes = size // (8 if real == "double" else 4)
        symbol = f"_ZGV{letter}N{lanes}{'v' * operands}_{name}{'' if real == 'double' else 'f'}"
        return symbol if llvm.address_of_symbol(symbol) else None


@lru_cache(maxsize=1)
def machine() -> Machine:
    return Machine()


class Native:
    """Compiled code, kept alive; `run` takes the address of a call: see `lower`. Releases the interpreter's lock.

    content  the IR
    level    which of LLVM's passes are run: 0 none, 1 those that find something in what `lower` writes, whose loops are
             as they should be; 2 all, which takes five times as long
    write    gives the IR if the cache does not have the code; `content` is then all that it is made from
    """

    def __init__(self, content: str, level: int, write: Callable[[], str] | None = None) -> None:
        host = machine()
        self._write = write or (lambda: content)
        self.level = level
        empty = llvm.parse_assembly(f'target triple = "{llvm.get_default_triple()}"')
        self.engine = llvm.create_mcjit_compiler(empty, host.target())
        made_of = repr((llvm.llvm_version_info, host.cpu, host.features, host.abi, level)), content
        key = hashlib.sha256("\0".join(made_of).encode())
        path = _cache_folder() / f"{key.hexdigest()}.o"
        code = _read(path)
        if code is None:
            code = _object_code(self.ir, level)
            _write(path, code)
        self.engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self.engine.finalize_object()
        self.address: int = self.engine.get_function_address("run")
        self.run: Any = FUNCTION(self.address)

    @property
    def ir(self) -> str:
        return self._write()

    def assembly(self) -> str:
        target = machine().target()
        text: str = target.emit_assembly(_optimised(self.ir, self.level, target))
        return text


def _optimised(ir: str, level: int, target: Any) -> Any:
    module = llvm.parse_assembly(ir)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = True
    builder = llvm.create_pass_builder(target, options)
    passes = builder.getModulePassManager() if level == 2 else llvm.create_new_module_pass_manager()
    if level == 1:
        passes.add_instruction_combine_pass()
        passes.add_sroa_pass()
        passes.add_new_gvn_pass()
    passes.run(module, builder)
    return module


def _object_code(ir: str, level: int) -> bytes:
    target = machine().target()
    code: bytes = target.emit_object(_optimised(ir, level, target))
    return code


# --- the cache: object code by the hash of its content and its CPU, with a hash of its own in front ---


def _cache_folder() -> Path:
    named = os.environ.get("TINYGRAD_SQ_CACHE")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinygrad_sq"


def _read(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, code = content[:32], content[32:]
    return code if hashlib.sha256(code).digest() == digest else None


def _write(path: Path, code: bytes) -> None:
    """Whole or not at all; a cache that cannot be written is none, and no error."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            try:
                file.write(hashlib.sha256(code).digest() + code)
                file.close()
                os.replace(file.name, path)
            except OSError:
                os.unlink(file.name)
