"""The cost while training as a small SVG, light and dark, for a notebook; `plot.loss_svg` is the one for print."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tinygrad_sq.study.picture import short
from tinygrad_sq.study.theme import FILL, STROKE

WIDTH, HEIGHT = 480.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 70.0, 466.0, 34.0, 200.0
MOST_POINTS = 600  # more than this nobody can tell apart


def curve_svg(cost: Sequence[float], validation: Sequence[float] = ()) -> str:
    """The cost of each epoch, and where there is one that of the validation set, against the epoch.

    The scale is logarithmic where all costs are positive and span more than a factor of ten. What is not finite is left
    out. Raises ValueError for no epochs.
    """
    if not cost:
        raise ValueError("expected the cost of at least one epoch, got none")
    finite = [x for x in (*cost, *validation) if math.isfinite(x)] or [0.0]
    low, high = min(finite), max(finite)
    log = low > 0.0 and high > 10.0 * low
    scale: Callable[[float], float] = math.log10 if log else float
    bottom, top = (scale(low), scale(high)) if log else (min(0.0, low), max(0.0, high))
    span = top - bottom or 1.0

    def y(x: float) -> float:
        return BOTTOM - (scale(x) - bottom) / span * (BOTTOM - TOP)

    def x(epoch: int) -> float:
        return LEFT + (epoch / max(1, len(cost) - 1)) * (RIGHT - LEFT)

    def line(values: Sequence[float], kind: str) -> str:
        every = max(1, math.ceil(len(values) / MOST_POINTS))
        epochs = sorted({*range(0, len(values), every), len(values) - 1})
        points = " ".join(f"{x(k):.1f},{y(values[k]):.1f}" for k in epochs if math.isfinite(values[k]))
        return f'<polyline class="{kind}" points="{points}"/>'

    ends = (low, high) if log else (bottom, bottom + span)
    parts = [f'<path class="axis" d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}"/>']
    parts += [_text(short(value), LEFT - 8, at + 4, "end") for value, at in zip(ends, (BOTTOM, TOP))]
    parts += [
        _text("1", LEFT, BOTTOM + 18, "middle"),
        _text(str(len(cost)), RIGHT, BOTTOM + 18, "end"),
        _text(f"epoch{' (logarithmic scale of the cost)' if log else ''}", (LEFT + RIGHT) / 2, BOTTOM + 30, "middle"),
        _text(f"cost J (E3): {short(cost[-1])}", LEFT, 18.0, "start", "cost"),
        line(cost, "cost"),
    ]
    if validation:
        parts.append(_text(f"validation: {short(validation[-1])}", RIGHT, 18.0, "end", "held"))
        parts.append(line(validation, "held"))
    words = f"The cost J goes from {short(cost[0])} to {short(cost[-1])} in {len(cost)} epochs"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" width="{WIDTH:g}" role="img">'
        f"<title>{words}</title><style>{_css()}</style>"
        f'<g class="curve"><rect class="page" width="{WIDTH:g}" height="{HEIGHT:g}"/>{"".join(parts)}</g></svg>\n'
    )


def _text(words: str, x: float, y: float, anchor: str, kind: str = "tick") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{words}</text>'


def _css() -> str:
    def rules(theme: int) -> str:
        hues = STROKE["pos"][theme], STROKE["neg"][theme]
        return (
            f".curve .page{{fill:{FILL['page'][theme]}}}.curve text{{fill:{FILL['muted'][theme]}}}"
            f".curve .axis{{stroke:{STROKE['none'][theme]}}}"
            f".curve polyline.cost{{stroke:{hues[0]}}}.curve text.cost{{fill:{hues[0]}}}"
            f".curve polyline.held{{stroke:{hues[1]}}}.curve text.held{{fill:{hues[1]}}}"
        )

    return (
        ".curve text{font:12px Arial,'Liberation Sans',Helvetica,sans-serif}"
        ".curve polyline,.curve .axis{fill:none;stroke-width:1.8;stroke-linejoin:round}.curve .axis{stroke-width:1}"
        f".curve polyline.held{{stroke-dasharray:6 4}}{rules(0)}@media (prefers-color-scheme:dark){{{rules(1)}}}"
    )
