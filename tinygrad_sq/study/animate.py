"""The forward and the backward pass as one animated SVG: the still picture, and when each of its parts appears.

Everything moves by CSS, so that the file plays as an `<img>`, where no script runs. What has no animation at all, as
where the reader's system asks for less motion, shows the end: the picture of `to_svg`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from html import escape
from typing import NamedTuple

from tinygrad_sq.checks import checked
from tinygrad_sq.graph import topological_order
from tinygrad_sq.saving import check_ending, write
from tinygrad_sq.study import svg
from tinygrad_sq.study.draw import layout
from tinygrad_sq.study.explain import Explanation, explain
from tinygrad_sq.study.layout import Layout
from tinygrad_sq.study.names import Names
from tinygrad_sq.study.picture import (
    Box,
    Picture,
    Tone,
    TooLargeError,
    aligned,
    gradient_cell,
    picture,
    short,
    shown,
    text_width,
)
from tinygrad_sq.study.route import Route
from tinygrad_sq.study.theme import FILL, STROKE
from tinygrad_sq.value import Value

LARGEST = 250  # steps: some minutes to watch, and half a megabyte
PAUSE = 5.0  # seconds at the end, before it all begins again
RING = 9.0
CLEARANCE = 14.0
WIDTH, MOST_HEIGHT = 860.0, 420.0  # of the part of the graph that is seen: what a README shows without scaling it down
CAPTION_SIZE = 15.0
LETTERS = 180  # no caption has room for more


def animate(root: Value, path: str | os.PathLike[str], *, seconds: float = 1.5, rankdir: str = "LR") -> None:
    """Write an animated SVG of root's forward pass, value by value, and of its backward pass, operand by operand.

    seconds  for each step; there is one for each operation, and one for each operand that gradient flows to
    rankdir  as for `draw_dot`

    It shows ∂root/∂v of this graph alone, whether or not backward has run, and changes no `grad`.
    Raises ValueError for a path that does not end in .svg, for more than 250 steps, for seconds that are not above 0,
    for another rankdir, and if data was changed after the forward pass; DotError if there is no Graphviz, or if it
    fails; OSError if the file cannot be written.
    """
    check_ending(path, ".svg")
    write(path, animation(root, seconds=seconds, rankdir=rankdir))


def animation(root: Value, *, seconds: float = 1.5, rankdir: str = "LR") -> str:
    """The text of the SVG that `animate` writes; arguments and errors as there."""
    checked(root, Value, "a Value to animate")
    if not 0.0 < seconds < math.inf:
        raise ValueError(f"seconds, for each step, is a number above 0, got {seconds!r}")
    nodes = [node for node in topological_order(root) if node.op]
    size = len(nodes) + sum(local is not None for node in nodes for local in node.partials)
    if size > LARGEST:
        raise TooLargeError(
            f"an animation has at most {LARGEST} steps, one for each operation and one for each operand, and this "
            f"would have {size:,}: animate an inner value or a smaller net; to_svg draws it still"
        )
    graph = deepcopy(root)
    for node in topological_order(graph):
        node.grad = 0.0
    graph.backward()
    pic = picture(graph)
    steps = script(graph, pic)
    pic = pic._replace(boxes=aligned([_with_room(i, box, pic, steps) for i, box in enumerate(pic.boxes)]))
    return _Film(pic, layout(pic, rankdir), steps, seconds).render()


def _with_room(i: int, box: Box, pic: Picture, steps: list[Step]) -> Box:
    """The box, wide enough for each sum on the way to its gradient."""
    widths = [
        gradient_cell(step.total, pic.largest).width for step in steps if step.box == i and step.total is not None
    ]
    return box._replace(columns=(max(*box.columns, *widths),)) if widths else box


# --- what happens, step by step ---


class Step(NamedTuple):
    """A moment of the animation, in words, and what it works out.

    heading  which pass it belongs to, and where in it
    names    its equation in names
    numbers  the same in numbers
    box      the box that gets a value, or a gradient
    arrow    the arrow that the gradient flows along, if one does
    total    the gradient of the box after this step, None in the forward pass
    """

    heading: str
    names: str
    numbers: str
    box: int | None = None
    arrow: int | None = None
    total: float | None = None


def script(root: Value, pic: Picture) -> list[Step]:
    """The leaves, each operation, the root's gradient, each operand's share of gradient, the end."""
    order = topological_order(root)
    explanation = explain(root)
    J = explanation.names[root].text
    end = Step("done", f"∂{J}/∂v for each of {len(order)} values v, in one pass back", "")
    return [*_forward(order, explanation.names), *_backward(order, explanation, pic), end]


def _forward(order: list[Value], names: Names) -> Iterator[Step]:
    leaves = [node for node in order if not node.op]
    given = ", ".join(f"{node.label} = {short(node.data)}" if node.label else short(node.data) for node in leaves)
    yield Step("forward", "the leaves are given", given)
    operations = [(i, node) for i, node in enumerate(order) if node.op]
    for k, (i, node) in enumerate(operations, 1):
        formula = equation(node, lambda v: names[v].text)
        name = names[node].text
        yield Step(
            f"forward {k} of {len(operations)}",
            formula if formula == name else f"{name} = {formula}",
            f"= {equation(node, lambda v: short(v.data))} = {short(node.data)}",
            i,
        )


def _backward(order: list[Value], explanation: Explanation, pic: Picture) -> Iterator[Step]:
    index = {node: i for i, node in enumerate(order)}
    arrow = {(arrow.head, arrow.operand): k for k, arrow in enumerate(pic.arrows)}
    flows = [step for step in explanation if step.local is not None]
    names, root = explanation.names, order[-1]
    J = names[root].text
    yield Step(
        "backward", f"∂{J}/∂{J} = 1", f"it begins at {J}, and goes back along every arrow", index[root], None, 1.0
    )
    for k, (node, operand, arg, upstream, local, contribution, before, after, place, of, _) in enumerate(flows, 1):
        v = names.derivative(root, arg).text
        numbers = f"upstream {short(upstream)} × local {_bracketed(local)} = {short(contribution or 0.0)}"
        yield Step(
            f"backward {k} of {len(flows)}: contribution {place} of {of} to {v}",
            f"{v} += {names.derivative(root, node).text} × {names.derivative(node, arg).text}",
            numbers + (f"; sum {short(before)} + {_bracketed(contribution)} = {short(after)}" if of > 1 else ""),
            index[arg],
            arrow[index[node], operand],
            after,
        )


def equation(node: Value, written: Callable[[Value], str]) -> str:
    """The operation that made a value, on its operands as they are written: a sum of products in full."""
    assert node.op
    operands = [_Operand(written(arg) if isinstance(arg, Value) else short(arg)) for arg in node.args]
    if node.op.products is None or isinstance(node.op.arity, int):
        text: str = node.op.text(*operands)
        return text
    pairs, rest = node.op.products(*operands)
    terms = [str(y) if x == 1.0 else f"{x:2}·{y:2}" for x, y in pairs]
    return " + ".join([*terms, f"{rest:1}"] if isinstance(rest, str) and rest != "0" else terms)


class _Operand(str):
    """A name or a number in an equation; in parentheses if it is negative or a formula, and not the only operand."""

    def __format__(self, least: str) -> str:
        return f"({self!s})" if least and (self.startswith(("−", "-")) or " " in self) else str(self)


def _bracketed(x: float | None) -> str:
    return f"{_Operand(short(x or 0.0)):2}"


# --- when it happens ---


class Timeline:
    """The moments of an animation that begins again and again, and the CSS of all that appears and vanishes in it."""

    def __init__(self, steps: int, seconds: float) -> None:
        self.steps = steps
        self.seconds = seconds
        self.running = (steps - 1) * seconds
        self.length = self.running + PAUSE
        self.fade = min(0.25, seconds / 4)
        self.frames: dict[str, str] = {}

    def during(self, first: int, after: int | None = None, flow: int = 0) -> str:
        """The class of what is seen from step `first` until step `after` begins, to the end if that is None.

        With `flow` its dashes move meanwhile: 1 along the path, -1 against it.
        """
        last = self.steps if after is None else after
        name = f"t{first}-{last}{' ab'[flow].strip()}"
        begin, end = first * self.seconds, last * self.seconds
        at_first, moved = (f";stroke-dashoffset:{x}" if flow else "" for x in (0, -48 * flow))
        frames = "0%{opacity:1}"
        if first:
            frames = f"0%,{self.percent(begin)}{{opacity:0{at_first}}}{self.percent(begin + self.fade)}{{opacity:1}}"
        if last < self.steps:
            frames += (
                f"{self.percent(end - self.fade / 8)}{{opacity:1{moved}}}{self.percent(end)},to{{opacity:0{moved}}}"
            )
        self.frames[name] = frames
        return f"timed {name}" if last == self.steps else f"timed {name} past"

    def percent(self, time: float) -> str:
        return f"{100.0 * time / self.length:.3f}%"

    def css(self, views: list[View]) -> list[str]:
        """All of it, for who has not asked for less motion; without it, what is there in the end."""
        return [
            ".past{opacity:0}",
            "@media (prefers-reduced-motion:no-preference){",
            f".timed{{animation:{self.length:g}s linear infinite}}",
            f".progress{{transform-box:fill-box;animation:progress {self.length:g}s linear infinite}}",
            f"@keyframes progress{{0%{{transform:scaleX(0)}}{self.percent(self.running)},to{{transform:none}}}}",
            f".camera{{animation:camera {self.length:g}s ease-in-out infinite}}",
            f"@keyframes camera{{{self._camera(views)}}}",
            *(f".{name}{{animation-name:{name}}}@keyframes {name}{{{f}}}" for name, f in self.frames.items()),
            "}",
        ]

    def _camera(self, views: list[View]) -> str:
        moves = [k for k in range(1, len(views)) if views[k] != views[k - 1]]
        frames = [f"0%{{transform:{views[0].transform('px')}}}"]
        for k in moves:
            begin = k * self.seconds
            frames += [
                f"{self.percent(time)}{{transform:{view.transform('px')}}}"
                for time, view in ((begin, views[k - 1]), (begin + 2 * self.fade, views[k]))
            ]
        return "".join([*frames, f"to{{transform:{views[-1].transform('px')}}}"])


class View(NamedTuple):
    """Where the camera looks: the middle of what is seen, and its scale; a window of this height."""

    x: float
    y: float
    scale: float
    height: float

    @classmethod
    def of(cls, left: float, top: float, right: float, bottom: float, height: float) -> View:
        """All of a rectangle, not larger than life."""
        scale = min(1.0, WIDTH / (right - left), height / (bottom - top))
        return cls((left + right) / 2, (top + bottom) / 2, scale, height)

    def transform(self, unit: str) -> str:
        x, y = WIDTH / 2 - self.x * self.scale, self.height / 2 - self.y * self.scale
        return f"translate({svg.px(x)}{unit},{svg.px(y)}{unit}) scale({self.scale:.4g})"


# --- how it looks ---


class _Film:
    """The parts of a picture, drawn one by one, each for the time in which it is seen."""

    def __init__(self, pic: Picture, where: Layout, steps: list[Step], seconds: float) -> None:
        self.pic, self.where, self.steps = pic, where, steps
        self.canvas = svg.Canvas()
        self.time = Timeline(len(steps), seconds)
        self.computed = {step.box: k for k, step in enumerate(steps) if step.total is None}
        self.flowed = {step.arrow: k for k, step in enumerate(steps)}

    def render(self) -> str:
        for scope, (a, b) in self.where.groups.items():
            svg.draw_group(self.canvas, scope, a, b)
        for k in range(len(self.pic.arrows)):
            self._draw_arrow(k)
        for i in range(len(self.pic.boxes)):
            self._draw_box(i)
        for arrow, route in zip(self.pic.arrows, self.where.routes):
            if route.label:
                with self._during(self.computed[arrow.head]):
                    svg.draw_local(self.canvas, arrow, *route.label)
        left, top, right, bottom = self.canvas.left, self.canvas.top, self.canvas.right, self.canvas.bottom
        self.canvas.cover((left - CLEARANCE, top - CLEARANCE), (right + CLEARANCE, bottom + CLEARANCE))
        views = self._views()
        frame = self._framed(views[-1])
        svg.draw_legend(frame, self.pic)
        self._draw_captions(frame)
        root = self.pic.boxes[-1]
        title = f"Forward and backward pass of {root.name or root.glyph}"
        style = [svg.css(), *svg.scoped(SHAPES), *svg.themed(_colours), *self.time.css(views)]
        return svg.document(frame, title, self._words(), "\n".join(style))

    @contextmanager
    def _during(self, first: int, after: int | None = None) -> Iterator[None]:
        self.canvas.add(f'<g class="{self.time.during(first, after)}">')
        yield
        self.canvas.add("</g>")

    def _draw_arrow(self, k: int) -> None:
        """Grey, and in its colour once gradient has flowed along it. Dashes move along it as its operand is used, and
        back as gradient flows."""
        arrow, route = self.pic.arrows[k], self.where.routes[k]
        quiet = arrow if arrow.tone.sign == "none" else arrow._replace(tone=Tone("zero"))
        svg.draw_arrow(self.canvas, quiet, route)
        used = self.computed[arrow.head]
        self._draw_pulse(route, "zero", self.time.during(used, used + 1, flow=1))
        if k in self.flowed:
            flowed = self.flowed[k]
            with self._during(flowed):
                svg.draw_arrow(self.canvas, arrow, route)
            self._draw_pulse(route, arrow.tone.sign, self.time.during(flowed, flowed + 1, flow=-1))

    def _draw_pulse(self, route: Route, sign: str, style: str) -> None:
        self.canvas.add(f'<g class="arrow {sign}"><path class="pulse {style}" d="{svg.path(route)}"/></g>')

    def _draw_box(self, i: int) -> None:
        box, (x, y) = self.pic.boxes[i], self.where.boxes[i]
        for k, step in enumerate(self.steps):
            if step.box == i:
                ring = svg.outline(box.role, x, y, box.width + RING, box.height + RING)
                self.canvas.add(f'<path class="ring {self.time.during(k, k + 1)}" d="{ring}"/>')
        self.canvas.add(f'<g class="value"><title>{escape(box.tooltip)}</title>')
        svg.draw_frame(self.canvas, box, x, y, root=i == len(self.pic.boxes) - 1)
        with self._during(self.computed.get(i, 0)):
            svg.draw_row(self.canvas, box, x, y, 0)
        sums = [(k, step.total) for k, step in enumerate(self.steps) if step.box == i and step.total is not None]
        sums = sums or [(len(self.steps) - 1, 0.0)]  # no gradient flows to it, which is known in the end
        for (k, total), after in zip(sums, [*(k for k, _ in sums[1:]), None]):
            with self._during(k, after):
                rows = (box.rows[0], (gradient_cell(total, self.pic.largest),))
                svg.draw_row(self.canvas, box._replace(rows=rows), x, y, 1)
        self.canvas.add("</g>")

    def _views(self) -> list[View]:
        """What is seen at each step: the boxes that it is about, among as much else as there is room for. The camera
        moves only if it must; in the beginning and in the end it shows everything."""
        canvas = self.canvas
        height = min(canvas.bottom - canvas.top, MOST_HEIGHT)
        whole = View.of(canvas.left, canvas.top, canvas.right, canvas.bottom, height)
        views = [whole]
        for step in self.steps[1:-1]:
            arrows = [
                arrow
                for k, arrow in enumerate(self.pic.arrows)
                if (k == step.arrow if step.total is not None else arrow.head == step.box)
            ]
            boxes = {step.box, *(end for arrow in arrows for end in (arrow.tail, arrow.head))}
            lefts, tops, rights, bottoms = zip(*[self._extent(i) for i in boxes if i is not None])
            left, top, right, bottom = min(lefts), min(tops), max(rights), max(bottoms)
            scale = View.of(left, top, right, bottom, height).scale
            u, v = WIDTH / scale / 2, height / scale / 2
            x = _within(_within(views[-1].x, right - u, left + u), canvas.left + u, canvas.right - u)
            y = _within(_within(views[-1].y, bottom - v, top + v), canvas.top + v, canvas.bottom - v)
            views.append(View(x, y, scale, height))
        return [*views, whole]

    def _extent(self, i: int) -> tuple[float, float, float, float]:
        box, (x, y) = self.pic.boxes[i], self.where.boxes[i]
        u, v = box.width / 2 + CLEARANCE, box.height / 2 + CLEARANCE
        return x - u, y - v, x + u, y + v

    def _framed(self, view: View) -> svg.Canvas:
        """The graph, behind a window through which the camera looks."""
        frame = svg.Canvas()
        frame.cover((0.0, 0.0), (WIDTH, view.height))
        frame.add(f'<svg width="{svg.px(WIDTH)}" height="{svg.px(view.height)}">')
        frame.add(f'<g class="camera" transform="{view.transform("")}">')
        frame.elements += self.canvas.elements
        frame.add("</g></svg>")
        return frame

    def _draw_captions(self, frame: svg.Canvas) -> None:
        """Above the graph: how far it has come, and the equation of the step."""
        row = 1.5 * CAPTION_SIZE
        for k, step in enumerate(self.steps):
            frame.add(f'<g class="{self.time.during(k, k + 1)}">')
            for n, style in enumerate(("numbers", "names", "heading")):
                text = _fitting(getattr(step, style))
                frame.text(0.0, -(n + 1) * row, text, style)
            frame.add("</g>")
        bar = f'y="{svg.px(-4.5 * row)}" width="{svg.px(WIDTH)}" height="4"'
        frame.add(f'<rect class="bar track" {bar}/><rect class="bar progress" {bar}/>')
        frame.cover((0.0, -4.5 * row))

    def _words(self) -> str:
        forward = sum(step.total is None for step in self.steps) - 2
        return (
            f"An animation of {len(self.steps)} steps, again and again: {forward} operations forward, then "
            f"{len(self.flowed) - 1} products of an upstream gradient and a local derivative, each added to the "
            f"gradient of an operand. In the end: {self.pic.description}"
        )


def _fitting(text: str) -> str:
    """As much of a caption as there is room for."""
    text = shown(text, LETTERS)
    while text_width(text, CAPTION_SIZE, bold=True) > WIDTH:
        text = f"{text[:-2]}…"
    return text


def _within(x: float, low: float, high: float) -> float:
    """What is nearest to x from low to high; their middle if there is nothing between."""
    return (low + high) / 2 if low > high else min(max(x, low), high)


SHAPES = [
    f".heading,.tinygrad-sq .names,.tinygrad-sq .numbers{{font-size:{CAPTION_SIZE:g}px}}",
    ".names{font-weight:bold}",
    ".arrow .pulse{stroke-width:5px;stroke-dasharray:3 9;stroke-linecap:round}",
    ".ring{fill:none;stroke-width:2.5px}",
    ".track{opacity:.25}",
]


def _colours(theme: int) -> list[str]:
    return [
        f".heading{{fill:{FILL['muted'][theme]}}}",
        f".ring{{stroke:{FILL['ink'][theme]}}}",
        f".bar{{fill:{STROKE['pos'][theme]}}}",
    ]
