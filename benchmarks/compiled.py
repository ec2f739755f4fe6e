"""Measure compiled code against what else computes gradients, and write the tables into README.md beside this file.

Peers live and take turns as in run.py, each with one thread.
"""

import os
import statistics
import tempfile
from typing import Any

from run import ENVIRON, HERE, MICROGRAD, Peer, Table, Worker, digits, machine, markdown, ratios, same, spread

# One thread each; and no answer of ours from a cache of an earlier run.
ENVIRON.update(
    {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")},
    XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    TINYGRAD_SQ_CACHE=tempfile.mkdtemp(),
)

OURS = Peer("tinygrad_sq compiled", ("peers.py", "Ours"), ("numpy==2.4.6", "llvmlite==0.50.0"))
NUMPY = Peer("NumPy", ("peers.py", "Numpy"), ("numpy==2.4.6",))
TORCH = Peer("PyTorch", ("peers.py", "Torch"), ("numpy==2.4.6", "torch==2.13.0"))
JAX = Peer("JAX", ("peers.py", "Jax"), ("numpy==2.4.6", "jax==0.10.2"))
DDX = Peer("ddx-ad", ("peers.py", "Ddx"), ("numpy==2.4.6", "ddx-ad==4.3.0"))
CASADI = Peer("CasADi", ("peers.py", "Casadi"), ("numpy==2.4.6", "casadi==3.8.2"))
AT_ONCE = 64  # steps in one call, where a peer can take several without a return to Python
SKLEARN = Peer("scikit-learn", ("peers.py", "Sklearn"), ("numpy==2.4.6", "scikit-learn==1.9.1"))
ALL = [OURS, NUMPY, TORCH, JAX, DDX, CASADI]

# Per net: who takes part (a graph of scalars has no room for the largest), and how many times faster the aim is.
SMALL: dict[str, float] = {"PyTorch": 25.0, "JAX": 6.0, "NumPy": 5.0, "ddx-ad": 3.0}
SMALL_TANH = SMALL | {"PyTorch": 15.0, "JAX": 4.0}
MIDDLE: dict[str, float] = {"PyTorch": 8.0, "JAX": 2.5, "NumPy": 1.5}
NETS: list[tuple[list[int], str, list[Peer], dict[str, float]]] = [
    ([2, 16, 16, 1], "relu", ALL, SMALL),
    ([2, 16, 16, 1], "tanh", ALL, SMALL_TANH),
    ([64, 32, 10], "relu", ALL, MIDDLE),
    ([64, 32, 10], "tanh", ALL, MIDDLE),
    ([784, 128, 10], "relu", ALL[:4], {"PyTorch": 0.8}),
]
MICROGRAD_AIM = 50_000.0


def name(sizes: list[int], activation: str) -> str:
    return f"{'-'.join(map(str, sizes))} {activation}"


def aim(times: float | None) -> str:
    return "" if times is None else f"{times:,g}"


def steps(workers: dict[str, Worker], rounds: int) -> Table:
    table = [["128 samples, a step of training", "peer", "µs", "ours is faster, times", "the aim"]]
    for sizes, activation, peers, aims in NETS:
        net: dict[str, Any] = {"sizes": sizes, "activation": activation}
        takers = {OURS.name: (OURS.name, AT_ONCE)}
        for peer in peers[1:]:
            takers[peer.name] = peer.name, 1
            if peer is JAX:
                takers[f"{JAX.name}, {AT_ONCE} steps a call"] = peer.name, AT_ONCE
        ask = {row: {"at_once": n, **net} for row, (_, n) in takers.items()}
        same(name(**net), {row: workers[p].ask("losses", steps=3, **ask[row]) for row, (p, _) in takers.items()})
        seconds: dict[str, list[float]] = {row: [] for row in takers}
        for _ in range(rounds):
            for row, (p, _) in takers.items():
                seconds[row].append(workers[p].ask("seconds per step", **ask[row]))
        for peer, times in seconds.items():
            faster = "" if peer == OURS.name else ratios(times, seconds[OURS.name])
            table.append([name(**net), peer, spread(times, 1e-6), faster, aim(aims.get(peer))])
        if sizes[0] == 2 and activation == "relu":
            with Worker(MICROGRAD) as worker:
                times = [worker.ask("seconds per step", net="operators") * 1.28 for _ in range(3)]
            faster = ratios(times, seconds[OURS.name])
            table.append(
                [name(**net), "micrograd, 1.28 × that of 100", spread(times, 1e-6), faster, aim(MICROGRAD_AIM)]
            )
    return table


def kernels(worker: Worker, rounds: int) -> Table:
    """What of a step is native code, and how much of what the core can do it does."""
    table = [["128 samples, forward and backward", "µs in native code", "GFLOP/s", "of the core's peak", "the aim"]]
    for sizes, activation, *_ in NETS:
        net: dict[str, Any] = {"sizes": sizes, "activation": activation}
        peaks, answers = [], []
        for _ in range(rounds):
            peaks.append(worker.ask("peak"))
            answers.append(worker.ask("kernel", **net))
        flops = [a["flops per second"] for a in answers]
        share = spread([100.0 * f / p for f, p in zip(flops, peaks)])
        wanted = "50 %" if name(**net) == "64-32-10 relu" else ""
        table.append(
            [name(**net), spread([a["seconds"] for a in answers], 1e-6), spread(flops, 1e9), f"{share} %", wanted]
        )
    table.append(["FMAs alone, in 12 registers", "", spread(peaks, 1e9), "", ""])
    return table


def points(workers: dict[str, Worker], rounds: int) -> Table:
    peers = {p.name: workers[p.name] for p in (OURS, DDX, CASADI)}
    same("Rosenbrock", {peer: worker.ask("point") for peer, worker in peers.items()})
    seconds: dict[str, list[float]] = {peer: [] for peer in peers}
    for _ in range(rounds):
        for peer, worker in peers.items():
            seconds[peer].append(worker.ask("seconds per point"))
    table = [["Rosenbrock in 20 dimensions, with gradient", "µs a call", "ours is faster, times", "the aim"]]
    for peer, times in seconds.items():
        faster = "" if peer == OURS.name else ratios(times, seconds[OURS.name])
        table.append([f"{peer}, bound", spread(times, 1e-6), faster, {DDX.name: "0.7", CASADI.name: "3"}.get(peer, "")])
    return table


def firsts(rounds: int) -> Table:
    """Each answer from a fresh process with a cold cache."""
    table = [["seconds to the first mean and gradient", "peer", "s", "the aim"]]
    for sizes, wanted in ([2, 16, 16, 1], "0.3"), ([64, 32, 10], "1"):
        net: dict[str, Any] = {"sizes": sizes, "activation": "relu"}
        seconds: dict[str, list[float]] = {peer.name: [] for peer in (OURS, JAX, DDX)}
        for _ in range(rounds):
            answers = {peer.name: cold(peer, "first", **net) for peer in (OURS, JAX, DDX)}
            same(name(**net), {peer: [answer["J"]] for peer, answer in answers.items()})
            for peer, answer in answers.items():
                seconds[peer].append(answer["seconds"])
        for peer, times in seconds.items():
            table.append([name(**net), peer, spread(times), wanted if peer == OURS.name else ""])
    return table


def cold(peer: Peer, task: str, **arguments: Any) -> Any:
    with tempfile.TemporaryDirectory() as cache:
        ENVIRON["TINYGRAD_SQ_CACHE"] = cache
        with Worker(peer) as worker:
            return worker.ask(task, **arguments)


def compile_times() -> Table:
    kinds = {"net": "a net 64-n-10", "recurrence": "n steps of a recurrence", "random": "no loops"}
    table = [[cell for kind in kinds.values() for cell in (f"{kind}: nodes", "s", "µs a node")]]
    for nodes in 1_000, 3_000, 10_000, 30_000, 100_000:
        cells = []
        for kind in kinds:
            answer = cold(OURS, "compile time", nodes=nodes, kind=kind)
            n, seconds = answer["nodes"], answer["seconds"]
            cells += [f"{n:,}", digits(seconds), digits(seconds / n * 1e6)]
        table.append(cells)
    return table


def training(rounds: int) -> Table:
    """Fresh processes: the time is that of everything after the imports, tracing and LLVM (if not cached) included."""
    how = {"epochs": 50, "batch_size": 32, "train": 1437}
    ours = f"{OURS.name}, its kernels cached"
    answers: dict[str, list[Any]] = {ours: [], OURS.name: [], SKLEARN.name: []}
    with tempfile.TemporaryDirectory() as cache:
        for k in range(rounds + 1):
            ENVIRON["TINYGRAD_SQ_CACHE"] = cache
            with Worker(OURS) as worker:
                answer = worker.ask("fit", **how)
            if k:  # the first one fills the cache
                answers[ours].append(answer)
                for peer in OURS, SKLEARN:
                    answers[peer.name].append(cold(peer, "fit", **how))
    seconds = {peer: [a["seconds"] for a in answer] for peer, answer in answers.items()}
    table = [
        [
            "64-32-10 relu, Adam, 50 epochs of batches of 32",
            "s",
            "test accuracy",
            "scikit-learn takes, times",
            "the aim",
        ]
    ]
    for peer, times in seconds.items():
        accuracy = statistics.median(a["accuracy"] for a in answers[peer])
        faster = ["", ""] if peer == SKLEARN.name else [ratios(seconds[SKLEARN.name], times), "5"]
        table.append([peer, spread(times), f"{100.0 * accuracy:.1f} %", *faster])
    return table


def main() -> None:
    for peer in [*ALL, SKLEARN, MICROGRAD]:
        peer.install()
    with Worker(SKLEARN) as worker:
        worker.ask("export")
    workers = {peer.name: Worker(peer) for peer in ALL}
    report = [machine()]
    print(machine())
    for title, measure in {
        "A step of training": lambda: steps(workers, rounds=7),
        "The kernel alone": lambda: kernels(workers[OURS.name], rounds=5),
        "One point": lambda: points(workers, rounds=9),
        "From a function to its first result": lambda: firsts(rounds=3),
        "Compile time": compile_times,
        "A whole training": lambda: training(rounds=5),
    }.items():
        section = f"### {title}\n\n{markdown(measure())}"
        print(f"\n{section}", flush=True)
        report.append(section)
    for worker in workers.values():
        worker.__exit__(None, None, None)

    readme = HERE / "README.md"
    text = readme.read_text(encoding="utf-8")
    mark, end = "<!-- Below: written by compiled.py -->\n", "<!-- Above: written by compiled.py -->\n"
    before, _, rest = text.partition(mark)
    after = rest.partition(end)[2]
    new = readme.with_suffix(".new")
    body = "\n\n".join(report)
    new.write_text(f"{before}{mark}\n{body}\n\n{end}{after}", encoding="utf-8")
    os.replace(new, readme)


if __name__ == "__main__":
    main()
