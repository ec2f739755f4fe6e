"""`fit`: what it steps through, in which order, what it reports, and how it ends."""

import io
import math
import random
import re
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_sq import (
    MLP,
    SGD,
    Adam,
    History,
    Parameter,
    Value,
    cost,
    cross_entropy,
    fit,
    half_squared_error,
)

X = [[0.0, 1.0], [1.0, 0.0], [0.5, -0.5], [1.0, 1.0], [-1.0, 0.25]]
Y = [1.0, -1.0, 0.0, 0.5, 2.0]


def net(seed: int = 0) -> MLP:
    return MLP(2, [3, 1], activation="tanh", seed=seed)


def data(model: MLP) -> list[float]:
    return [p.data for p in model.parameters()]


# --- the steps ---


def test_full_batch_is_the_plain_loop() -> None:
    """One step an epoch over all samples in their order, to the bit; the cost is that before the step."""
    model, other = net(), net()
    history = fit(model, X, Y, lam=0.1, optimizer=SGD(model.parameters(), 0.1, momentum=0.5), epochs=3)
    sgd = SGD(other.parameters(), 0.1, momentum=0.5)
    costs = []
    for _ in range(3):
        sgd.zero_grad()
        J = cost(other, X, Y, lam=0.1)
        J.backward()
        sgd.step()
        costs.append(J.data)
    assert data(model) == data(other)
    assert history == History(costs, [], interrupted=False)


def test_minibatches_are_the_plain_loop() -> None:
    """A step for each batch of two and for the one left over; the cost is the mean of J over the epoch's samples."""
    model, other = net(), net()
    history = fit(model, X, Y, lam=0.1, optimizer=SGD(model.parameters(), 0.1), epochs=2, batch_size=2, seed=5)
    draw = random.Random(5).random
    costs = []
    for _ in range(2):
        order = sorted(range(5), key=lambda _: draw())
        mean = 0.0
        for batch in (order[:2], order[2:4], order[4:]):
            other.zero_grad()
            J = cost(other, [X[s] for s in batch], [Y[s] for s in batch], lam=0.1)
            J.backward()
            for p in other.parameters():
                p.data -= 0.1 * p.grad
            mean += J.data * len(batch) / 5
        costs.append(mean)
    assert data(model) == pytest.approx(data(other), rel=1e-14)
    assert history.cost == pytest.approx(costs, rel=1e-14)


@given(st.integers(1, 9), st.integers(1, 12), st.integers(0, 5))
def test_every_epoch_takes_each_sample_once(m: int, size: int, seed: int) -> None:
    """An epoch takes a permutation of the samples, whatever is left over; the same seed gives the same one."""

    def order_of(seed: int) -> list[int]:
        seen: list[int] = []

        def loss(h: Value, s: int) -> Value:
            seen.append(s)
            return h

        model = net()
        fit(model, [[0.1, 0.2]] * m, range(m), loss=loss, epochs=2, batch_size=size, seed=seed)
        return seen

    seen = order_of(seed)
    assert sorted(seen[:m]) == sorted(seen[m:]) == list(range(m))
    assert order_of(seed) == seen


def test_the_shuffle_differs_from_epoch_to_epoch_and_seed_to_seed() -> None:
    """Minibatches are shuffled anew; the data of the caller stay in their order."""
    inputs, targets = [[float(s), 0.0] for s in range(20)], [float(s) for s in range(20)]
    orders: list[list[float]] = [[], []]
    for seed, seen in enumerate(orders):

        def loss(h: Value, y: float, seen: list[float] = seen) -> Any:
            seen.append(y)
            return half_squared_error(h, y) * 1e-6

        fit(net(), inputs, targets, loss=loss, epochs=2, batch_size=20, seed=seed)
    assert len({tuple(order) for seen in orders for order in (seen[:20], seen[20:], targets)}) == 5
    assert targets == sorted(targets)


def test_a_default_optimizer() -> None:
    """Without an optimiser, Adam with lr 0.01 and its other defaults."""
    model, other = net(), net()
    assert fit(model, X, Y, epochs=2) == fit(other, X, Y, epochs=2, optimizer=Adam(other.parameters(), lr=0.01))
    assert data(model) == data(other)
    assert len(fit(model, X, Y).cost) == 100


def test_xor() -> None:
    """It learns what no single layer can."""
    model = MLP(2, [4, 1], activation="tanh", seed=0)
    inputs, targets = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    history = fit(model, inputs, targets, epochs=300, optimizer=Adam(model.parameters(), lr=0.05))
    assert history.cost[-1] < 1e-3 < history.cost[0]
    assert [round(model(x).data) for x in inputs] == targets


def test_data_may_be_arrays_and_values() -> None:
    """Rows of a NumPy array are lists of numbers; a target that is no list stays what it is, so that it can be the
    index of a class; Values get gradients."""
    costs = [fit(net(), inputs, targets, epochs=2).cost for inputs, targets in ((X, Y), (np.array(X), np.array(Y)))]
    assert costs[0] == costs[1]
    classes = MLP(2, [3], seed=0)
    assert len(fit(classes, X, [0, 1, 2, 1, 0], loss=cross_entropy, epochs=2).cost) == 2
    assert len(fit(classes, np.array(X), np.array([0, 1, 2, 1, 0]), loss=cross_entropy, epochs=2).cost) == 2
    x = Value(0.5)
    fit(net(), [[x, 1.0]], [1.0], epochs=1)
    assert x.grad != 0.0


# --- what it reports ---


def test_validation_is_the_mean_loss_after_each_epoch() -> None:
    """λ is not in it, it is that of the net after the epoch, and it changes nothing."""
    model, other = net(), net()
    watched = ([[0.3, 0.3], [2.0, 1.0]], [1.0, 0.0])
    history = fit(model, X, Y, lam=0.1, epochs=3, validation=watched)
    assert history.cost == fit(other, X, Y, lam=0.1, epochs=3).cost
    assert data(model) == data(other)
    assert history.validation[-1] == cost(model, *watched).data
    assert len(history.validation) == 3


class Terminal(io.StringIO):
    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


@pytest.mark.parametrize(("is_terminal", "progress"), [(False, True), (True, False), (False, False)])
def test_progress_is_for_terminals(monkeypatch: pytest.MonkeyPatch, is_terminal: bool, progress: bool) -> None:
    """Nothing is written to a file or a pipe, nor without being asked."""
    monkeypatch.setattr(sys, "stderr", Terminal(is_terminal))
    fit(net(), X, Y, epochs=2, progress=progress)
    assert isinstance(sys.stderr, Terminal)
    assert sys.stderr.getvalue() == ""


def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, drawn over and over, with the epoch, a bar and the costs, of at most 80 characters; then it ends."""
    monkeypatch.setattr(sys, "stderr", terminal := Terminal(True))
    history = fit(net(), X, Y, epochs=10, progress=True, validation=(X, Y))
    first, *lines, last = terminal.getvalue().split("\r")
    assert first == ""
    assert len(lines) == 9
    assert lines[0].startswith(f"epoch  1/10 [##                  ] cost {history.cost[0]:.6g}")
    assert last.startswith("epoch 10/10 [####################] cost ")
    assert last.rstrip().endswith(f"validation {history.validation[-1]:.6g}")
    assert last.endswith("\n")
    assert {len(line) for line in lines} == {len(last) - 1}
    assert len(last) <= 81
    terminal.truncate(0)
    fit(net(), X, Y, epochs=1, progress=True)
    assert "validation" not in terminal.getvalue()


# --- how it ends early ---


class Interrupted:
    """half_squared_error, until the call number `at`."""

    def __init__(self, at: int, error: type[BaseException] = KeyboardInterrupt) -> None:
        self.left = at
        self.error = error

    def __call__(self, h: Any, y: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return half_squared_error(h, y)


def test_ctrl_c_keeps_the_net_and_the_history() -> None:
    """Stopped in the middle of its third step, the net is what two steps made it, and the history says so."""
    model, other = net(), net()
    whole = fit(other, X, Y, epochs=2, validation=(X, Y))
    history = fit(model, X, Y, epochs=9, loss=Interrupted(at=2 * 2 * 5 + 3), validation=(X, Y))
    assert data(model) == data(other)
    assert history == History(whole.cost, whole.validation, interrupted=True)
    assert not whole.interrupted


def test_ctrl_c_during_validation_drops_that_epoch() -> None:
    """cost and validation have an entry for each finished epoch, though the steps of the last one stand."""
    model, other = net(), net()
    fit(other, X, Y, epochs=2)
    history = fit(model, X, Y, epochs=9, loss=Interrupted(at=2 * 2 * 5 - 1), validation=(X, Y))
    assert data(model) == data(other)
    assert (len(history.cost), len(history.validation), history.interrupted) == (1, 1, True)


class HalfStep(SGD):
    """An optimiser that is stopped between two parameters, in its second step."""

    def __init__(self, parameters: list[Parameter], error: type[BaseException]) -> None:
        super().__init__(parameters, 0.1)
        self.error = error
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps == 2:
            self.parameters[0].data = 99.0
            raise self.error
        super().step()


def test_a_step_is_taken_in_whole_or_not_at_all() -> None:
    """Stopped between two parameters, by Ctrl-C or by an error, the net is as it was before the step."""
    after_one_step = net()
    fit(after_one_step, X, Y, epochs=1, optimizer=SGD(after_one_step.parameters(), 0.1))
    model = net()
    assert fit(model, X, Y, optimizer=HalfStep(model.parameters(), KeyboardInterrupt)).interrupted
    assert data(model) == data(after_one_step)
    model = net()
    with pytest.raises(ZeroDivisionError):
        fit(model, X, Y, optimizer=HalfStep(model.parameters(), ZeroDivisionError))
    assert data(model) == data(after_one_step)


def test_ctrl_c_ends_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends it, what is written next begins on a line of its own."""
    monkeypatch.setattr(sys, "stderr", terminal := Terminal(True))
    fit(net(), X, Y, loss=Interrupted(at=7), progress=True)
    with pytest.raises(ZeroDivisionError):
        fit(net(), X, Y, loss=Interrupted(at=7, error=ZeroDivisionError), progress=True)
    assert terminal.getvalue().count("\n") == 2
    assert terminal.getvalue().endswith("\n")


@pytest.mark.parametrize("lr", [1e200, 1e308])
def test_divergence_is_an_error_that_leaves_a_finite_net(lr: float) -> None:
    """A step of far too large an lr ends in an error, not in a net of NaN; so does a cost that overflows though the
    parameters do not."""
    model = MLP(2, [3, 1], seed=0)
    with pytest.raises(FloatingPointError, match=r"at a cost of .*, a step left the finite numbers: try a smaller lr"):
        fit(model, X, Y, optimizer=SGD(model.parameters(), lr))
    assert all(map(math.isfinite, data(model)))

    model = MLP(1, [1], seed=0)
    before = data(model)
    with pytest.raises(FloatingPointError, match="the cost is inf before the first step, so that no lr helps"):
        fit(model, [[1e-300]], [1e160], optimizer=SGD(model.parameters(), 1e-9), epochs=1)
    assert data(model) == before


# --- what is refused ---


@pytest.mark.parametrize(
    ("inputs", "targets", "error", "message"),
    [
        ([], [], ValueError, "expected one target for each of the samples, got 0 for 0 samples"),
        (X, Y[:-1], ValueError, "expected one target for each of the samples, got 4 for 5 samples"),
        (X[:-1], Y, ValueError, "expected one target for each of the samples, got 5 for 4 samples"),
        ([[1.0, 2.0], [1.0]], [1, 2], ValueError, r"X\[1\]: expected 2 numbers, as many as in X\[0\], got 1"),
        ([[1.0, 2.0]] * 2, [[1], [1, 2]], ValueError, r"Y\[1\]: expected 1 number, as many as in Y\[0\], got 2"),
        ([[1.0, math.nan]], [1.0], ValueError, r"X\[0\]: expected finite numbers, got \[1.0, nan\]"),
        ([[1.0, 2.0]], [math.inf], ValueError, r"Y\[0\]: expected finite numbers, got \[inf\]"),
        ([[1.0, 2.0]] * 2, [[1.0], [-math.inf]], ValueError, r"Y\[1\]: expected finite numbers, got \[-inf\]"),
        ([[1.0, "2"]], [1.0], TypeError, r"X\[0\]: expected a real number .*, got str '2'"),
        ([[1.0, 2.0]], [None], TypeError, r"Y\[0\]: expected a real number .*, got NoneType None"),
        ([[1.0, 2.0, 3.0]], [1.0], ValueError, r"expected 2 inputs, got 3\nin the sample X\[0\], whose target is 1\.0"),
        ([1.0], [1.0], TypeError, r"expected a list of 2 inputs, got float 1\.0\nin the sample X\[0\]"),
        ([[1.0, 2.0]], [[1.0, 2.0]], ValueError, r"expected 1 target, one for each output, got 2\nin .* X\[0\]"),
    ],
)
def test_data_that_do_not_fit(inputs: Any, targets: Any, error: type[Exception], message: str) -> None:
    """The error says which sample, what was expected and what was there, and the net is as before."""
    model = net()
    before = data(model)
    with pytest.raises(error, match=f"^{message}"):
        fit(model, inputs, targets)
    assert data(model) == before


def test_validation_data_that_do_not_fit() -> None:
    """They are checked before the training, and the error says whose they are."""
    with pytest.raises(ValueError, match="expected one target for each of the validation samples, got 1 for 2"):
        fit(net(), X, Y, validation=(X[:2], Y[:1]))
    with pytest.raises(ValueError, match=r"validation X\[1\]: expected finite numbers"):
        fit(net(), X, Y, validation=([[1.0, 2.0], [math.nan, 1.0]], Y[:2]))
    with pytest.raises(ValueError, match=r"expected 2 inputs, got 1\nin the sample validation X\[0\]"):
        fit(net(), X, Y, validation=([[1.0]], [1.0]))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("validation", [X, X[:1], np.array(X), ()])
def test_validation_is_a_pair(validation: Any, compiled: bool) -> None:
    """Samples without targets are refused, however many they are."""
    with pytest.raises(TypeError, match=r"^expected validation to be a pair \(X, Y\), got (list|ndarray|tuple) "):
        fit(net(), X, Y, validation=validation, compiled=compiled)


@pytest.mark.parametrize("batch_size", [None, 2])
def test_an_error_says_in_which_sample(batch_size: int | None) -> None:
    """By its place in X, wherever it comes in the order of the batches."""
    with pytest.raises(ValueError, match=r"from 0 to 1, .* got 2\nin the sample X\[3\], whose target is 2$"):
        fit(MLP(2, [2]), X, [0, 1, 0, 2, 1], loss=cross_entropy, batch_size=batch_size)
    with pytest.raises(ValueError, match=r"from 0 to 1, .* got 2\nin the sample validation X\[1\], whose target is 2$"):
        fit(MLP(2, [2]), X[:2], [0, 1], loss=cross_entropy, batch_size=batch_size, validation=(X[2:], [0, 2, 1]))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adam"}, "expected an Optimizer, as Adam(model.parameters()) is, got str 'adam'"),
        ({"optimizer": Adam}, "expected an Optimizer, as Adam(model.parameters()) is, got type <class"),
        ({"loss": "mse"}, "expected loss to be a function of an output and a target, got str 'mse'"),
        (
            {"loss": lambda h, y: 3.0},
            "expected a loss that gives a Value, a function of the model's output, got float",
        ),
        ({"epochs": 2.5}, "expected epochs to be a whole number, got float 2.5"),
        ({"batch_size": 2.0}, "expected batch_size to be a whole number, got float 2.0"),
    ],
)
def test_options_of_another_type(options: dict[str, Any], message: str, compiled: bool) -> None:
    """They are refused by name, compiled or not."""
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        fit(net(), X, Y, compiled=compiled, **options)


def test_the_optimizer_is_that_of_the_model() -> None:
    """Another net's would change that one, and leave this one as it is. One of some of its parameters trains those."""
    model, other = net(), net(1)
    with pytest.raises(ValueError, match=r"expected an optimizer of the model's parameters, or some of them"):
        fit(model, X, Y, optimizer=Adam(other.parameters()))
    before = data(model)
    last = model.layers[-1].parameters()
    fit(model, X, Y, optimizer=Adam(last), epochs=1)
    changed = [now != then for now, then in zip(data(model), before)]
    assert changed == [p in last for p in model.parameters()]


@pytest.mark.parametrize("options", [{"epochs": 0}, {"epochs": -1}, {"batch_size": 0}, {"batch_size": -2}])
def test_counts_start_at_one(options: dict[str, int]) -> None:
    """No epochs, or batches of nothing, are an error."""
    with pytest.raises(ValueError, match=r"expected (epochs|batch_size) to be 1 or more, got (0|-1|-2)"):
        fit(net(), X, Y, epochs=options.pop("epochs", 1), batch_size=options.pop("batch_size", None))
    with pytest.raises(ValueError, match="expected a lam of 0 or more"):
        fit(net(), X, Y, lam=-1.0)


def test_fit_is_not_recorded_twice() -> None:
    """The validation makes no graph: what it computes are leaves."""
    leaves: list[bool] = []

    def loss(h: Value, y: float) -> Any:
        leaves.append(h.args == ())
        return half_squared_error(h, y)

    fit(net(), X[:1], Y[:1], loss=loss, epochs=1, validation=(X[:1], Y[:1]))
    assert leaves == [False, True]
