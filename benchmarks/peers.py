"""The worker for what compiles, or calls kernels: the same steps of training, written for each as its users would.

python peers.py NAME      a class below; imports happen in it, since each peer has an environment of its own
"""

import sys
import time
import timeit
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from serve import seconds_each, serve
from tasks import DIGITS, LEARNING_RATE, POINT, SAMPLES, Case, case, digits, rosenbrock

Step = Callable[[], float]  # one forward pass, backward pass and step of gradient descent: J before it
Steps = Callable[[int], list[float]]  # so many of them


class Ours:
    def __init__(self) -> None:
        from tinygrad_sq import losses, nn, optim, value_and_grad
        from tinygrad_sq.compiler import compile, training

        self.losses, self.nn, self.optim, self.training = losses, nn, optim, training
        self.compile, self.value_and_grad = compile, value_and_grad
        compile(abs)  # which imports what it needs

    def program(self, net: Case) -> tuple[Any, Any]:
        n_in, *sizes = net.sizes
        model = self.nn.MLP(n_in, sizes, activation=net.activation, seed=0)
        for layer, W in zip(model.layers, net.W):
            for neuron, w in zip(layer.neurons, W):
                neuron.b.data = 0.0
                for p, x in zip(neuron.w, w):
                    p.data = x
        loss = self.losses.half_squared_error
        return model, self.compile(lambda x, y: loss(model(x), y), params=model.parameters())

    def steps(self, net: Case) -> Steps:
        model, program = self.program(net)
        data = np.array(net.X), np.array(net.Y)
        optimizer = self.optim.SGD(model.parameters(), lr=LEARNING_RATE)
        training = self.training.Training(program, data, optimizer, (), 0.0)
        order, bounds = np.arange(SAMPLES), np.array([[0, SAMPLES]])
        return lambda n: training.steps(order, bounds.repeat(n, axis=0)).tolist()

    def first(self, net: Case) -> float:
        X, Y = np.array(net.X), np.array(net.Y)
        return float(self.program(net)[1].flat_value_and_grad(X, Y)[0])

    def point(self) -> tuple[Callable[[], Any], Callable[[], list[float]]]:
        bound = self.compile(self.value_and_grad(rosenbrock)).bind(POINT)
        return bound.run, bound.outputs.tolist

    def kernel(self, net: Case) -> dict[str, float]:
        """Seconds of the kernel of a net alone, forward and backward, with what Python does around it left out."""
        _, program = self.program(net)
        batch = program.batch((np.array(net.X), np.array(net.Y)))
        mode = self.training.Mode.GRADIENT
        kernel = program.kernel(mode, batch)
        outputs, order = kernel.room(SAMPLES), batch.order
        kernel.run(batch, program.data(), outputs, 1.0 / SAMPLES, order)
        (lane,) = kernel.lanes
        seconds = seconds_each(lambda: lane.native.run(lane.address), time.process_time)
        return {"seconds": seconds, "flops per second": flops_of(net) * SAMPLES / seconds}

    def peak(self) -> float:
        """Additions and multiplications a second of the core: independent chains of vector FMAs, as many as registers
        hold, which is more than the core has in flight (latency 4, two a cycle)."""
        from tinygrad_sq.compiler.native import Native, machine

        lanes = machine().register // 8
        chains, rounds, vector = range(12), 10_000_000, f"<{lanes} x double>"
        phis = "\n".join(
            f"  %a{k} = phi {vector} [ zeroinitializer, %entry ], [ %b{k}, %loop ]\n"
            f"  %b{k} = call {vector} @llvm.fma.v{lanes}f64({vector} %v, {vector} %v, {vector} %a{k})"
            for k in chains
        ).splitlines()
        body = "\n".join(sorted(phis, key=lambda line: "phi" not in line))
        total = "\n".join(f"  %s{k + 1} = fadd {vector} %s{k}, %b{k}" for k in chains)
        ir = f"""declare {vector} @llvm.fma.v{lanes}f64({vector}, {vector}, {vector})
define void @run(ptr %data) {{
entry:
  %v = load {vector}, ptr %data, align 8
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %n, %loop ]
{body}
  %n = add i64 %i, 1
  %done = icmp eq i64 %n, {rounds}
  br i1 %done, label %end, label %loop
end:
  %s0 = fadd {vector} %v, %v
{total}
  store {vector} %s{len(chains)}, ptr %data, align 8
  ret void
}}"""
        native = Native(ir, level=0)  # LLVM's passes would see that the chains are all the same
        data = np.full(lanes, 1e-3)
        start = time.process_time()
        native.run(data.ctypes.data)
        return len(chains) * lanes * 2 * rounds / (time.process_time() - start)

    def compile_time(self, nodes: int, kind: str) -> dict[str, float]:
        """Seconds from a function to its first mean and gradient, and the nodes of the graph of both."""
        import random

        from tinygrad_sq import Value, dot, tanh

        draw = random.Random(0)
        if kind == "net":
            model = self.nn.MLP(64, [max(1, nodes // 154), 10], activation="relu", seed=0)
            parameters: list[Any] = list(model.parameters())

            def f(x: Any) -> Any:
                return self.losses.half_squared_error(model(x), [0.0] * 10)
        elif kind == "recurrence":
            W = [[Value(draw.uniform(-0.1, 0.1)) for _ in range(16)] for _ in range(16)]
            parameters = [w for row in W for w in row]

            def f(x: Any) -> Any:
                h = x[:16]
                for _ in range(nodes // 96):
                    h = [tanh(dot(row, h)) for row in W]
                return sum(h)
        else:
            parameters = [Value(draw.random()) for _ in range(64)]

            def f(x: Any) -> Any:
                seen = [*x, *parameters]
                for _ in range(nodes // 12):
                    a, b, c = draw.choices(seen, k=3)
                    seen.append(tanh(a * b + c))
                return sum(seen[-64:])

        X = np.zeros((SAMPLES, 64))
        start = time.process_time()
        program = self.compile(f, params=parameters)
        program.flat_value_and_grad(X)
        return {"seconds": time.process_time() - start, "nodes": program.stats[0].nodes}

    def fit(self, epochs: int, batch_size: int, train: int) -> dict[str, float]:
        from tinygrad_sq import dot, logsumexp
        from tinygrad_sq.train import fit

        X, Y = map(np.array, digits(0, 10_000))  # which scikit-learn also gets
        start = time.process_time()
        model = self.nn.MLP(64, [32, 10], activation="relu", seed=0, init="he")
        fit(
            model,
            X[:train],
            Y[:train],
            loss=lambda z, y: logsumexp(z) - dot(y, z),
            optimizer=self.optim.Adam(model.parameters(), lr=1e-3),
            epochs=epochs,
            batch_size=batch_size,
            compiled=True,
        )
        seconds = time.process_time() - start
        outputs = np.array(self.compile(model).each(X[train:]))
        return {"seconds": seconds, "accuracy": float((outputs.argmax(0) == Y[train:].argmax(1)).mean())}


class Numpy:
    def trainer(self, net: Case) -> Step:
        W = [np.array(w) for w in net.W]
        b = [np.zeros(len(w)) for w in net.W]
        X, Y = np.array(net.X), np.array(net.Y)
        relu = net.activation == "relu"

        def step() -> float:
            a = [X]
            for l, (w, c) in enumerate(zip(W, b)):
                z = a[-1] @ w.T
                z += c
                if l < len(W) - 1:
                    np.maximum(z, 0.0, out=z) if relu else np.tanh(z, out=z)
                a.append(z)
            delta = a[-1] - Y
            flat = delta.ravel()
            J = 0.5 * float(flat @ flat) / SAMPLES
            delta *= 1.0 / SAMPLES
            for l in range(len(W) - 1, -1, -1):
                dW, db = delta.T @ a[l], delta.sum(0)
                if l:
                    delta = delta @ W[l]
                    delta *= (a[l] > 0.0) if relu else 1.0 - a[l] * a[l]
                W[l] -= LEARNING_RATE * dW
                b[l] -= LEARNING_RATE * db
            return J

        return step


class Torch:
    def __init__(self) -> None:
        import torch

        torch.set_num_threads(1)
        self.torch = torch

    def trainer(self, net: Case) -> Step:
        torch, functional = self.torch, self.torch.nn.functional
        real: dict[str, Any] = {"dtype": torch.float64}
        W = [torch.tensor(w, **real, requires_grad=True) for w in net.W]
        b = [torch.zeros(len(w), **real, requires_grad=True) for w in net.W]
        X, Y = torch.tensor(net.X, **real), torch.tensor(net.Y, **real)
        f = getattr(torch, net.activation)
        parameters = [*W, *b]

        def step() -> float:
            a = X
            for l, (w, c) in enumerate(zip(W, b)):
                z = functional.linear(a, w, c)
                a = f(z) if l < len(W) - 1 else z
            J = functional.mse_loss(a, Y, reduction="sum") * (0.5 / SAMPLES)
            gradients = torch.autograd.grad(J, parameters)
            with torch.no_grad():
                torch._foreach_add_(parameters, gradients, alpha=-LEARNING_RATE)
            return J.item()

        return step


class Jax:
    def __init__(self) -> None:
        import jax

        jax.config.update("jax_enable_x64", True)
        self.jax = jax

    def loss(self, net: Case) -> tuple[Any, Any]:
        jnp = self.jax.numpy
        f = self.jax.nn.relu if net.activation == "relu" else jnp.tanh
        X, Y = jnp.array(net.X), jnp.array(net.Y)

        def J(parameters: Any) -> Any:
            a = X
            for l, (w, c) in enumerate(parameters):
                z = a @ w.T + c
                a = f(z) if l < len(parameters) - 1 else z
            return 0.5 / SAMPLES * jnp.sum((a - Y) ** 2)

        return J, [(jnp.array(w), jnp.zeros(len(w))) for w in net.W]

    def update(self, net: Case) -> tuple[Callable[[Any], Any], Any]:
        """A step: from the parameters to J and new parameters; and the first parameters."""
        loss, parameters = self.loss(net)
        jax = self.jax

        def update(parameters: Any) -> Any:
            J, gradient = jax.value_and_grad(loss)(parameters)
            return J, jax.tree.map(lambda p, g: p - LEARNING_RATE * g, parameters, gradient)

        return update, parameters

    def trainer(self, net: Case) -> Step:
        update, parameters = self.update(net)
        compiled = self.jax.jit(update, donate_argnums=0)

        def step() -> float:
            nonlocal parameters
            J, parameters = compiled(parameters)
            return float(J)

        return step

    def steps(self, net: Case) -> Steps:
        """Several steps in one call, as a `scan` inside of `jit`: one compilation for each number of steps."""
        jax = self.jax
        update, parameters = self.update(net)

        def run(parameters: Any, n: int) -> Any:
            return jax.lax.scan(lambda p, _: update(p)[::-1], parameters, length=n)

        compiled = jax.jit(run, static_argnums=1, donate_argnums=0)

        def steps(n: int) -> list[float]:
            nonlocal parameters
            parameters, J = compiled(parameters, n)
            return [float(x) for x in J.tolist()]

        return steps

    def first(self, net: Case) -> float:
        loss, parameters = self.loss(net)
        J, gradient = self.jax.jit(self.jax.value_and_grad(loss))(parameters)
        self.jax.block_until_ready(gradient)
        return float(J)


def scalar_loss(net: Case, W: Any, b: Any, x: Any, y: Any, f: Callable[[Any], Any]) -> Any:
    """The loss of one sample in scalars; W and b as in `flat`."""
    a = x
    for l, (w, c) in enumerate(zip(W, b)):
        z = [sum((w_ij * a_j for w_ij, a_j in zip(w_i, a)), c_i) for w_i, c_i in zip(w, c)]
        a = [f(z_i) for z_i in z] if l < len(W) - 1 else z
    return 0.5 * sum((h - t) ** 2 for h, t in zip(a, y))


def flat(net: Case) -> list[float]:
    return [x for W in net.W for w in W for x in (*w, 0.0)]


def unflat(net: Case, p: Sequence[Any]) -> tuple[list[list[Any]], list[list[Any]]]:
    """W and b of parameters in a row: unit by unit, its weights and then its bias."""
    take = iter(p)
    W, b = [], []
    for layer in net.W:
        units = [[next(take) for _ in range(len(w) + 1)] for w in layer]
        W.append([unit[:-1] for unit in units])
        b.append([unit[-1] for unit in units])
    return W, b


class Casadi:
    def __init__(self) -> None:
        import casadi

        self.casadi = casadi

    def trainer(self, net: Case) -> Step:
        ca = self.casadi
        start = flat(net)
        x, y, p = ca.SX.sym("x", len(net.X[0])), ca.SX.sym("y", len(net.Y[0])), ca.SX.sym("p", len(start))
        f = (lambda z: ca.fmax(z, 0.0)) if net.activation == "relu" else ca.tanh
        W, b = unflat(net, ca.vertsplit(p))
        J = scalar_loss(net, W, b, ca.vertsplit(x), ca.vertsplit(y), f)
        one = ca.Function("one", [x, y, p], [J, ca.gradient(J, p)])
        program = one.map("all", "serial", SAMPLES, [2], [0, 1])  # p is that of all samples; both results are added up
        X, Y, P = np.array(net.X), np.array(net.Y), np.array(start)
        total, gradient = np.zeros(1), np.zeros(len(P))
        buffer, run = program.buffer()
        for k, array in enumerate((X, Y, P)):  # a row of C is a column of CasADi
            buffer.set_arg(k, memoryview(array))
        for k, array in enumerate((total, gradient)):
            buffer.set_res(k, memoryview(array))
        self.alive = buffer, X, Y

        def step() -> float:
            run()
            np.subtract(P, LEARNING_RATE / SAMPLES * gradient, out=P)
            return float(total[0]) / SAMPLES

        return step

    def point(self) -> tuple[Callable[[], Any], Callable[[], list[float]]]:
        ca = self.casadi
        x = ca.SX.sym("x", len(POINT))
        J = rosenbrock(ca.vertsplit(x))
        buffer, run = ca.Function("f", [x], [J, ca.gradient(J, x)]).buffer()
        at, value, gradient = np.array(POINT), np.zeros(1), np.zeros(len(POINT))
        buffer.set_arg(0, memoryview(at))
        buffer.set_res(0, memoryview(value))
        buffer.set_res(1, memoryview(gradient))
        self.alive = buffer, at
        return run, lambda: [*value.tolist(), *gradient.tolist()]


class Ddx:
    def __init__(self) -> None:
        import ddx

        self.ddx = ddx

    def equation(self, net: Case) -> Any:
        ddx = self.ddx

        def model() -> Any:
            W, b = unflat(net, [ddx.var(f"p{k}") for k in range(len(flat(net)))])
            x = [ddx.param(f"x{k}") for k in range(len(net.X[0]))]
            y = [ddx.param(f"y{k}") for k in range(len(net.Y[0]))]
            f = (lambda z: ddx.select(z > 0.0, z, 0.0)) if net.activation == "relu" else ddx.tanh
            return scalar_loss(net, W, b, x, y, f)

        return ddx.equation(model).compile(points=SAMPLES, cache_dir="", veclib=ddx.VecLib.AUTO)

    def trainer(self, net: Case) -> Step:
        P = np.array(flat(net))
        points = np.vstack([np.repeat(P[:, None], SAMPLES, 1), np.array(net.X).T, np.array(net.Y).T])
        call = self.equation(net).buffer(points)
        n = len(P)

        def step() -> float:
            call()
            np.subtract(P, LEARNING_RATE / SAMPLES * call.jacobian.sum(1), out=P)
            J = float(call.value.sum()) / SAMPLES
            call.x[:n] = P[:, None]
            return J

        return step

    def first(self, net: Case) -> float:
        P = np.array(flat(net))
        points = np.vstack([np.repeat(P[:, None], SAMPLES, 1), np.array(net.X).T, np.array(net.Y).T])
        value, gradient = self.equation(net).jacobian(points)
        gradient.sum(1)
        return float(value.sum()) / SAMPLES

    def point(self) -> tuple[Callable[[], Any], Callable[[], list[float]]]:
        ddx = self.ddx
        f = ddx.equation(lambda: rosenbrock([ddx.var(f"x{k}") for k in range(len(POINT))]))
        call = f.compile(points=1, cache_dir="").buffer(np.array(POINT))
        return call, lambda: [float(call.value), *call.jacobian.tolist()]


class Sklearn:
    def export(self) -> None:
        import json

        from sklearn.datasets import load_digits

        data = load_digits()
        rows = np.random.default_rng(0).permutation(len(data.data))  # since the last images are of other writers
        text = json.dumps({"images": data.data[rows].tolist(), "classes": data.target[rows].tolist()})
        DIGITS.write_text(text, encoding="utf-8")

    def fit(self, epochs: int, batch_size: int, train: int) -> dict[str, float]:
        import warnings

        from sklearn.neural_network import MLPClassifier

        X, one_hot = map(np.array, digits(0, 10_000))
        Y = one_hot.argmax(1)
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it could go on
            net = MLPClassifier(
                (32,),
                activation="relu",
                solver="adam",
                alpha=0.0,
                batch_size=batch_size,
                learning_rate_init=1e-3,
                max_iter=epochs,
                n_iter_no_change=epochs,
                random_state=0,
            ).fit(X[:train], Y[:train])
        seconds = time.process_time() - start
        return {"seconds": seconds, "accuracy": float(net.score(X[train:], Y[train:]))}


def flops_of(net: Case) -> float:
    """Additions and multiplications of a sample's products, forward and backward: no δ of the inputs is needed."""
    weights = [len(W) * len(W[0]) for W in net.W]
    return 2.0 * (sum(weights) * 2 + sum(weights[1:]))


peer: Any = globals()[sys.argv[1]]()
trainers: dict[str, Steps] = {}


def losses(sizes: list[int], activation: str, steps: int, at_once: int) -> list[float]:
    """J before each of some steps; in calls of `at_once` steps, of which only the first answers."""
    net = case(sizes, activation)
    if at_once > 1:
        run = peer.steps(net)
    else:
        step = peer.trainer(net)

        def run(n: int) -> list[float]:
            return [step() for _ in range(n)]

    trainers[f"{sizes} {activation} {at_once}"] = run
    return run(at_once)[:steps] if at_once > 1 else run(steps)


def seconds_per_step(sizes: list[int], activation: str, at_once: int) -> float:
    run = trainers[f"{sizes} {activation} {at_once}"]
    return seconds_each(lambda: run(at_once), time.process_time) / at_once


def point() -> list[float]:
    global bound
    bound, results = peer.point()
    bound()
    return results()


def first(sizes: list[int], activation: str) -> dict[str, float]:
    net = case(sizes, activation)
    start = time.process_time()
    J = peer.first(net)
    return {"seconds": time.process_time() - start, "J": J}


serve(
    {
        "losses": losses,
        "seconds per step": seconds_per_step,
        "point": point,
        "seconds per point": lambda: timeit.timeit(bound, timer=time.process_time, number=100_000) / 100_000,
        "first": first,
        "fit": lambda **how: peer.fit(**how),
        "export": lambda: peer.export(),
        "peak": lambda: peer.peak(),
        "kernel": lambda sizes, activation: peer.kernel(case(sizes, activation)),
        "compile time": lambda **how: peer.compile_time(**how),
    }
)
