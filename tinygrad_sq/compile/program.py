"""`compile`: a function of one sample's scalars, as a program that runs over a batch in native code."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_sq.calculus import gradient
from tinygrad_sq.compile.lower import Target, lower
from tinygrad_sq.compile.native import Native, machine
from tinygrad_sq.compile.roll import roll
from tinygrad_sq.compile.tape import Tape
from tinygrad_sq.compile.trace import Traced, trace, tracing
from tinygrad_sq.graph import topological_order
from tinygrad_sq.tree import flatten
from tinygrad_sq.value import Value

Array = np.ndarray[Any, np.dtype[Any]]


def compile(f: Callable[..., Any], *, params: Any = (), dtype: str = "float64") -> Program:
    """f, a function of the scalars of one sample, as a `Program` over batches.

    f takes scalars and (nested) lists of scalars and may use any Values; `params` are those of them (in a list, or
    nested lists) to differentiate by. What else it uses is taken as constant. It is run once, to record its graph: a
    branch on a value that differs from sample to sample is a TraceError. dtype is "float64" or "float32".

    Raises TypeError for a row with no native spelling, ImportError with the pip command if llvmlite is missing.
    """
    return Program(f, params, dtype)


class Program:
    """A compiled function. It is called with arrays whose leading axis is the batch, one per argument of f.

    program(X, Y)                 the mean over the samples of f's result, in its structure
    program.value_and_grad(X, Y)  the mean, and its gradient in the structure of params
    program.each(X)               f's result for every sample: an array (samples, ...)

    A parameter counts with its present data at each call. An argument without a leading axis is a single sample.
    """

    def __init__(self, f: Callable[..., Any], params: Any = (), dtype: str = "float64") -> None:
        if dtype not in ("float64", "float32"):
            raise ValueError(f"expected dtype 'float64' or 'float32', got {dtype!r}")
        self.f = f
        self.parameters, self._rebuild = flatten(params)
        for p in self.parameters:
            if not isinstance(p, Value):
                raise TypeError(f"params are Values, got {type(p).__name__} {p!r:.60}")
        self.dtype = np.dtype(dtype)
        self._kernels: dict[Any, _Kernel] = {}

    def __call__(self, *args: Any) -> Any:
        batch = self._batch(args)
        kernel = self._kernel("mean", batch)
        return kernel.rebuild(kernel.sums(batch, self._data(), 1.0 / batch.samples).tolist())

    def value_and_grad(self, *args: Any) -> tuple[float, Any]:
        """The mean of f's result, a scalar, and its gradient by the parameters, in their structure."""
        value, gradient = self.flat_value_and_grad(*args)
        return value, self._rebuild(gradient.tolist())

    def flat_value_and_grad(self, *args: Any) -> tuple[float, Array]:
        """As `value_and_grad`, with the gradient as one array."""
        batch = self._batch(args)
        sums = self._kernel("gradient", batch).sums(batch, self._data(), 1.0 / batch.samples)
        return float(sums[0]), sums[1:]

    def each(self, *args: Any) -> Any:
        """f's result for every sample: an array of shape (samples,), or one for each scalar of it, in its structure."""
        batch = self._batch(args)
        kernel = self._kernel("each", batch)
        return kernel.per_sample(batch, self._data())

    def _data(self) -> Array:
        return np.fromiter([p.data for p in self.parameters], self.dtype, len(self.parameters))

    def _batch(self, args: tuple[Any, ...]) -> _Batch:
        arrays = []
        for k, arg in enumerate(args):
            try:
                arrays.append(np.ascontiguousarray(arg, self.dtype))
            except (TypeError, ValueError) as error:
                raise TypeError(f"argument {k + 1} is not an array of numbers: {error}") from None
        return _Batch(arrays)

    def _kernel(self, mode: str, batch: _Batch) -> _Kernel:
        key = mode, batch.shapes
        if key not in self._kernels:
            self._kernels[key] = _Kernel(self, mode, batch)
        return self._kernels[key]


class _Batch:
    """The arguments of a call, as contiguous arrays with a leading axis."""

    def __init__(self, arrays: list[Array]) -> None:
        if not arrays:
            raise TypeError("expected at least one argument")
        if any(a.ndim == 0 for a in arrays):
            arrays = [a[np.newaxis] for a in arrays]
        lengths = [len(a) for a in arrays]
        if len(set(lengths)) > 1 or lengths[0] == 0:
            raise ValueError(f"expected arguments with one number of samples (at least 1), got {lengths}")
        self.arrays = arrays
        self.samples = lengths[0]
        self.shapes = tuple([a.shape[1:] for a in arrays])
        self.pointers = np.array([a.ctypes.data for a in arrays], np.uintp)


class Stats(NamedTuple):
    """What became of a function: sizes, and the seconds that each stage took."""

    nodes: int
    instructions: int
    nests: int
    seconds: dict[str, float]


class _Kernel:
    """The native code of one mode ("mean", "gradient", "each") for arguments of given shapes."""

    def __init__(self, program: Program, mode: str, batch: _Batch) -> None:
        clock = [time.perf_counter()]
        leaves, rebuild = flatten(tuple([a[0].tolist() for a in batch.arrays]))
        inputs: list[Value] = [Traced(x, f"x{k}") for k, x in enumerate(leaves)]
        seed = Traced(1.0, "seed")
        result = trace(program.f, rebuild(inputs))
        outputs, self.rebuild = flatten(result)
        outputs = [y if isinstance(y, Value) else Value(y) for y in outputs]
        with tracing():
            roots = outputs if mode == "each" else [y * seed for y in outputs]
            if mode == "gradient":
                if len(outputs) != 1:
                    raise TypeError(f"value_and_grad takes a function with one scalar result, got {len(outputs)}")
                roots += gradient(outputs[0], program.parameters, seed)
        clock.append(time.perf_counter())
        tape = Tape(roots, [*inputs, seed], program.parameters)
        clock.append(time.perf_counter())
        self.rolled = roll(tape, len(inputs) + 1, len(program.parameters))
        clock.append(time.perf_counter())
        real = "double" if program.dtype == np.float64 else "float"
        width = 1 if batch.samples == 1 else 32 if program.dtype == np.float64 else 64
        self.block = width
        widths = [int(np.prod(shape)) for shape in batch.shapes]
        target = Target(self.block, width, real, mode == "each", lambda name, n: machine().libm(name, n, real))
        ir = lower(self.rolled, widths, target)
        clock.append(time.perf_counter())
        self.native = Native(ir, real)
        clock.append(time.perf_counter())
        stages = ("trace", "tape", "roll", "lower", "native")
        self.stats = Stats(
            len(topological_order(*roots)),
            len(tape.live()),
            len(self.rolled.nests),
            {stage: b - a for stage, a, b in zip(stages, clock, clock[1:])},
        )
        self.dtype = program.dtype
        self.scalars = np.zeros(self.rolled.scalars, self.dtype)
        first = self.rolled.parameters
        self.scalars[first : first + len(self.rolled.constants)] = self.rolled.constants
        self.rows = np.empty(self.rolled.rows * self.block, self.dtype)
        self.order = np.arange(0, dtype=np.int64)

    def run(self, batch: _Batch, data: Array, outputs: Array, weight: float) -> None:
        if len(self.order) < batch.samples:
            self.order = np.arange(batch.samples, dtype=np.int64)
        self.scalars[: len(data)] = data
        buffers = (batch.pointers, self.order, self.scalars, self.rows, outputs)
        self.native.function(*[b.ctypes.data for b in buffers], 0, batch.samples, weight)

    def sums(self, batch: _Batch, data: Array, weight: float) -> Array:
        outputs = np.zeros(self.rolled.outputs, self.dtype)
        self.run(batch, data, outputs, weight)
        return outputs

    def per_sample(self, batch: _Batch, data: Array) -> Any:
        padded = -(-batch.samples // self.block) * self.block
        outputs = np.empty((self.rolled.outputs, padded), self.dtype)
        self.run(batch, data, outputs, 0.0)
        return self.rebuild([outputs[k, : batch.samples] for k in range(self.rolled.outputs)])
