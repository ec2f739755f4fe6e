"""`Program`: a function of one sample's scalars, that runs over a batch in native code."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np

from tinygrad_sq.checks import checked, count, listed
from tinygrad_sq.compiler.bound import Bound
from tinygrad_sq.compiler.kernel import Array, Batch, Kernel, Mode, Stats, scalar_names
from tinygrad_sq.compiler.native import machine
from tinygrad_sq.compiler.text import to_text
from tinygrad_sq.compiler.trace import TraceError, trace, unknown
from tinygrad_sq.compiler.training import Training
from tinygrad_sq.context import detecting_anomaly
from tinygrad_sq.optim import Optimizer
from tinygrad_sq.train import History, run_epochs
from tinygrad_sq.tree import flatten
from tinygrad_sq.value import Value, adjoints


class Program:
    """A compiled function. It is called with arrays whose leading axis is the batch, one for each argument of f.

    program(X, Y)                 the mean over the samples of f's result, in its structure
    program.value_and_grad(X, Y)  the mean, and its gradient in the structure of params
    program.each(X)               f's result for every sample: an array (samples,) for each scalar, in its structure
    program.bind(x)               the result at one point, for many calls

    A parameter counts with its present data at each call. A scalar argument that is a number makes all the arguments
    those of one sample, and so do plain lists of numbers if f takes no number in their place.
    """

    def __init__(self, f: Callable[..., Any], params: Any = (), dtype: str = "float64", threads: int = 1) -> None:
        if dtype not in ("float64", "float32"):
            raise ValueError(f"expected dtype 'float64' or 'float32', got {dtype!r}")
        self.f = checked(f, Callable, "a function")
        parameters, self._rebuild = flatten(params)
        self.parameters: list[Value] = listed(parameters, Value, "params to be Values")
        self.dtype = np.dtype(dtype)
        self.threads = count(threads, "threads")
        self._kernels: dict[Any, Kernel] = {}
        self._numbers: bool | None = None  # whether f takes numbers alone; found out when it matters
        self._refusal = ""  # what it says of numbers, if it does not

    def __call__(self, *args: Any) -> Any:
        batch = self.batch(args)
        kernel = self.kernel(Mode.MEAN, batch)
        return kernel.rebuild(self._sums(kernel, batch).tolist())

    def value_and_grad(self, *args: Any) -> tuple[float, Any]:
        """The mean of f's result, a scalar, and its gradient by the parameters, in their structure."""
        value, gradient = self.flat_value_and_grad(*args)
        return value, self._rebuild(gradient.tolist())

    def flat_value_and_grad(self, *args: Any) -> tuple[float, Array]:
        """As `value_and_grad`, with the gradient as one array."""
        batch = self.batch(args)
        sums = self._sums(self.kernel(Mode.GRADIENT, batch), batch)
        return float(sums[0]), sums[1:]

    def each(self, *args: Any) -> Any:
        """f's result for every sample: an array of shape (samples,) for each scalar of it, in its structure."""
        batch = self.batch(args)
        kernel = self.kernel(Mode.EACH, batch)
        outputs = kernel.room(batch.samples)
        kernel.run(batch, self.data(), outputs, 1.0, batch.order)
        results = outputs[:, : batch.samples]
        self._check(results, batch)
        return kernel.rebuild(list(results))

    def bind(self, *args: Any) -> Bound:
        """f at one point, bound to arrays: write into `bound.inputs`, call `bound()`, read `bound.outputs`."""
        return Bound(self, args)

    def fit(
        self,
        *args: Any,
        optimizer: Optimizer,
        epochs: int = 100,
        batch_size: int | None = None,
        lam: float = 0.0,
        weights: Sequence[Value] = (),
        seed: int = 0,
        shuffle: bool = True,
        validation: tuple[Any, ...] | None = None,
        progress: bool = False,
    ) -> History:
        """Train: steps of `optimizer` on the mean of f over the samples `args`, as `fit` of a model does.

        lam, weights   E3's penalty, and those of params that it is on (a model's `weights()`)
        validation     further samples, in the same form, only to be watched
        others         as for `fit`

        The parameters have their new data after each epoch, and after Ctrl-C that of the last finished step.
        Raises as `fit`, and ValueError for a lam without weights or an optimizer of other parameters.
        """
        if not 0.0 <= lam < np.inf or (lam and not weights):
            raise ValueError(f"expected a lam of 0 or more, with the weights that it is on, got {lam!r}")
        training = Training(self, args, optimizer, weights, lam)

        draw = random.Random(seed)
        samples = training.batch.samples

        def shuffled() -> Array:  # as that of `fit`, whose random() is 27 bits of the low half, 26 of the high one
            words = np.frombuffer(draw.randbytes(8 * samples), "<u8")
            return ((words & 0xFFFFFFFF) >> 5 << 26 | words >> 38).argsort()

        def watch() -> float:
            training.write_back()
            mean: float = self(*(validation or ()))
            return mean

        try:
            return run_epochs(
                training.run,
                samples,
                epochs,
                batch_size,
                shuffled if shuffle else None,
                watch if validation else None,
                progress,
            )
        finally:
            training.write_back()

    def __repr__(self) -> str:
        name = getattr(self.f, "__name__", type(self.f).__name__)
        return f"Program({name}, {len(self.parameters)} parameters, {self.dtype})"

    def __str__(self) -> str:
        """The rolled programs compiled so far, as text."""
        parts = [
            f"# {mode.value}{'' if width > 1 else ', one sample'}\n{to_text(kernel.rolled, mode is Mode.EACH)}"
            for (mode, _, width), kernel in self._kernels.items()
        ]
        return "\n\n".join(parts) or "not compiled yet: call it once"

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"

    @property
    def stats(self) -> list[Stats]:
        """Sizes and seconds of each kernel compiled so far."""
        return [kernel.stats for kernel in self._kernels.values()]

    @property
    def llvm(self) -> str:
        """The LLVM IR of the kernels compiled so far."""
        return "\n".join(kernel.native.ir for kernel in self._kernels.values())

    @property
    def asm(self) -> str:
        """Their assembly."""
        return "\n".join(kernel.native.assembly() for kernel in self._kernels.values())

    def data(self) -> Array:
        """The parameters' present data."""
        return np.fromiter([p.data for p in self.parameters], self.dtype, len(self.parameters))

    def batch(self, args: tuple[Any, ...]) -> Batch:
        """The arguments of a call. Plain lists are one number per sample, or one sample if f cannot do with numbers."""
        batch = Batch(args, self.dtype)
        if detecting_anomaly():
            batch.check_finite()
        if batch.one or any(batch.shapes) or self._takes_numbers(len(args)):
            return batch
        return Batch([a[np.newaxis] for a in batch.arrays], self.dtype)

    def _takes_numbers(self, arguments: int) -> bool:
        if self._numbers is None:
            try:
                trace(self.f, tuple([unknown("x") for _ in range(arguments)]))
                self._numbers = True
            except TraceError:
                self._numbers = True
            except TypeError as error:
                self._numbers, self._refusal = False, str(error)
        return self._numbers

    def kernel(self, mode: Mode, batch: Batch) -> Kernel:
        """The code for arguments of such shapes; compiled at the first call, for one sample and for many apart."""
        width = 1 if batch.samples == 1 else machine().row // self.dtype.itemsize
        key = mode, batch.shapes, width
        if key not in self._kernels:
            try:
                self._kernels[key] = Kernel(self.f, self.parameters, mode, batch, self.dtype, width, self.threads)
            except TypeError as error:
                if self._refusal:
                    error.add_note(f"of numbers in place of lists the function says: {self._refusal}")
                raise
        return self._kernels[key]

    def _sums(self, kernel: Kernel, batch: Batch) -> Array:
        outputs = kernel.room(batch.samples)
        kernel.run(batch, self.data(), outputs, 1.0 / batch.samples, batch.order)
        self._check(outputs, batch)
        return outputs

    def _check(self, outputs: Array, batch: Batch) -> None:
        """Under `detect_anomaly`, if a result is not finite: find out where, by doing the same without compiling."""
        if detecting_anomaly() and not np.isfinite(outputs).all():
            for sample in zip(*batch.arrays):
                scalars, rebuild = flatten(tuple([a.tolist() for a in sample]))
                args = rebuild([Value(x, name) for x, name in zip(scalars, scalar_names(self.f, batch))])
                results, _ = flatten(self.f(*args))
                for y in results:
                    if isinstance(y, Value):
                        adjoints(y)
            raise FloatingPointError(f"a result is not finite in {self.dtype}; the engine's, in float64, are")
