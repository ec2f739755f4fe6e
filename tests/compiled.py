"""How near compiled code must come to the eager engine: counted in ulps of the type that it computes in."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_sq.op import Op
from tinygrad_sq.value import Value, record

# glibc's vector functions are accurate to 4 ulp; the largest error seen of any row or partial is 4 in float64, 5 in
# float32.
ULPS = 8.0


def close(got: Any, eager: float, dtype: str = "float64", scale: float = 0.0, ulps: float = ULPS) -> bool:
    """Whether `got` is the number of type dtype for `eager`: NaN and infinities exactly, the rest to a few ulps (of
    `scale`, where that is larger). Subnormal results may be 0, and the largest one may be inf."""
    kind = np.finfo(np.dtype(dtype))
    tiny, largest = float(kind.tiny), float(kind.max)
    got = float(got)
    if math.isnan(got) or math.isnan(eager):
        return math.isnan(got) and math.isnan(eager)
    if math.isinf(got) or abs(eager) > largest:
        return bool(got * eager > 0.0 and min(abs(got), abs(eager)) > (1.0 - 100.0 * float(kind.eps)) * largest)
    unit = max(abs(eager), abs(scale), tiny) * float(kind.eps)
    return bool(abs(got - eager) <= ulps * unit + 4.0 * tiny)


def call(row: Op, xs: Sequence[Any]) -> Any:
    """row(*xs), past the defaults and lists of a call."""
    return record(row, tuple(xs)) if any(isinstance(x, Value) for x in xs) else row.forward(*xs)


def value_and_gradient(f: Callable[[list[Any]], Any], point: Sequence[float]) -> tuple[float, list[float]]:
    """By the eager engine, with `backward`."""
    xs = list(map(Value, point))
    y = f(xs)
    if not isinstance(y, Value):
        return y, [0.0] * len(xs)
    y.backward()
    return y.data, [x.grad for x in xs]
