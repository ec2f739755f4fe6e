"""Kernel: one function in native code, for arguments of given shapes, with the storage that it runs in."""

from __future__ import annotations

import gc
import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from enum import Enum
from functools import partial
from itertools import pairwise
from threading import RLock
from typing import Any, NamedTuple

import numpy as np

from tinygrad_sq.calculus import gradient
from tinygrad_sq.compiler.lower import Target, bare, lower, version
from tinygrad_sq.compiler.native import Native, machine
from tinygrad_sq.compiler.roll import roll
from tinygrad_sq.compiler.tape import Tape
from tinygrad_sq.compiler.trace import trace, tracing, unknown
from tinygrad_sq.op import number
from tinygrad_sq.tree import flatten, flatten_like
from tinygrad_sq.value import Value

# What did not roll is long: with one register to a row instead of several its code is shorter, and LLVM's passes, which
# find little in it, would take more time than all the rest.
_MANY_NESTS = 128
# Bytes for the rows of several blocks, within the second cache of most cores.
_ROOM = 1 << 20

Array = np.ndarray[Any, np.dtype[Any]]


class Mode(Enum):
    """What a kernel's outputs are: means over the samples, a mean and its gradient, or results per sample."""

    MEAN = "mean"
    GRADIENT = "gradient"
    EACH = "each"


class Stats(NamedTuple):
    """What became of a function.

    nodes         of the graph, gradient included
    instructions  left after rows were spelled natively and what is equal or unused was dropped
    nests         loops (with those inside) that they rolled into
    bytes         of storage for one block of samples
    flops         additions, multiplications, divisions and function calls per sample
    seconds       by stage: trace, tape, roll, native (lower included, unless the code was in the cache)
    """

    nodes: int
    instructions: int
    nests: int
    bytes: int
    flops: int
    seconds: dict[str, float]


class Batch:
    """Arguments of a call: contiguous arrays of one type, each with a leading axis for the samples.

    An argument without that axis (a number among arrays of the other arguments' samples) makes all of it one sample.
    Raises TypeError for what is not numbers, ValueError for lengths that differ or are 0.
    """

    def __init__(self, args: Sequence[Any], dtype: np.dtype[Any]) -> None:
        if not args:
            raise TypeError("expected at least one argument")
        self.arrays: list[Array] = []
        for k, arg in enumerate(args, 1):
            try:
                self.arrays.append(_numbers(arg, dtype))
            except (TypeError, ValueError) as error:
                raise TypeError(f"argument {k} of {len(args)} is not an array of numbers: {error}") from None
        self.one = any(a.ndim == 0 for a in self.arrays)
        if self.one:
            self.arrays = [a[np.newaxis] for a in self.arrays]
        lengths = [len(a) for a in self.arrays]
        if len(set(lengths)) > 1 or lengths[0] == 0:
            raise ValueError(f"expected arguments with one number of samples (at least 1), got {lengths}")
        self.samples = lengths[0]
        self.shapes = tuple([a.shape[1:] for a in self.arrays])
        self._pointers = np.array([a.ctypes.data for a in self.arrays], np.uintp)
        self.address = self._pointers.ctypes.data
        self.order = np.arange(self.samples)

    def check_finite(self) -> None:
        """Raises FloatingPointError for the first number that is not finite."""
        for k, a in enumerate(self.arrays, 1):
            for at in np.argwhere(~np.isfinite(a))[:1].tolist():
                what = f"argument {k} of {len(self.arrays)} is {a[tuple(at)].item()!r}"
                raise FloatingPointError(f"{what} at {at}: expected finite numbers")


def _numbers(arg: Any, dtype: np.dtype[Any]) -> Array:
    try:
        a = np.asarray(arg)
    except ValueError:
        _check_lengths(arg)
        raise
    if a.dtype == dtype and a.flags.c_contiguous and a.flags.aligned:
        return a
    if a.dtype.kind not in "fiub":
        a = _converted(np.asarray(arg, object))  # of what was given: NumPy makes text of a number beside text
    with np.errstate(over="ignore"):  # beyond float32 is inf
        return np.require(a, dtype, ["C", "A"])


def _check_lengths(tree: Any) -> None:
    """Raises ValueError for the first list that is not as long as its neighbours, and says where it is."""
    while isinstance(tree, (list, tuple)):
        for i, branch in enumerate(tree):
            flatten_like(branch, tree[0], f"[{i}]")
        tree = tree[0]


def _converted(a: Array) -> Array:
    numbers = np.empty(a.shape)
    for at, x in np.ndenumerate(a):
        try:
            numbers[at] = number(x)
        except TypeError as error:
            raise TypeError(f"{error}{f' at {list(at)}' if at else ''}") from None
    return numbers


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without Python's collector of cycles: a compile makes many objects at once, and no cycles for it to find."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Kernel:
    """f in native code. `width` samples are worked on at a time; each of `threads` takes a part of the batch."""

    @_uncollected()
    def __init__(
        self,
        f: Callable[..., Any],
        parameters: list[Value],
        mode: Mode,
        batch: Batch,
        dtype: np.dtype[Any],
        width: int,
        threads: int = 1,
    ) -> None:
        clock = [time.perf_counter()]
        _, rebuild = flatten(tuple([a[0].tolist() for a in batch.arrays]))
        inputs = [unknown(name) for name in scalar_names(f, batch)]
        seed = Value(1.0, "weight")
        result, self.rebuild = flatten(trace(f, rebuild(inputs)))
        results = [y if isinstance(y, Value) else Value(y) for y in result]
        with tracing():
            roots = results if mode is Mode.EACH else [y * seed for y in results]
            if mode is Mode.GRADIENT:
                if len(results) != 1:
                    raise TypeError(f"a gradient is that of one scalar result, and the function has {len(results)}")
                if results[0].op:
                    results[0].label = results[0].label or "J"
                roots += gradient(results[0], parameters, seed)
        clock.append(time.perf_counter())
        tape = Tape(roots, [*inputs, seed], parameters)
        self.constants = tape.constants
        self.constant_data = [v.data for v in self.constants]
        clock.append(time.perf_counter())
        names = [y.label or f"result[{k}]" for k, y in enumerate(results)]
        if mode is Mode.GRADIENT:
            names += [f"∂{names[0]}/∂{p.label or f'p[{k}]'}" for k, p in enumerate(parameters)]
        self.rolled = roll(tape, len(inputs) + 1, len(parameters), names)
        clock.append(time.perf_counter())
        long = len(self.rolled.nests) > _MANY_NESTS
        lanes = min(width, machine().register // dtype.itemsize)
        if long:
            width = lanes
        while width > lanes and self.rolled.rows * width * dtype.itemsize > _ROOM:
            width //= 2
        real = "double" if dtype == np.float64 else "float"
        widths = [int(np.prod(shape)) for shape in batch.shapes]
        blocks = max(1, _ROOM // (self.rolled.rows * width * dtype.itemsize)) if mode is not Mode.EACH else 1
        blocks = min(blocks, 8) if width > 1 and not long else 1
        libm = partial(machine().libm, real=real)
        target = Target(width, lanes, machine().sums, blocks, real, mode is Mode.EACH, libm)
        program = bare(self.rolled)
        content = repr((version(), program, widths, target[:-1]))  # the last is libm, which the machine says all of
        self.native = Native(content, level=0 if long else 1, write=partial(lower, program, widths, target))
        clock.append(time.perf_counter())
        self.mode, self.dtype, self.block, self.blocks = mode, dtype, width, blocks
        self.stats = Stats(
            tape.nodes,
            len(tape.live),
            len(self.rolled.nests),
            self.rolled.rows * width * blocks * dtype.itemsize,
            sum(nest.flops for nest in self.rolled.nests),
            dict(zip(("trace", "tape", "roll", "native"), [b - a for a, b in pairwise(clock)])),
        )
        self.lanes = [Lane(self) for _ in range(threads)]
        self.threads = threads
        self.lock = RLock()  # the lanes' storage is for one call at a time
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def room(self, samples: int) -> Array:
        """An array for the outputs of so many samples."""
        outputs = len(self.rolled.outputs)
        shape = (outputs, -(-samples // self.block) * self.block) if self.mode is Mode.EACH else outputs
        return np.zeros(shape, self.dtype)

    def run(self, batch: Batch, data: Array, outputs: Array, weight: float, order: Array) -> None:
        """Write the weighted sums over the samples numbered in `order` into `outputs`, or the results per sample."""
        self.check_constants()
        with self.lock:
            self._run(batch, data, outputs, weight, order)
            ragged = len(order) % self.block
            if ragged and self.mode is not Mode.EACH and not np.isfinite(outputs).all():
                # The rest of the last block has weight 0, and 0 times inf is NaN: give each such sample a whole block.
                self._run(batch, data, outputs, weight / self.block, np.repeat(order[-ragged:], self.block))
                if len(order) > ragged:
                    last = outputs.copy()
                    self._run(batch, data, outputs, weight, order[:-ragged])
                    outputs += last

    def check_constants(self) -> None:
        """Raises ValueError if a Value that the function took as a constant has changed."""
        for v, then in zip(self.constants, self.constant_data):
            if v.data is not then and v.data != then:
                raise ValueError(
                    f"{v.label or 'a Value'} was {then!r} when the function was compiled and is {v.data!r} now; "
                    "a Value that changes belongs in params"
                )

    def _run(self, batch: Batch, data: Array, outputs: Array, weight: float, order: Array) -> None:
        m, lanes = len(order), self.lanes
        if self._pool is None or m < 2 * self.block * len(lanes) or self.mode is Mode.EACH:
            lanes[0].run(batch, data, outputs, weight, order, 0, m)
            return
        per_lane = -(-m // (len(lanes) * self.block)) * self.block  # whole blocks, so that lanes differ in no bit
        parts = [np.zeros_like(outputs) for _ in lanes]
        jobs = [
            self._pool.submit(lane.run, batch, data, part, weight, order, k * per_lane, min(m, (k + 1) * per_lane))
            for k, (lane, part) in enumerate(zip(lanes, parts))
            if k * per_lane < m
        ]
        try:
            outputs[:] = 0.0
            for job, part in zip(jobs, parts):
                job.result()
                outputs += part
        finally:
            wait(jobs)  # whatever stops this call: the lanes are those of the next one, too


def aligned(n: int, dtype: np.dtype[Any], k: int = 0) -> Array:
    """Room for n numbers, of which number k begins a cache line: vectors that cross lines take longer."""
    store = np.zeros(n * dtype.itemsize + 64, np.uint8)
    start = -(store.ctypes.data + k * dtype.itemsize) % 64
    return store[start : start + n * dtype.itemsize].view(dtype)


def scalar_names(f: Callable[..., Any], batch: Batch) -> list[str]:
    """Names for the scalars of a sample: those of f's arguments, with indices."""
    try:
        arguments = list(inspect.signature(f).parameters)
    except (TypeError, ValueError):
        arguments = []
    names = []
    for k, shape in enumerate(batch.shapes):
        name = arguments[k] if k < len(arguments) else f"x{k}"
        names += [f"{name}[{','.join(map(str, at))}]" if at else name for at in np.ndindex(*shape)]
    return names


class Lane:
    """The storage that one thread runs the kernel in."""

    def __init__(self, kernel: Kernel) -> None:
        rolled = kernel.rolled
        self.native = kernel.native
        self.scalars = np.zeros(rolled.scalars, kernel.dtype)
        self.scalars[: len(rolled.constants)] = rolled.constants
        self.parameters = self.scalars[rolled.scalars - rolled.parameters :]
        self.rows = aligned(rolled.rows * kernel.block * kernel.blocks, kernel.dtype)
        self.call = np.zeros(8, np.int64)
        self._room = self.scalars.ctypes.data, self.rows.ctypes.data
        self.weight = self.call[7:].view(kernel.dtype)
        self.address = self.call.ctypes.data

    def run(
        self, batch: Batch, data: Array, outputs: Array, weight: float, order: Array, first: int, last: int
    ) -> None:
        self.aim(batch, outputs, order, first, last, weight)
        self(data)

    def __call__(self, data: Array) -> None:
        """Make the call written down, for parameters with this data."""
        self.parameters[:] = data
        self.native.run(self.address)

    def aim(self, batch: Batch, outputs: Array, order: Array, first: int, last: int, weight: float) -> None:
        """Write down the call; what is given must live until it is made."""
        self.call[:7] = batch.address, order.ctypes.data, *self._room, outputs.ctypes.data, first, last
        self.weight[0] = weight
