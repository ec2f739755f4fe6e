"""The worker for engines of scalar Values. One text for all of them: only the import differs.

python eager.py VALUE_MODULE NET_MODULE      where `Value` and where `MLP` come from
"""

import gc
import importlib
import os
import random
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from moons import LEARNING_RATE, SEED, SIZES, moons, weights
from serve import seconds_each, serve

Value: Any = importlib.import_module(sys.argv[1]).Value
MLP: Any = importlib.import_module(sys.argv[2]).MLP

Net = tuple[Callable[[Any], Any], list[Any]]  # x -> score, and the parameters


def net_of_operators() -> Net:
    """2-16-16-1 with relu, of `+`, `*` and `.relu()` alone."""
    layers = [[([Value(w_j) for w_j in w], Value(0.0)) for w in layer] for layer in weights()]

    def score(a: list[Any]) -> Any:
        for layer in layers:
            z = [sum((w_j * a_j for w_j, a_j in zip(w, a)), b) for w, b in layer]
            a = z if layer is layers[-1] else [z_i.relu() for z_i in z]
        return a[0]

    return score, [p for layer in layers for w, b in layer for p in (*w, b)]


def net_of_class() -> Net:
    """The same with the engine's own MLP, which both draw from the global generator in the same order."""
    random.seed(SEED)
    model = MLP(SIZES[0], SIZES[1:])
    return model, model.parameters()


NETS = {"operators": net_of_operators, "MLP": net_of_class}


def loss(score: Callable[[Any], Any], X: Iterable[Iterable[float]], Y: Iterable[float]) -> Any:
    """The mean hinge loss, as in micrograd's demo."""
    scores = [score(list(x)) for x in X]  # inputs are numbers: training has no use for derivatives by them
    losses = [(1 + -y * s).relu() for s, y in zip(scores, Y)]
    return sum(losses) * (1.0 / len(losses))


def trainer(net: str) -> Callable[[], float]:
    """One forward pass, backward pass and step of gradient descent per call; answers the loss before the step."""
    X, Y = moons()
    score, parameters = NETS[net]()

    def step() -> float:
        J = loss(score, X, Y)
        for p in parameters:
            p.grad = 0.0
        J.backward()
        for p in parameters:
            p.data -= LEARNING_RATE * p.grad
        return float(J.data)

    return step


def losses(net: str, steps: int) -> list[float]:
    step = trainer(net)
    return [step() for _ in range(steps)]


def seconds_per_step(net: str) -> float:
    return seconds_each(trainer(net), time.process_time)


def nodes(net: str) -> int:
    score, _ = NETS[net]()
    return count(loss(score, *moons()))


def chain(n: int, collector: bool) -> dict[str, float]:
    """Seconds to build, differentiate and free a chain of n nodes, y <- y w + b, with the garbage collector on or off,
    and its gradient, which is known. Short chains are timed as the mean of several.
    """
    (gc.enable if collector else gc.disable)()
    x, w, b = Value(2.0), Value(-1.0), Value(1.0)
    repeats = max(1, 100_000 // n)
    build = backward = free = 0.0
    for _ in range(repeats):
        x.grad = 0.0
        start = time.process_time()
        y = x
        for _ in range(n // 2):
            y = y * w + b
        built = time.process_time()
        y.backward()
        done = time.process_time()
        del y
        freed = time.process_time()
        build, backward, free = build + built - start, backward + done - built, free + freed - done
    gc.enable()
    return {"build": build / repeats, "backward": backward / repeats, "free": free / repeats, "gradient": x.grad}


def count(root: Any) -> int:
    """The number of nodes of the graph, constants included where the engine makes nodes of them."""
    seen, stack = {root}, [root]
    while stack:
        node = stack.pop()
        for operand in node._prev if hasattr(node, "_prev") else node.args:
            if isinstance(operand, Value) and operand not in seen:
                seen.add(operand)
                stack.append(operand)
    return len(seen)


def resident() -> float:
    """Bytes of memory that the process occupies. Linux tells; elsewhere NaN."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else float("nan")


def memory(n: int) -> dict[str, float]:
    """Nodes and bytes of the forward graph of the operators-only net over n points. To be asked of a fresh process."""
    X, Y = moons(n)
    score, _ = net_of_operators()
    gc.collect()
    before = resident()
    J = loss(score, X, Y)
    by_resident_set = resident() - before
    n_nodes = count(J)
    del J
    gc.collect()
    tracemalloc.start()
    J = loss(score, X, Y)
    by_tracemalloc, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del J
    return {"nodes": n_nodes, "tracemalloc": by_tracemalloc, "resident set": by_resident_set}


serve({"losses": losses, "seconds per step": seconds_per_step, "nodes": nodes, "chain": chain, "memory": memory})
