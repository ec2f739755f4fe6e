"""methods.pyi, what type checkers see of Value's methods: written from the table, and compared with it here.

After a row was added: `python tests/test_methods.py` writes the file anew.
"""

from __future__ import annotations

import inspect
import os
from pathlib import Path

from tinygrad_sq import methods, table
from tinygrad_sq.op import Op

STUB = Path(methods.__file__).with_suffix(".pyi")
HEADER = """\
# Written from the table by tests/test_methods.py, which fails when the two differ.
from tinygrad_sq.value import Value

class Methods:
"""


def parameters(row: Op) -> list[str]:
    """The operands after self, with the names that the row's own functions give them."""
    if not isinstance(row.arity, int):
        return ["*others: Value | float"]
    partials = row.partials if isinstance(row.partials, tuple) else ()
    named = row.operands or next(filter(callable, partials), row.forward)
    every = list(inspect.signature(named).parameters.values())
    optional = [" = ..." if p.default is not p.empty else "" for p in every]
    return [f"{p.name}: Value | float{default}" for p, default in zip(every, optional)][-row.arity :][1:]


def stub() -> str:
    rows = [row for row in table.rows.values() if row.method]
    lines = [f"    def {row.name}({', '.join(['self', *parameters(row)])}) -> Value: ...\n" for row in rows]
    return HEADER + "".join(lines)


def test_stub_is_that_of_the_table() -> None:
    """methods.pyi has every method of the table with its parameters, and nothing else."""
    assert STUB.read_text(encoding="utf-8") == stub(), "run `python tests/test_methods.py`"


if __name__ == "__main__":
    new = STUB.with_suffix(".new")
    new.write_text(stub(), encoding="utf-8")
    os.replace(new, STUB)
