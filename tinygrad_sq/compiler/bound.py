"""`Bound`: a program at one point, that is called like a built-in function of Python's."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import llvmlite.binding as llvm
import numpy as np

from tinygrad_sq.compiler.kernel import Array, Batch, Kernel, Mode
from tinygrad_sq.compiler.native import Native

if TYPE_CHECKING:
    from tinygrad_sq.compiler.program import Program


class Bound:
    """A program at one point, bound to arrays: a call costs little more than the arithmetic.

    inputs   an array for each argument, to write into
    outputs  one array: the scalars of f's result, in order, after a call
    run      what a call does, as a built-in function: for a loop in which the tenth of a microsecond counts that
             Python needs to find out how to call an object

    The parameters count with the data that they had when it was made. It keeps the interpreter's lock.
    """

    def __init__(self, program: Program, args: tuple[Any, ...]) -> None:
        batch = Batch([np.array(arg, program.dtype)[np.newaxis] for arg in args], program.dtype)
        kernel = Kernel(program.f, program.parameters, Mode.EACH, batch, program.dtype, 1)
        self.inputs = [a[0] if a.ndim > 1 else a for a in batch.arrays]
        self.outputs = np.zeros(len(kernel.rolled.outputs), program.dtype)
        (lane,) = kernel.lanes
        lane.run(batch, program.data(), self.outputs, 1.0, batch.order, 0, 1)
        self.run = _builtin(lane.native.address, lane.address, self.outputs, kernel, batch)

    def __call__(self) -> Array:
        return self.run()


class _MethodDef(ctypes.Structure):
    """PyMethodDef of Python's C interface."""

    _fields_ = (("name", ctypes.c_char_p), ("code", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p))


_NO_ARGUMENTS = 0x0004  # METH_NOARGS
_USED = ("PyTuple_GetItem", "PyLong_AsVoidPtr", "Py_IncRef")


def _builtin(kernel: int, call: int, outputs: Array, *alive: Any) -> Callable[[], Array]:
    """The function that makes the call at this address and returns `outputs`. What is `alive` lives as long as it does.

    By way of ctypes a call would take three times as long as Rosenbrock's function in 20 dimensions with its gradient.
    """
    new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    create = new(("PyCFunction_NewEx", ctypes.pythonapi))
    function: Callable[[], Array] = create(ctypes.addressof(_method()[0]), (kernel, call, outputs, *alive), None)
    return function


@cache
def _method() -> tuple[_MethodDef, Native]:
    """The method `run` of a tuple (kernel, call, outputs, ...), and its code."""
    for name in _USED:
        llvm.add_symbol(name, ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value)
    code = Native(
        """
declare ptr @PyTuple_GetItem(ptr, i64)
declare ptr @PyLong_AsVoidPtr(ptr)
declare void @Py_IncRef(ptr)
define ptr @run(ptr %self, ptr %nothing) {
  %kernel.number = call ptr @PyTuple_GetItem(ptr %self, i64 0)
  %call.number = call ptr @PyTuple_GetItem(ptr %self, i64 1)
  %outputs = call ptr @PyTuple_GetItem(ptr %self, i64 2)
  %kernel = call ptr @PyLong_AsVoidPtr(ptr %kernel.number)
  %call = call ptr @PyLong_AsVoidPtr(ptr %call.number)
  call void %kernel(ptr %call)
  call void @Py_IncRef(ptr %outputs)
  ret ptr %outputs
}""",
        level=0,
    )
    return _MethodDef(b"run", code.address, _NO_ARGUMENTS, b"Compute the outputs at what the inputs hold."), code
