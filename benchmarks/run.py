"""Measure the engine against its peers, and write the tables into README.md beside this file.

Each peer lives in a virtual environment of its own in .bench/, made by the first run, and answers commands in a process
that stays alive. Peers take turns, round by round, so that whatever else the machine does falls on all of them alike.
"""

import json
import math
import os
import platform
import statistics
import subprocess
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = Path(__file__).parent
CHECKOUT = HERE.parent
ENVIRONMENTS = CHECKOUT / ".bench"

# What the caller's settings do to Python must not count: debugging, hash seeds, no bytecode (which `import` pays for).
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | {
    "PYTHONPATH": str(CHECKOUT),
    "PYTHONPYCACHEPREFIX": str(ENVIRONMENTS / "bytecode"),
}

Table = list[list[str]]  # the first row is the head


@dataclass(frozen=True)
class Peer:
    """Something to measure: the worker script that drives it, and what `pip install` it needs."""

    name: str
    worker: tuple[str, ...]
    requirements: tuple[str, ...] = ()

    @property
    def python(self) -> str:
        return str(ENVIRONMENTS / self.name / ("Scripts" if os.name == "nt" else "bin") / "python")

    def install(self) -> None:
        """Make the environment, unless it is there with the same requirements."""
        stamp = ENVIRONMENTS / self.name / "requirements.txt"
        wanted = "\n".join(self.requirements)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        venv.create(ENVIRONMENTS / self.name, clear=True, with_pip=bool(self.requirements), symlinks=os.name != "nt")
        if self.requirements:
            pip = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *self.requirements], check=True)
        stamp.write_text(wanted)


# Ours runs from the checkout, in an environment with nothing in it.
OURS = Peer("tinygrad_sq", ("eager.py", "tinygrad_sq", "tinygrad_sq"))
MICROGRAD = Peer("micrograd", ("eager.py", "micrograd.engine", "micrograd.nn"), ("micrograd==0.1.0",))
PEERS = [OURS, MICROGRAD]


class Worker:
    """A live process of a peer. `ask` sends it a command and returns its answer."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        script, *arguments = peer.worker
        self._process = subprocess.Popen(
            [peer.python, str(HERE / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=ENVIRON,
        )

    def ask(self, task: str, **arguments: Any) -> Any:
        """The result of the task; None where it is beyond the peer's limits."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"task": task, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.peer.name} failed at {task!r} with {arguments}; its error stands above")
        return json.loads(answer).get("result")

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate()


def digits(x: float) -> str:
    """x with three digits at least, and without a power of ten."""
    return f"{x:,.{max(0, 2 - math.floor(math.log10(x)))}f}"


def spread(values: list[float], unit: float = 1.0) -> str:
    """Median (lower quartile to upper quartile), in units."""
    low, median, high = (digits(q / unit) for q in statistics.quantiles(values, n=4, method="inclusive"))
    return f"{median} ({low} to {high})"


def ratios(theirs: list[float], ours: list[float]) -> str:
    """How many times faster ours is, round by round."""
    return spread([a / b for a, b in zip(theirs, ours)])


def same(task: str, answers: dict[str, list[float]]) -> None:
    """Whoever computes something else may not be timed."""
    first, *others = answers.items()
    for name, numbers in others:
        for a, b in zip(first[1], numbers, strict=True):
            if not math.isclose(a, b, rel_tol=1e-9):
                raise SystemExit(f"{task}: {first[0]} computes {a!r}, {name} computes {b!r}; not the same work")


NETS = {"operators": "`+`, `*`, `.relu()` alone", "MLP": "each one's `MLP`"}


def nets(workers: dict[str, Worker], rounds: int) -> Table:
    for net in NETS:
        same(net, {name: worker.ask("losses", net=net, steps=3) for name, worker in workers.items()})
    seconds: dict[tuple[str, str], list[float]] = {(net, name): [] for net in NETS for name in workers}
    for _ in range(rounds):
        for net, name in seconds:
            seconds[net, name].append(workers[name].ask("seconds per step", net=net))
    table = [["a step of training, by", "peer", "ms", "tinygrad_sq is faster, times", "nodes", "µs a node"]]
    for (net, name), times in seconds.items():
        n = workers[name].ask("nodes", net=net)
        faster = "" if name == OURS.name else ratios(times, seconds[net, OURS.name])
        each = statistics.median(times) / n * 1e6
        table.append([NETS[net], name, spread(times, 1e-3), faster, f"{n:,}", f"{each:.2f}"])
    return table


def memory(peers: list[Peer], rounds: int) -> Table:
    """Each answer from a fresh process: what one graph leaves free, the next would fill."""
    table = [["operators-only graph, 300 points", "nodes", "tracemalloc", "resident set", "in all"]]
    for peer in peers:
        answers = []
        for _ in range(rounds):
            with Worker(peer) as worker:
                answers.append(worker.ask("memory", n=300))
        nodes = answers[0]["nodes"]
        traced, resident = (
            statistics.median(answer[how] for answer in answers) for how in ("tracemalloc", "resident set")
        )
        each = [f"{n / nodes:.0f} bytes a node" for n in (traced, resident)]
        table.append([peer.name, f"{nodes:,}", *each, f"{traced / 1e6:.1f} MB"])
    return table


def chains(workers: dict[str, Worker], rounds: int) -> Table:
    """With the collector on, as users have it, and off, which shows the engine's own part."""
    lengths = [900, 1_000, 10_000, 100_000, 1_000_000]
    variants = {
        f"{name}, collector {'on' if on else 'off'}": (worker, on)
        for on in (True, False)
        for name, worker in workers.items()
    }
    answers: dict[str, dict[int, list[Any]]] = {variant: {n: [] for n in lengths} for variant in variants}
    for _ in range(rounds):
        for n in lengths:
            for variant, (worker, on) in variants.items():
                if n in answers[variant]:
                    answer = worker.ask("chain", n=n, collector=on)
                    if answer is None:  # beyond its limits, and so is all that is longer
                        answers[variant] = {m: seen for m, seen in answers[variant].items() if m < n}
                    else:
                        answers[variant][n].append(answer)
    table = [["chain, µs a node", *(f"{n:,} nodes" for n in lengths), "slowest over fastest"]]
    for variant, by_length in answers.items():
        each = {}
        for n, results in by_length.items():
            same(
                f"chain of {n}",
                {"the formula": [(-1.0) ** (n // 2)] * rounds, variant: [r["gradient"] for r in results]},
            )
            each[n] = [(r["build"] + r["backward"]) / n for r in results]
        medians = [statistics.median(times) for times in each.values()]
        cells = [spread(each[n], 1e-6) if n in each else "too deep for it" for n in lengths]
        table.append([variant, *cells, f"{max(medians) / min(medians):.2f}" if len(medians) > 1 else ""])
    for part in "build", "backward", "free":
        ours = answers[next(iter(variants))]
        cells = [digits(statistics.median(r[part] for r in results) / n * 1e6) for n, results in ours.items()]
        table.append([f"{OURS.name}, collector on, {part}", *cells, ""])
    return table


def imports(rounds: int) -> Table:
    def start(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([OURS.python, "-c", code], check=True, env=ENVIRON)
        return time.perf_counter() - began

    codes = ["pass", "import tinygrad_sq"]
    seconds = [[start(code) for code in codes] for _ in range(rounds + 1)][1:]  # the first one writes the bytecode
    rows = [[f"`python -c '{code}'`", f"{spread(list(s), 1e-3)} ms"] for code, s in zip(codes, zip(*seconds))]
    difference = spread([b - a for a, b in seconds], 1e-3)
    return [["start of Python", "time"], *rows, ["so the import takes", f"{difference} ms"]]


def sizes() -> Table:
    files = ["table.py", "graph.py", "value.py"]
    lines = [len((CHECKOUT / "tinygrad_sq" / file).read_text(encoding="utf-8").splitlines()) for file in files]
    return [["the core", "lines"], *([f"`{f}`", f"{n}"] for f, n in zip(files, lines)), ["in all", f"{sum(lines)}"]]


def machine() -> str:
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        fields = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        processor = next((v.strip() for k, v in fields.items() if k.strip() == "model name"), processor)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}, {python}."


def markdown(table: Table) -> str:
    head, *rows = table
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]

    def line(row: list[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"

    return "\n".join([line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])


def main() -> None:
    for peer in PEERS:
        peer.install()
    workers = {peer.name: Worker(peer) for peer in PEERS}
    sections: list[tuple[str, Callable[[], Table]]] = [
        ("Training", lambda: nets(workers, rounds=9)),
        ("Memory", lambda: memory(PEERS, rounds=3)),
        ("Depth", lambda: chains(workers, rounds=5)),
        ("Import", lambda: imports(rounds=21)),
        ("Size", sizes),
    ]
    report = [machine()]
    print(machine())
    for title, measure in sections:
        section = f"### {title}\n\n{markdown(measure())}"
        print(f"\n{section}", flush=True)
        report.append(section)
    for worker in workers.values():
        worker.__exit__(None, None, None)

    readme = HERE / "README.md"
    text, mark, _ = readme.read_text(encoding="utf-8").partition("<!-- Below: written by run.py -->\n")
    new = readme.with_suffix(".new")
    new.write_text(text + mark + "\n" + "\n\n".join(report) + "\n", encoding="utf-8")
    os.replace(new, readme)


if __name__ == "__main__":
    main()
