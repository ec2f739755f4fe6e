"""From a function of scalars, recorded for one sample, to native code that runs over a whole batch.

trace records, tape drops what is equal or unused, roll finds the loops again, lower writes them as LLVM IR.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from tinygrad_sq.compiler.program import Program


@overload
def compile(f: Callable[..., Any], *, params: Any = (), dtype: str = "float64", threads: int = 1) -> Program: ...
@overload
def compile(
    f: None = None, *, params: Any = (), dtype: str = "float64", threads: int = 1
) -> Callable[[Callable[..., Any]], Program]: ...
def compile(
    f: Callable[..., Any] | None = None, *, params: Any = (), dtype: str = "float64", threads: int = 1
) -> Program | Callable[[Callable[..., Any]], Program]:
    """f, a function of the scalars of one sample, as a `Program` over batches. Also a decorator.

    f takes scalars and (nested) lists of scalars and may use any Values; `params` are those of them (in a list, or
    nested lists) to differentiate by. What else it uses is taken as constant. It is run to record its graph, once for
    each kind of result and not for each sample: to branch on an argument, or to use its `data`, is a TraceError.

    dtype    "float64" or "float32"
    threads  how many share a large batch; the result depends on their number in the last bits, and on nothing else

    Raises TypeError for a row with no native spelling, ImportError with the pip command if llvmlite is missing.
    """
    try:
        from tinygrad_sq.compiler.program import Program
    except ModuleNotFoundError as error:
        raise ImportError("compile needs llvmlite and numpy: pip install llvmlite numpy") from error
    return Program(f, params, dtype, threads) if f else lambda g: Program(g, params, dtype, threads)
