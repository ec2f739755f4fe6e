"""What a type checker sees: every function and method has its type, and what is wrong is an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tinygrad_sq import table
from tinygrad_sq.op import Op

OPERATORS = """
from typing import assert_type
from tinygrad_sq import Value, detect_anomaly, dot, log_softmax, maximum, no_grad, scope, sin, softmax, table, total

x = Value(1.0, "x")
values: list[Value] = [x, x]
mixed: list[Value | float] = [x, 1.0]

for v in (x + x, x + 1, 1 + x, x - 1.0, 1.0 - x, x * x, 2 * x, x / 2, 2 / x, x**2, 2**x, x**x, -x, +x, abs(x)):
    assert_type(v, Value)
assert_type(x < 1, bool)
assert_type(1.0 >= x, bool)
assert_type(float(x), float)
assert_type(int(x), int)
assert_type(x.data, float)
assert_type(x.grad, float)
assert_type(x.args, tuple[Value | float, ...])
assert_type(x.partials, tuple[float | None, ...])
assert_type(x.detach(), Value)

assert_type(total(values), Value)
assert_type(total(mixed), Value)
assert_type(total([x, 1.0]), Value)
assert_type(total(v * 2 for v in values), Value)
assert_type(total([1.0, 2.0]), float)
assert_type(maximum(x, 1.0), Value)
assert_type(maximum(1, 2.0), float)
assert_type(dot(values, [1.0, 2.0], 0.5), Value)
assert_type(dot([1.0], [2.0]), float)
softmax(values)
log_softmax([1.0, 2.0])

with no_grad(), detect_anomaly(), scope("here"):
    x.backward()

@no_grad()
def f(x: Value) -> Value:
    return x * 2

assert_type(f(x), Value)

# Wrong, each of them: an error that is not there is an unused comment, which is an error too.
x + "1"  # type: ignore[arg-type]
x.gard  # type: ignore[attr-defined]
x.softmax()  # type: ignore[attr-defined]
sin("1")  # type: ignore[arg-type]
total([x, "1"])  # type: ignore[list-item]
x.clamp(1.0)  # type: ignore[call-arg]
x.tanh(1.0)  # type: ignore[call-arg]
Value("1")  # type: ignore[arg-type]
x.data = "1"  # type: ignore[assignment]
"""


def calls(row: Op) -> str:
    """The row called as a function of Values and of numbers, and as a method."""
    n = row.arity if isinstance(row.arity, int) else 2
    lines = []
    if row is not table.dot:  # takes lists
        lines += [f"assert_type(table.{row.name}({', '.join(['x'] * n)}), Value)"]
        lines += [f"assert_type(table.{row.name}({', '.join(['1.0'] * n)}), float)"]
    if row.method:
        lines += [f"assert_type(x.{row.name}({', '.join(['1.0'] * (n - 1))}), Value)"]
    return "\n".join(lines)


def test_types(tmp_path: Path) -> None:
    """mypy --strict agrees with every line of a program that uses the whole core, and refuses the wrong ones."""
    program = tmp_path / "program.py"
    program.write_text(OPERATORS + "\n".join(map(calls, table.rows.values())) + "\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--follow-imports=silent",
        "--cache-dir",
        str(tmp_path / "cache"),
    ]
    checked = subprocess.run([*command, str(program)], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert checked.returncode == 0, checked.stdout + checked.stderr
