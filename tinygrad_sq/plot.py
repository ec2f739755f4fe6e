"""Plots as SVG text: the cost while training, and what a net of two inputs decides. They need the extra `plot`."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_sq.study.theme import FILL, STROKE

# All that a plot is drawn with, and what each colour is in the dark theme.
COLOURS = dict((FILL["page"], FILL["ink"], STROKE["group"], STROKE["pos"], STROKE["neg"]))
PAGE, INK, GRID, BLUE, VERMILION = COLOURS
# matplotlib writes a colour into the style of the element that has it, which is what a rule of CSS can go by.
DARK = [f":root.tinygrad-sq{{background:{COLOURS[PAGE]}}}"] + [
    f'.tinygrad-sq [style*="{what}: {light}"]{{{what}:{dark}!important}}'
    for light, dark in COLOURS.items()
    for what in ("fill", "stroke")
]

STYLE = {
    "svg.hashsalt": "tinygrad_sq",  # identifiers from the content and not from chance: one plot, one sequence of bytes
    "svg.fonttype": "none",  # text stays text: it can be searched and read aloud
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"],
    "font.size": 10.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11.0,
    "axes.titlepad": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


def loss_svg(cost: Sequence[float], validation: Sequence[float] = (), title: str = "Cost while training") -> str:
    """The cost of each epoch as a curve, and beside it that of a test set, as `fit` puts them into its history.

    The axis of the cost is logarithmic where the curves are positive and span more than a factor of ten. Raises
    ImportError, with the pip command, without matplotlib; ValueError for no epochs.
    """
    if not cost:
        raise ValueError("expected the cost of at least one epoch, got none")
    costs = [*cost, *validation]

    def draw(axes: Any) -> None:
        epochs = range(1, len(cost) + 1)
        axes.plot(epochs, cost, color=BLUE, linewidth=1.8, clip_on=False, label="training set (E3)")
        if validation:
            watched = "test set (E3 without the λ term)"
            axes.plot(epochs, validation, "--", color=VERMILION, linewidth=1.8, clip_on=False, label=watched)
            axes.legend(loc="upper right")
        if min(costs) > 0.0 and max(costs) > 10.0 * min(costs):
            axes.set_yscale("log", subs=[])
            axes.yaxis.get_major_locator().set_params(subs=(1.0, 2.0, 5.0))
            axes.yaxis.set_major_formatter("{x:g}")
        else:
            axes.set_ylim(bottom=min(0.0, *costs))
        axes.set_xlim(1, max(2, len(cost)))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("epoch (one pass over the training set)")
        axes.set_ylabel("cost J (no unit)")
        axes.grid(axis="y", color=GRID, linewidth=0.8)

    return _svg(draw, (6.4, 3.8), title)


def decision_svg(
    score: Callable[[float, float], float],
    points: Sequence[tuple[float, float]],
    positive: Sequence[bool],
    title: str,
    resolution: int = 60,
) -> str:
    """The regions of the plane where `score` is positive and negative, the line between, and points of two classes.

    `score` is computed on a grid of resolution × resolution points. Raises ImportError without matplotlib.
    """
    (left, right), (bottom, top) = (_range([p[axis] for p in points], 0.15) for axis in (0, 1))
    xs = [left + (right - left) * k / (resolution - 1) for k in range(resolution)]
    ys = [bottom + (top - bottom) * k / (resolution - 1) for k in range(resolution)]
    scores = [[score(x, y) for x in xs] for y in ys]

    def draw(axes: Any) -> None:
        axes.contourf(xs, ys, scores, levels=[float("-inf"), 0.0, float("inf")], colors=[VERMILION, BLUE], alpha=0.15)
        axes.contour(xs, ys, scores, levels=[0.0], colors=[INK], linewidths=1.2)
        for side, color, marker, name in ((True, BLUE, "o", "class +1"), (False, VERMILION, "^", "class −1")):
            chosen = [p for p, is_positive in zip(points, positive) if is_positive == side]
            xy = [x for x, _ in chosen], [y for _, y in chosen]
            axes.scatter(*xy, c=color, marker=marker, s=22, edgecolors=PAGE, linewidths=0.6, label=name)
        axes.set_aspect("equal")
        axes.set_xlabel("x[0] (no unit)")
        axes.set_ylabel("x[1] (no unit)")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    return _svg(draw, (6.4, 1.0 + 4.6 * (top - bottom) / (right - left)), title)  # 1.0 for text, 1.8 for the legend


def _range(xs: Sequence[float], margin: float) -> tuple[float, float]:
    low, high = min(xs), max(xs)
    room = margin * (high - low) or 0.5
    return low - room, high + room


def _svg(draw: Callable[[Any], None], inches: tuple[float, float], title: str) -> str:
    """What `draw` puts on a pair of axes, as SVG, light and dark; no state of matplotlib's is read or changed."""
    try:
        from matplotlib import rc_context, rcParamsDefault
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install matplotlib") from error
    settings: Any = dict(rcParamsDefault) | STYLE
    with rc_context(settings):
        figure = Figure(figsize=inches, layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title)
        draw(axes)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Title": title, "Date": None, "Creator": None})
    style = "\n".join(["<style>@media (prefers-color-scheme:dark){", *DARK, "}</style>"])
    svg = (
        file.getvalue()
        .replace("<svg ", '<svg class="tinygrad-sq" ', 1)
        .replace("</metadata>", f"</metadata>\n{style}", 1)
    )
    # The rules do not reach into a mark that is drawn by <use>; its style is that of the <use> as well.
    return re.sub(r'(<defs>\s*<path [^>]*?) style="[^"]*"', r"\1", svg)
