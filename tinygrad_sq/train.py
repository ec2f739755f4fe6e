"""`fit`: the training loop, full batch or minibatches, on E3."""

from __future__ import annotations

import itertools
import math
import random
import sys
import time
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

from tinygrad_sq.checks import checked, count
from tinygrad_sq.context import no_grad
from tinygrad_sq.losses import A_LOSS, cost, half_squared_error
from tinygrad_sq.nn import Module
from tinygrad_sq.op import counted, number
from tinygrad_sq.optim import Adam, Optimizer
from tinygrad_sq.value import Value

Loss: TypeAlias = Callable[[Any, Any], Any]
Samples: TypeAlias = "list[tuple[Any, Any]]"


class History(NamedTuple):
    """What `fit` returns.

    cost         per finished epoch, J of the training set (E3), that of each batch taken before its step
    validation   per finished epoch, the mean loss over the validation set after it, without the λ term
    interrupted  whether Ctrl-C ended it
    """

    cost: list[float]
    validation: list[float]
    interrupted: bool

    def __repr__(self) -> str:
        epochs = f"{counted(len(self.cost), 'epoch')}{', interrupted' if self.interrupted else ''}"
        cost = f", cost {self.cost[0]:.4g} to {self.cost[-1]:.4g}" if self.cost else ""
        held = f", validation {self.validation[0]:.4g} to {self.validation[-1]:.4g}" if self.validation else ""
        return f"History({epochs}{cost}{held})"

    def _repr_svg_(self) -> str | None:
        from tinygrad_sq.study.curve import curve_svg

        return curve_svg(self.cost, self.validation) if self.cost else None


def fit(
    model: Module,
    X: Collection[Any],
    Y: Collection[Any],
    *,
    loss: Loss = half_squared_error,
    lam: float = 0.0,
    optimizer: Optimizer | None = None,
    epochs: int = 100,
    batch_size: int | None = None,
    seed: int = 0,
    shuffle: bool = True,
    validation: tuple[Collection[Any], Collection[Any]] | None = None,
    progress: bool = False,
    compiled: bool = False,
) -> History:
    """Change the model's parameters so that J falls (E3), going `epochs` times over the samples (X, Y).

    loss, lam    as for `cost`
    optimizer    by default Adam(model.parameters(), lr=0.01)
    batch_size   a step for each batch of so many samples, and one for the remainder. None: one step an epoch, over all
    seed         of the order of the samples, another one in each epoch; shuffle=False: theirs
    validation   further samples (X, Y), only to be watched
    progress     show a line on stderr, if that is a terminal
    compiled     take the steps in native code: the same numbers to rounding. The loss must then be one of Values, with
                 targets that are numbers in it, and the optimizer one of all parameters; ImportError with the pip
                 command without the extra `compile`

    Ctrl-C ends it early, and leaves the net as it was after the last finished step.

    Raises ValueError for samples that are none, of unequal lengths or not finite, and for epochs or a batch_size less
    than 1, and for an optimizer of none of the model's parameters; TypeError for what is of another type than it
    should be; FloatingPointError if a step would leave the finite numbers, with the net as before that step. An error
    in a sample gets a note that says in which.
    """
    parameters = model.parameters()
    optimizer = optimizer or Adam(parameters, lr=0.01)
    checked(optimizer, Optimizer, "an Optimizer, as Adam(model.parameters()) is")
    if set(parameters).isdisjoint(optimizer.parameters):
        raise ValueError("expected an optimizer of the model's parameters, or some of them; this one has none of them")
    checked(loss, Callable, "loss to be a function of an output and a target")
    watched = _samples(*_pair(validation), "validation ") if validation is not None else []

    @_saying_where(model, watched, loss, "validation ")
    def watch() -> float:
        with no_grad():
            return _cost(model, watched, loss, lam=0.0).data

    if compiled:
        from tinygrad_sq.compiler import compile

        program = compile(lambda x, y: checked(loss(model(x), y), Value, A_LOSS), params=parameters)
        try:
            history = program.fit(
                *(_arrays(X, Y) or _columns(_samples(X, Y))),
                optimizer=optimizer,
                epochs=epochs,
                batch_size=batch_size,
                lam=lam,
                weights=model.weights() if lam else (),
                seed=seed,
                shuffle=shuffle,
                validation=_columns(watched) if watched else None,
                progress=progress,
            )
        except FloatingPointError:
            samples = _samples(X, Y)
            with no_grad(), _saying_where(model, samples, loss):
                _cost(model, samples, loss, lam)  # which says so if it is a target that is none
            raise
        if watched and not math.isfinite(sum(history.validation)):
            watch()  # which says so if it is a target of these
        return history
    samples = _samples(X, Y)
    taken = itertools.count()

    @_saying_where(model, samples, loss)
    def run(orders: list[array[int]], size: int, done: Callable[[float], object]) -> None:
        for order in orders:
            J = 0.0
            for start in range(0, len(order), size):
                batch = [samples[i] for i in order[start : start + size]]
                J += _step(optimizer, model, batch, loss, lam, next(taken)) * (len(batch) / len(samples))
            done(J)

    draw = random.Random(seed).random

    def shuffled() -> array[int]:
        keys = [draw() for _ in samples]
        return array("q", sorted(range(len(samples)), key=keys.__getitem__))

    order = shuffled if shuffle else None
    return run_epochs(run, len(samples), epochs, batch_size, order, watch if watched else None, progress)


def run_epochs(
    run: Callable[[list[Any], int, Callable[[float], object]], None],
    samples: int,
    epochs: int,
    batch_size: int | None,
    shuffled: Callable[[], Any] | None,
    watch: Callable[[], float] | None,
    progress: bool,
) -> History:
    """The loop of `fit`: `run(orders, size, done)` goes over the samples in each of these orders, in batches of that
    size, and calls done(J) after each; `watch` follows each epoch. `shuffled` gives another order each time.

    Epochs that take no time are run several at once, for 50 ms or so, after which there is progress and Ctrl-C.
    """
    epochs = count(epochs, "epochs")
    size = samples if batch_size is None else count(batch_size, "batch_size")
    order = array("q", range(samples))  # which compiled code reads as it is
    show = progress and sys.stderr.isatty()
    history = History([], [], interrupted=False)
    at_once = 1
    try:
        while (finished := len(history.cost)) < epochs:
            orders: list[Any] = [order] * min(at_once, epochs - finished)
            if shuffled and batch_size is not None:
                orders = [shuffled() for _ in orders]
            start = time.monotonic()
            run(orders, size, history.cost.append)
            if watch:
                history.validation.append(watch())
            elif time.monotonic() - start < 0.05:
                at_once *= 2
            if show:
                sys.stderr.write(f"\r{_progress(epochs, history)}")
                sys.stderr.flush()
    except KeyboardInterrupt:
        finished = len(history.validation) if watch else len(history.cost)
        history = History(history.cost[:finished], history.validation, interrupted=True)
    finally:
        if show:
            sys.stderr.write("\n")
    return history


def left_the_finite_numbers(J: float, taken: int) -> FloatingPointError:
    """The error of a step at the cost J, after so many that were taken."""
    if taken or math.isfinite(J):
        return FloatingPointError(f"at a cost of {J!r}, a step left the finite numbers: try a smaller lr")
    return FloatingPointError(
        f"the cost is {J!r} before the first step, so that no lr helps: a function in it, perhaps the activation, is "
        "undefined or too large at its operand (detect_anomaly names it)"
    )


def _columns(samples: Samples) -> tuple[list[Any], list[Any]]:
    return [x for x, _ in samples], [y for _, y in samples]


def _cost(model: Module, samples: Samples, loss: Loss, lam: float) -> Value:
    return cost(model, *_columns(samples), loss, lam)


def _step(optimizer: Optimizer, model: Module, samples: Samples, loss: Loss, lam: float, taken: int) -> float:
    """J, before a step that is taken in whole, or not at all if anything stops it; `taken` steps came before."""
    optimizer.zero_grad()
    J = _cost(model, samples, loss, lam)
    J.backward()
    parameters = model.parameters()
    before = [p.data for p in parameters]
    state = vars(optimizer) | {"remembered": [*optimizer.remembered]}
    try:
        optimizer.step()
        if not all(math.isfinite(x) for x in (J.data, *[p.data for p in parameters])):
            raise left_the_finite_numbers(J.data, taken)
    except BaseException:
        for p, data in zip(parameters, before):
            p.data = data
        vars(optimizer).update(state)
        raise
    return J.data


@contextmanager
def _saying_where(model: Module, samples: Samples, loss: Loss, which: str = "") -> Iterator[None]:
    """An error within gets a note of the first sample whose loss alone raises one."""
    try:
        yield
    except (TypeError, ValueError) as error:
        for s, (x, y) in enumerate(samples):
            try:
                loss(model(x), y)
            except (TypeError, ValueError):
                error.add_note(f"in the sample {which}X[{s}], whose target is {y!r:.60}")
                break
        raise


def _pair(validation: tuple[Collection[Any], Collection[Any]]) -> tuple[Collection[Any], Collection[Any]]:
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        raise TypeError(f"expected validation to be a pair (X, Y), got {type(validation).__name__} {validation!r:.60}")
    return validation


def _samples(X: Collection[Any], Y: Collection[Any], which: str = "") -> Samples:
    """The pairs (x, y), checked."""
    if len(X) != len(Y) or len(X) == 0:
        raise ValueError(f"expected one target for each of the {which}samples, got {len(Y)} for {len(X)} samples")
    return list(zip(_rows(X, f"{which}X"), _rows(Y, f"{which}Y")))


def _arrays(*columns: Collection[Any]) -> list[Any] | None:
    """The columns as arrays, where NumPy finds them in order at once. None: `_samples` is to look at them and say."""
    import numpy as np

    try:
        arrays = [np.asarray(column) for column in columns]
    except ValueError:  # rows of several lengths
        return None
    fine = all(a.ndim in (1, 2) and a.dtype.kind in "fiub" and np.isfinite(a).all() for a in arrays)
    return arrays if fine and len({len(a) for a in arrays}) == 1 and len(arrays[0]) else None


def _rows(data: Collection[Any], name: str) -> list[Any]:
    """Rows of finite numbers, all of one length, as floats. A target that is no list stays: it may index a class."""
    rows: list[Any] = []
    length = None
    for s, row in enumerate(data):
        try:
            values = list(row) if isinstance(row, Iterable) else [row]
            if set(map(type, values)) != {float}:
                values = [v if isinstance(v, Value) else number(v) for v in values]
        except TypeError as error:
            raise TypeError(f"{name}[{s}]: {error}") from None
        if not all(map(math.isfinite, values)):
            raise ValueError(f"{name}[{s}]: expected finite numbers, got {values!r:.60}")
        length = length or len(values)
        if len(values) != length:
            raise ValueError(
                f"{name}[{s}]: expected {counted(length, 'number')}, as many as in {name}[0], got {len(values)}"
            )
        rows.append(values if isinstance(row, Iterable) else row)
    return rows


def _progress(epochs: int, history: History) -> str:
    epoch = len(history.cost)
    bar = "#" * (20 * epoch // epochs)
    validation = f"validation {history.validation[-1]:<12.6g}" if history.validation else ""
    return f"epoch {epoch:{len(str(epochs))}}/{epochs} [{bar:<20}] cost {history.cost[-1]:<12.6g}{validation}"
