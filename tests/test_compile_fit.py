"""Training in native code: the same numbers as the eager `fit`, and the same refusals."""

from __future__ import annotations

import copy
import threading
from array import array
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tinygrad_sq import (
    MLP,
    SGD,
    Adam,
    AdamW,
    Value,
    binary_cross_entropy,
    compile,
    cross_entropy,
    detect_anomaly,
    fit,
    half_squared_error,
    hinge,
    log,
    sqrt,
)
from tinygrad_sq.compiler.kernel import Lane, aligned
from tinygrad_sq.compiler.native import machine
from tinygrad_sq.compiler.training import Training
from tinygrad_sq.optim import Optimizer

RNG = np.random.default_rng(7)
X = RNG.normal(size=(37, 2)).tolist()
Y = RNG.normal(size=(37, 1)).tolist()

OPTIMIZERS: dict[str, Callable[[list[Any]], Optimizer]] = {
    "SGD": lambda p: SGD(p, 0.05),
    "momentum": lambda p: SGD(p, 0.05, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda p: SGD(p, 0.05, momentum=0.9, nesterov=True),
    "Adam": lambda p: Adam(p, 0.02),
    "AdamW": lambda p: AdamW(p, 0.02),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [None, 8])
def test_fit_is_the_eager_fit(name: str, batch_size: int | None) -> None:
    """Costs, validation, parameters and what the optimiser remembers are those of the eager loop to 1e-9, epochs later
    and in a second run after the first."""
    models = [MLP(2, [4, 1], "tanh", seed=3) for _ in range(2)]
    optimizers = [OPTIMIZERS[name](model.parameters()) for model in models]
    for _ in range(2):
        histories = [
            fit(
                model,
                X,
                Y,
                optimizer=optimizer,
                epochs=5,
                batch_size=batch_size,
                lam=0.01,
                seed=5,
                validation=(X[:5], Y[:5]),
                compiled=compiled,
            )
            for model, optimizer, compiled in zip(models, optimizers, (False, True))
        ]
        assert histories[1].cost == pytest.approx(histories[0].cost, rel=1e-9)
        assert histories[1].validation == pytest.approx(histories[0].validation, rel=1e-9)
        eager, native = [[p.data for p in model.parameters()] for model in models]
        assert native == pytest.approx(eager, rel=1e-9, abs=1e-12)
        eager_memory, memory = [np.array(optimizer.remembered) for optimizer in optimizers]
        assert memory == pytest.approx(eager_memory, rel=1e-8, abs=1e-12)


def test_without_penalty_and_validation() -> None:
    """lam = 0 needs no weights, and no validation gives none."""
    model, twin = MLP(2, [3, 1], seed=3), MLP(2, [3, 1], seed=3)
    history = fit(model, X, Y, epochs=3, compiled=True)
    eager = fit(twin, X, Y, epochs=3)
    assert history.cost == pytest.approx(eager.cost, rel=1e-9)
    assert history.validation == eager.validation


def test_a_program_of_ones_own() -> None:
    """program.fit trains any function of a sample, in either type."""
    w, b = Value(0.0), Value(0.0)
    for dtype, bound in (("float64", 1e-6), ("float32", 1e-3)):
        w.data = b.data = 0.0
        program = compile(lambda x, y: half_squared_error(w * x + b, y), params=[w, b], dtype=dtype)
        x = np.linspace(-1.0, 1.0, 40)
        history = program.fit(x, 3.0 * x - 0.5, optimizer=SGD([w, b], 0.5), epochs=100)
        assert (w.data, b.data) == pytest.approx((3.0, -0.5), abs=bound)
        assert history.cost[0] > history.cost[-1]


def test_what_fit_refuses() -> None:
    """Another optimiser's parameters, a penalty on nothing or below 0, and steps out of the finite numbers, which leave
    the parameters as they were."""
    w = Value(1.0)
    program = compile(lambda x: w * w * x, params=[w])
    with pytest.raises(ValueError, match="expected an optimizer of the program's params, in the same order"):
        program.fit([1.0], optimizer=SGD([Value(1.0)], 0.1))
    with pytest.raises(TypeError, match=r"expected an Optimizer, as Adam\(params\) is, got str 'adam'"):
        program.fit([1.0], optimizer="adam")  # type: ignore[arg-type]
    for lam, weights in ((0.1, ()), (-1.0, (w,)), (float("nan"), (w,)), (float("inf"), (w,))):
        with pytest.raises(ValueError, match="expected a lam of 0 or more, with the weights that it is on"):
            program.fit([1.0], optimizer=SGD([w], 0.1), lam=lam, weights=weights)
    with pytest.raises(FloatingPointError):
        program.fit([1e308, 1e308], optimizer=SGD([w], 1.0), epochs=1)
    assert w.data == 1.0


@pytest.mark.parametrize(
    ("inputs", "targets"),
    [
        ([], []),
        (X, Y[:-1]),
        ([[1.0, 2.0], [1.0]], [1.0, 2.0]),
        ([[[1.0, 2.0]], [[1.0, 2.0]]], [1.0, 2.0]),
        ([[1.0, np.nan]], [1.0]),
        ([[1.0, 2.0]], [np.inf]),
        ([[1.0, "2"]], [1.0]),
        (np.ones((1, 2), complex), [1.0]),
    ],
)
def test_samples_are_checked_as_in_the_eager_fit(inputs: Any, targets: Any) -> None:
    """They are refused in the same words."""
    words = []
    for compiled in (False, True):
        with pytest.raises((TypeError, ValueError)) as error:
            fit(MLP(2, [1]), inputs, targets, compiled=compiled)
        words.append(str(error.value))
    assert words[0] == words[1]


@pytest.mark.parametrize(
    ("loss", "n_out", "targets", "wrong", "words"),
    [
        (binary_cross_entropy, 1, [0.0, 1.0, 2.0], 2.0, "from 0 to 1, got 2.0"),
        (binary_cross_entropy, 1, [0.5, 1.0, -0.5], -0.5, "from 0 to 1, got -0.5"),
        (hinge, 1, [1.0, -1.0, 0.0], 0.0, "of -1 or 1, got 0.0"),
        (cross_entropy, 3, [2, 0, 3], 3, "a class from 0 to 2, one for each logit, got 3"),
        (cross_entropy, 3, [2, 0, -1], -1, "a class from 0 to 2, one for each logit, got -1"),
    ],
)
@pytest.mark.parametrize("batch_size", [None, 1])
def test_targets_are_checked_as_in_the_eager_fit(
    loss: Callable[..., Any], n_out: int, targets: list[float], wrong: float, words: str, batch_size: int | None
) -> None:
    """Wherever in the data a wrong one is: the loss then is no number, and the net remains as it was."""
    for compiled in (False, True):
        model = MLP(2, [3, n_out], seed=4)
        before = [p.data for p in model.parameters()]
        with pytest.raises(ValueError, match=words):
            fit(model, X[:3], targets, loss=loss, batch_size=batch_size, shuffle=False, compiled=compiled)
        assert batch_size or [p.data for p in model.parameters()] == before
        with pytest.raises(ValueError, match=words) as error:
            fit(model, X[:2], targets[:2], loss=loss, epochs=1, validation=(X[:3], targets), compiled=compiled)
        place = f"validation X[{targets.index(wrong)}]"
        assert error.value.__notes__ == [f"in the sample {place}, whose target is {wrong!r}"]


@pytest.mark.parametrize("optimizer", [lambda p: SGD(p, 0.1, momentum=0.5), Adam])
def test_a_refused_step_leaves_the_optimizer_as_it_was(optimizer: Callable[..., Optimizer]) -> None:
    """Eager and compiled: what it remembers and how often it stepped, so that one may go on with a smaller lr."""
    after = []
    for compiled in (False, True):
        model = MLP(2, [3, 1], seed=3)
        used = optimizer(model.parameters())
        fit(model, X, Y, optimizer=used, epochs=3, compiled=compiled)
        before = copy.deepcopy({name: x for name, x in vars(used).items() if name != "parameters"})
        used.lr = 1e308
        model.layers[0].neurons[0].w[0].data = 1e200  # whose square is infinite: the first step fails
        with pytest.raises(FloatingPointError):
            fit(model, X, Y, optimizer=used, lam=1.0, epochs=2, compiled=compiled)
        now = {name: x for name, x in vars(used).items() if name != "parameters"}
        assert now == before | {"lr": 1e308}
        after.append(now["remembered"])
    assert np.array(after[1]) == pytest.approx(np.array(after[0]), rel=1e-9)


@pytest.mark.parametrize(
    "form",
    [np.array, lambda rows: np.array(rows, np.float32), lambda rows: [tuple(map(Fraction, row)) for row in rows]],
)
def test_samples_in_any_form(form: Callable[[Any], Any]) -> None:
    """Arrays, tuples, other numbers: what the eager fit takes."""
    inputs, targets = form(X), form(Y)
    costs = [fit(MLP(2, [1], seed=0), inputs, targets, epochs=2, compiled=compiled).cost for compiled in (False, True)]
    assert costs[1] == pytest.approx(costs[0], rel=1e-12)


def test_a_step_is_taken_in_whole_or_not_at_all() -> None:
    """After steps that went well and one that did not, parameters are those of the last good one."""
    w = Value(4.0)
    program = compile(lambda x: w * w * w * w * x, params=[w])
    with pytest.raises(FloatingPointError):
        program.fit([1.0, 2.0], optimizer=SGD([w], 1.0), epochs=50)
    assert np.isfinite(w.data)
    assert abs(w.data) > 100.0


def test_compiled_classes() -> None:
    """Classes by their numbers train as they do in the eager loop; one that is none leaves the net as it was."""
    classes = [k % 3 for k in range(len(X))]
    models = [MLP(2, [3, 3], "tanh", seed=1) for _ in range(2)]
    for model, compiled in zip(models, (False, True)):
        model.fit(X, classes, loss=cross_entropy, batch_size=8, epochs=3, shuffle=False, compiled=compiled)
    eager, native = [[p.data for p in model.parameters()] for model in models]
    assert native == pytest.approx(eager, rel=1e-9, abs=1e-12)
    with pytest.raises(ValueError, match="expected a class from 0 to 2, one for each logit, got 3"):
        models[1].fit(X, [3] * len(X), loss=cross_entropy, epochs=1, compiled=True)
    assert [p.data for p in models[1].parameters()] == native


def test_without_a_shuffle_batches_are_in_order() -> None:
    """The first batch has the first samples, which decide of the first cost alone."""
    models = [MLP(2, [3, 1], seed=2) for _ in range(2)]
    costs = [
        model.fit(
            X, Y, optimizer=SGD(model.parameters(), 1e-9), batch_size=n, epochs=1, shuffle=False, compiled=True
        ).cost
        for model, n in zip(models, (8, 37))
    ]
    assert costs[0] == pytest.approx(costs[1], rel=1e-6)
    assert fit(models[0], X[:8], Y[:8], epochs=1, shuffle=False).cost[0] != costs[0][0]


def test_anomalies_in_compiled_code() -> None:
    """Under detect_anomaly, inputs that are not finite are refused, and a result that is not is traced to its op."""
    w = Value(1.0, "w")
    program = compile(lambda x: log(w * x) + sqrt(x), params=[w])
    assert np.isnan(program([-1.0, 1.0]))
    with detect_anomaly():
        assert np.isfinite(program.value_and_grad([1.0, 2.0])[0])
        with pytest.raises(FloatingPointError, match=r"argument 1 of 1 is nan at \[1\]: expected finite numbers"):
            program([1.0, float("nan")])
        with pytest.raises(FloatingPointError, match=r"log of \(mul = -1.0\) is nan, at .*test_compile_fit.py"):
            program([1.0, -1.0])
        with pytest.raises(FloatingPointError, match="log of"):
            program.each([2.0, -1.0])
        with pytest.raises(FloatingPointError, match="not finite in float32; the engine's, in float64, are"):
            compile(lambda x: [1e30 * x * x, 2.0], dtype="float32").each([1.0, 1e30])
        with pytest.raises(FloatingPointError, match="gradient of"):
            compile(lambda x: sqrt(w - x), params=[w]).value_and_grad([0.5, 1.0])


def trained(threads: int, orders: list[list[int]]) -> tuple[list[float], list[float]]:
    """Costs and parameters after epochs over the samples in these orders, in batches of 150."""
    model = MLP(2, [4, 1], "tanh", seed=3)
    rng = np.random.default_rng(1)
    data = rng.normal(size=(310, 2)), rng.normal(size=(310, 1))
    program = compile(lambda x, y: half_squared_error(model(x), y), params=model.parameters(), threads=threads)
    training = Training(program, data, SGD(model.parameters(), 0.05), (), 0.0)
    costs: list[float] = []
    training.run([array("q", order) for order in orders], 150, costs.append)
    training.write_back()
    return costs, [p.data for p in model.parameters()]


def test_several_epochs_at_once() -> None:
    """Epochs in one call, each over the samples in an order of its own, are those in several; and so with threads."""
    forth, back = list(range(310)), list(range(310))[::-1]
    costs, parameters = trained(1, [forth, back])
    assert costs[0] > costs[1]
    other, _ = trained(1, [forth, forth])
    assert costs[0] == other[0]
    assert costs[1] != other[1]
    threaded_costs, threaded = trained(2, [forth, back])
    assert threaded_costs == pytest.approx(costs, rel=1e-12)
    assert threaded == pytest.approx(parameters, rel=1e-9)


@pytest.mark.parametrize("samples", [1, 100, 255, 256, 257, 300, 600])
def test_the_same_batch_again_and_again(samples: int) -> None:
    """Whether all of its samples have room in a kernel, and are loaded once, or not: as by gradients one by one."""
    model = MLP(3, [4, 1], "tanh", seed=3)
    X, Y = RNG.normal(size=(samples, 3)), RNG.normal(size=(samples, 1))
    program = compile(lambda x, y: half_squared_error(model(x), y), params=model.parameters())
    p = program.data()
    costs = []
    for _ in range(5):
        J, gradient = program.flat_value_and_grad(X, Y)
        costs.append(J)
        p = p - 0.5 * gradient
        for parameter, x in zip(model.parameters(), p.tolist()):
            parameter.data = x
    again = MLP(3, [4, 1], "tanh", seed=3)
    history = again.fit(X, Y, optimizer=SGD(again.parameters(), 0.5), epochs=5, compiled=True)
    assert history.cost == pytest.approx(costs, rel=1e-13)
    assert [parameter.data for parameter in again.parameters()] == pytest.approx(p.tolist(), rel=1e-11)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_cost_that_is_no_number_from_the_beginning(compiled: bool) -> None:
    """Then no lr helps, and the error does not propose one; where a step led there, it does."""
    model = MLP(1, [1], seed=0)
    with pytest.raises(FloatingPointError, match="the cost is nan before the first step, so that no lr helps: a func"):
        fit(model, [[1.0]], [0.0], loss=lambda h, y: log(-h * h), compiled=compiled)
    with pytest.raises(FloatingPointError, match="at a cost of inf, a step left the finite numbers: try a smaller lr"):
        fit(model, [[1.0]], [0.0], optimizer=SGD(model.parameters(), 1e200), compiled=compiled)


def test_a_step_that_is_not_taken_does_not_count() -> None:
    """Adam has counted the steps that were, when the next one leaves the finite numbers."""
    p = Value(0.0)
    optimizer = Adam([p], lr=8e307)
    with pytest.raises(FloatingPointError, match="a step left the finite numbers"):
        compile(lambda x: x * p, params=[p]).fit([1.0, 1.0], optimizer=optimizer, epochs=5)
    assert optimizer.t == 2
    assert p.data == pytest.approx(-1.6e308, rel=1e-6)


def test_programs_shuffle_unless_told_not_to() -> None:
    """As `fit` does: batches of another order in each epoch."""

    def costs(**how: Any) -> list[float]:
        p = Value(0.0)
        program = compile(lambda x: (x - p) ** 2, params=[p])
        return program.fit(np.arange(20.0), optimizer=SGD([p], 0.1), epochs=3, batch_size=4, **how).cost

    assert costs() == costs(shuffle=True) != costs(shuffle=False)


def test_a_constant_that_changed() -> None:
    """What was no parameter when the program was compiled must not have changed when it is trained again."""
    p, c = Value(1.0), Value(2.0, "c")
    program = compile(lambda x: (p - c * x) ** 2, params=[p])
    program.fit([1.0, 2.0], optimizer=SGD([p], 0.01), epochs=1)
    c.data = float("2.0")  # another object, the same number
    program.fit([1.0, 2.0], optimizer=SGD([p], 0.01), epochs=1)
    c.data = 3.0
    with pytest.raises(ValueError, match=r"c was 2\.0 when the function was compiled and is 3\.0 now"):
        program.fit([1.0, 2.0], optimizer=SGD([p], 0.01), epochs=1)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_vectors_go_over_begins_a_cache_line(dtype: str) -> None:
    """Rows; the parameters, and the gradient behind J, of a training."""
    for n, k in ((10, 0), (100, 7), (33, 32)):
        room = aligned(n, np.dtype(dtype), k)
        assert room.shape == (n,)
        assert room.dtype == np.dtype(dtype)
        assert not room.any()
        assert room[k:].ctypes.data % 64 == 0
    p = [Value(float(k)) for k in range(5)]
    program = compile(lambda x: sum(p_k * x for p_k in p), params=p, dtype=dtype)
    training = Training(program, (np.ones(40),), Adam(p), (), 0.0)
    for room in (training.sums[1:], training.now, training.then, training.kernel.lanes[0].rows):
        assert room.ctypes.data % 64 == 0


@pytest.mark.parametrize("threads", [1, 2])
def test_each_thread_takes_its_part_of_a_step(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two, a gradient is that of two parts of the batch; with one, steps do not come back to Python for it."""
    parts: list[tuple[int, int]] = []
    run = Lane.run

    def recorded(lane: Lane, *call: Any) -> None:
        parts.append(call[-2:])
        run(lane, *call)

    monkeypatch.setattr(Lane, "run", recorded)
    trained(threads, [list(range(310))])
    if threads == 1:
        assert parts == []
    else:
        half = -(-150 // (2 * machine().row // 8)) * machine().row // 8  # in whole rows
        assert sorted(parts[:2]) == [(0, half), (half, 150)]


@pytest.mark.parametrize(
    ("loss", "right", "wrong"),
    [
        (binary_cross_entropy, [0.0, 1.0, 0.25, 1e-300, 1.0 - 1e-16], [-1e-300, 1.0 + 1e-15, 2.0, -1.0, np.inf]),
        (hinge, [1.0, -1.0], [0.0, 2.0, -0.5, 1.0 + 1e-15, np.nan]),
        (lambda z, t: cross_entropy([z, 0.0, 1.0], t), [0.0, 1.0, 2.0], [3.0, -1.0, 0.5]),
    ],
)
def test_compiled_targets(loss: Callable[..., Any], right: list[float], wrong: list[float]) -> None:
    """The loss of each that is one is the eager one's; of what is none, no finite number."""
    program = compile(loss)
    for z in (-3.0, 0.0, 2.5):
        assert program.each([z] * len(right), right) == pytest.approx([loss(z, t) for t in right], rel=1e-14)
        assert not np.isfinite(program.each([z] * len(wrong), wrong)).any()


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), RuntimeError("a fault")])
def test_ctrl_c_in_a_gradient_of_several_threads(stop: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step that it comes in is not taken, and no other one after it; any other error comes out, too."""
    run = Lane.run
    calls = []

    def interrupted(lane: Lane, *call: Any) -> None:
        calls.append(call)
        if len(calls) == 8:  # of two threads: in the fourth step
            raise stop
        run(lane, *call)

    def after(epochs: int) -> list[float]:
        model = MLP(2, [4, 1], "tanh", seed=3)
        program = compile(lambda x, y: half_squared_error(model(x), y), params=model.parameters(), threads=2)
        with suppress(RuntimeError):
            history = program.fit(
                np.ones((300, 2)), np.zeros((300, 1)), optimizer=SGD(model.parameters(), 0.05), epochs=epochs
            )
            assert history.interrupted == (epochs == 9)
        return [p.data for p in model.parameters()]

    expected = after(3)
    monkeypatch.setattr(Lane, "run", interrupted)
    assert after(9) == expected
    assert len(calls) == 8


def test_calls_from_several_threads() -> None:
    """A program may be called by several threads at once: each gets the results for its own arguments."""
    p = Value(2.0)
    program = compile(lambda x: (p * x[0] + x[1]) * x[2], params=[p])
    batches = [RNG.normal(size=(5000, 3)) for _ in range(4)]
    expected = [((2.0 * A[:, 0] + A[:, 1]) * A[:, 2]).mean() for A in batches]
    program.value_and_grad(batches[0])
    wrong: list[int] = []

    def work(k: int) -> None:
        for _ in range(200):
            y, _ = program.value_and_grad(batches[k])
            if not np.isclose(y, expected[k], rtol=1e-9):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_optimiser_counts_its_own_steps() -> None:
    """Adam's correction of its first steps goes on from run to run: a copy made half-way ends where it does."""
    model = MLP(2, [3, 1], "tanh", seed=3)
    optimizer = Adam(model.parameters(), 0.05)
    fit(model, X, Y, optimizer=optimizer, epochs=3, compiled=True)
    twin, optimizer_twin = copy.deepcopy((model, optimizer))
    fit(model, X, Y, optimizer=optimizer, epochs=3, compiled=True)
    fit(twin, X, Y, optimizer=optimizer_twin, epochs=3)
    assert [p.data for p in twin.parameters()] == pytest.approx([p.data for p in model.parameters()], rel=1e-9)
