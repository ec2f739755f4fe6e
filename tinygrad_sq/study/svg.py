"""A picture and its layout, written as SVG: both themes, a legend in the margin, words for those who cannot see it."""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from typing import Any

from tinygrad_sq.study.layout import ROOT_EDGE, Layout
from tinygrad_sq.study.picture import (
    FONT_SIZE,
    GLYPH_SIZE,
    PADDING,
    ROW,
    SMALL_SIZE,
    Arrow,
    Box,
    Cell,
    Picture,
    Tone,
    short,
    shown,
    text_width,
)
from tinygrad_sq.study.route import Point, Route
from tinygrad_sq.study.theme import FILL, ROLES, STEPS, STROKE, WIDTHS

MARGIN = 14.0
LEGEND_WIDTH = 420.0  # a picture narrower than this is widened, so that the legend has room
LEGEND_ROW = 22.0
SKEW = 4.0
FOLD = 8.0


class Canvas:
    """The elements written so far, and the rectangle that they fill. The y axis points down, as SVG's does."""

    def __init__(self) -> None:
        self.elements: list[str] = []
        self.left = self.top = math.inf
        self.right = self.bottom = -math.inf

    def add(self, element: str) -> None:
        self.elements.append(element)

    def text(self, x: float, y: float, text: str, style: str) -> None:
        self.add(f'<text class="{style}" x="{px(x)}" y="{px(y)}">{escape(text)}</text>')

    def rectangle(self, x: float, y: float, width: float, height: float, radius: float, style: str) -> None:
        size = f'width="{px(width)}" height="{px(height)}" rx="{px(radius)}"'
        self.add(f'<rect class="{style}" x="{px(x)}" y="{px(y)}" {size}/>')

    def cover(self, *points: tuple[float, float]) -> None:
        """Make the picture large enough to show these points."""
        for x, y in points:
            self.left, self.right = min(self.left, x), max(self.right, x)
            self.top, self.bottom = min(self.top, y), max(self.bottom, y)


def render(pic: Picture, layout: Layout) -> str:
    """The SVG of a picture whose parts stand where the layout says."""
    canvas = Canvas()
    for scope, (a, b) in layout.groups.items():
        draw_group(canvas, scope, a, b)
    for arrow, route in zip(pic.arrows, layout.routes):
        draw_arrow(canvas, arrow, route)
    for i, (box, (x, y)) in enumerate(zip(pic.boxes, layout.boxes)):
        draw_box(canvas, box, x, y, root=pic.root and i == len(pic.boxes) - 1)
    for arrow, route in zip(pic.arrows, layout.routes):
        if route.label:
            draw_local(canvas, arrow, *route.label)
    draw_legend(canvas, pic)
    return document(canvas, pic.title, pic.description, css())


def document(canvas: Canvas, title: str, words: str, style: str) -> str:
    """The SVG file of what has been drawn: its title, its description in words, its style sheet."""
    x, y = canvas.left - MARGIN, canvas.top - MARGIN
    width, height = canvas.right + MARGIN - x, canvas.bottom + MARGIN - y
    head = [
        '<svg xmlns="http://www.w3.org/2000/svg" class="tinygrad-sq" role="img" '
        f'viewBox="{px(x)} {px(y)} {px(width)} {px(height)}" style="max-width:{math.ceil(width)}px">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(words)}</desc>",
        f"<style>\n{style}\n</style>",
        f'<rect class="page" x="{px(x)}" y="{px(y)}" width="{px(width)}" height="{px(height)}"/>',
    ]
    return "\n".join([*head, *canvas.elements, "</svg>", ""])


# --- the parts of a picture ---


def draw_group(canvas: Canvas, scope: tuple[str, ...], a: Point, b: Point) -> None:
    left, right = sorted((a[0], b[0]))
    top, bottom = sorted((a[1], b[1]))
    canvas.rectangle(left, top, right - left, bottom - top, 7.0, "group" if len(scope) % 2 else "subgroup")
    canvas.text(left + 8.0, top + 14.0, shown(scope[-1]), "caption")
    canvas.cover((left, top), (right, bottom))


def draw_arrow(canvas: Canvas, arrow: Arrow, route: Route) -> None:
    (x, y), tip = route.curve[-1], route.tip
    dx, dy = tip[0] - x, tip[1] - y
    half = (1.6 + WIDTHS[arrow.tone.step] * 0.6) / math.hypot(dx, dy)
    wings = ((x - half * dy, y + half * dx), tip, (x + half * dy, y - half * dx))
    canvas.add(
        f'<g class="arrow {arrow.tone.sign} w{arrow.tone.step}"><title>{escape(arrow.tooltip)}</title>'
        f'<path d="{path(route)}"/><polygon points="{" ".join(map(_pair, wings))}"/></g>'
    )
    canvas.cover(tip, *route.curve)


def path(route: Route) -> str:
    start, *curve = route.curve
    return f"M{_pair(start)}C{' '.join(map(_pair, curve))}"


def _pair(point: tuple[float, float]) -> str:
    return f"{px(point[0])},{px(point[1])}"


def draw_local(canvas: Canvas, arrow: Arrow, x: float, y: float) -> None:
    canvas.add(
        f'<text class="local" x="{px(x)}" y="{px(y + 3.2)}"><title>{escape(arrow.tooltip)}</title>{arrow.local}</text>'
    )
    half = text_width(arrow.local, SMALL_SIZE) / 2
    canvas.cover((x - half, y - SMALL_SIZE), (x + half, y + SMALL_SIZE))


def draw_box(canvas: Canvas, box: Box, x: float, y: float, root: bool) -> None:
    """The box whose middle is (x, y)."""
    canvas.add(f'<g class="value"><title>{escape(box.tooltip)}</title>')
    draw_frame(canvas, box, x, y, root)
    for k in range(len(box.rows)):
        draw_row(canvas, box, x, y, k)
    canvas.add("</g>")


def draw_frame(canvas: Canvas, box: Box, x: float, y: float, root: bool) -> None:
    left, top = x - box.width / 2, y - box.height / 2
    for edge in (2 * ROOT_EDGE, 0.0) if root else (0.0,):
        shape = outline(box.role, x, y, box.width + edge, box.height + edge)
        canvas.add(f'<path class="{box.role} outline" d="{shape}"/>')
    rule = (left + box.glyph_width, top)
    canvas.add(f'<path class="{box.role} rule" d="M{_pair(rule)}V{px(top + box.height)}"/>')
    canvas.text(left + box.glyph_width / 2, y + 4.5, box.glyph, "glyph" if box.role == "operation" else "name")
    edge = ROOT_EDGE + 1.0 if root else 1.0
    canvas.cover((left - edge, top - edge), (left + box.width + edge, top + box.height + edge))


def draw_row(canvas: Canvas, box: Box, x: float, y: float, k: int) -> None:
    left, top = x - box.width / 2 + box.glyph_width, y - 1.0 + ROW * (k - len(box.rows) / 2)
    slant = SKEW * (k + 1) / len(box.rows) if box.role == "input" else 0.0
    *inner, last = box.columns
    for cell, width in zip(box.rows[k], (*inner, last - slant)):
        _draw_cell(canvas, cell, left, top, width)
        left += width


def _draw_cell(canvas: Canvas, cell: Cell, left: float, top: float, width: float) -> None:
    style = ""
    if cell.tone:
        known = cell.tone.sign != "none"
        style = f' class="{"gradient" if known else "waiting"}"'
        if known:
            canvas.rectangle(left + CHIP, top + CHIP, width - 2 * CHIP, ROW - CHIP, 2.5, f"chip {cell.tone.name}")
    name = f"<tspan>{escape(cell.name)}</tspan> = " if cell.name else ""
    canvas.add(f'<text{style} x="{px(left + PADDING)}" y="{px(top + 14.0)}">{name}{escape(cell.text)}</text>')


CHIP = 2.5  # between a gradient's patch of colour and the box around it


def outline(role: str, x: float, y: float, width: float, height: float) -> str:
    """The path of a box around (x, y): a leaf's shape says what it is, as its colour does."""
    left, right, top, bottom = x - width / 2, x + width / 2, y - height / 2, y + height / 2
    if role == "input":
        corners = [(left + SKEW, top), (right + SKEW, top), (right - SKEW, bottom), (left - SKEW, bottom)]
    elif role == "target":
        corners = [(left, top), (right - FOLD, top), (right, top + FOLD), (right, bottom), (left, bottom)]
    else:
        r = min(9.0, height / 3) if role == "parameter" else 1.5
        arc = f"a{px(r)} {px(r)} 0 0 1"
        return (
            f"M{px(left + r)},{px(top)}H{px(right - r)}{arc} {px(r)},{px(r)}V{px(bottom - r)}{arc} {px(-r)},{px(r)}"
            f"H{px(left + r)}{arc} {px(-r)},{px(-r)}V{px(top + r)}{arc} {px(r)},{px(-r)}z"
        )
    return f"M{' '.join(map(_pair, corners))}z"


# --- the legend, below the picture ---


def draw_legend(canvas: Canvas, pic: Picture) -> None:
    """What shapes, colours and widths mean, of those that the picture has, in as many rows as its width asks for."""
    canvas.cover((canvas.left + LEGEND_WIDTH, canvas.bottom))
    left, y = canvas.left, canvas.bottom
    for items in filter(None, (_legend_items(pic), [*map(_words, pic.captions)])):
        x, y = left, y + LEGEND_ROW
        for draw, width in items:
            if x > left and x + width > canvas.right:
                x, y = left, y + LEGEND_ROW
            draw(canvas, x, y)
            canvas.cover((x + width, y))
            x += width + 14.0
    canvas.cover((left, y + 8.0))


def _legend_items(pic: Picture) -> list[tuple[Any, float]]:
    roles = {box.role for box in pic.boxes}
    items: list[tuple[Any, float]] = [_key(role, ROLE_WORDS.get(role, role)) for role in ROLES if role in roles]
    if pic.largest is not None:
        tones = [cell.tone for box in pic.boxes for row in box.rows for cell in row if cell.tone]
        tones += [arrow.tone for arrow in pic.arrows]
        items += [_scale(pic.scale, pic.largest, any(tone.infinite for tone in tones))]
        if any(tone.sign == "nan" for tone in tones):
            items += [_not_a_number()]
        if pic.arrows:
            items += map(_words, pic.notes)
    return items


ROLE_WORDS = {"part": "many values in one"}


def _key(role: str, words: str) -> tuple[Any, float]:
    def draw(canvas: Canvas, x: float, y: float) -> None:
        canvas.add(f'<path class="{role} outline" d="{outline(role, x + 13.0, y, 22.0, 12.0)}"/>')
        canvas.text(x + 32.0, y + 3.4, words, "caption")

    return draw, 32.0 + text_width(words, SMALL_SIZE)


def _words(words: str) -> tuple[Any, float]:
    def draw(canvas: Canvas, x: float, y: float) -> None:
        canvas.text(x, y + 3.4, words, "caption")

    return draw, text_width(words, SMALL_SIZE)


def _not_a_number() -> tuple[Any, float]:
    def draw(canvas: Canvas, x: float, y: float) -> None:
        canvas.rectangle(x, y - 5.0, 11.0, 10.0, 0.0, "chip nan")
        canvas.text(x + 16.0, y + 3.4, "nan", "caption")

    return draw, 16.0 + text_width("nan", SMALL_SIZE)


def _scale(name: str, largest: float, infinite: bool) -> tuple[Any, float]:
    low, high = short(largest * 10 ** (-(STEPS - 1) / 2), 2), short(largest, 2)
    texts = [f"{name} −{high}", f"±{low}", "+" + high]
    if infinite:
        texts = [f"{name} −inf, −{high}", f"±{low}", f"+{high}, +inf"]
    widths = [text_width(text, SMALL_SIZE) for text in texts]
    side = STEPS * 11.0

    def draw(canvas: Canvas, x: float, y: float) -> None:
        for k, text in enumerate(texts):
            canvas.text(x, y + 3.4, text, "caption")
            x += widths[k] + 5.0
            if k < 2:
                for step in range(1, STEPS + 1):
                    tone = Tone("pos", step) if k else Tone("neg", STEPS + 1 - step)
                    canvas.rectangle(x + 11.0 * (step - 1), y - 5.0, 11.0, 10.0, 0.0, f"chip {tone.name}")
                x += side + 5.0

    return draw, sum(widths) + 2 * side + 20.0


# --- style ---


def css() -> str:
    """The style sheet: shapes, the colours of the light theme, those of the dark one. It touches this picture alone,
    and the window where the picture is all that there is."""
    rules = [
        f"text{{font:{FONT_SIZE}px Arial,'Liberation Sans',Helvetica,sans-serif}}",
        f".glyph{{font-size:{GLYPH_SIZE}px;font-weight:bold;text-anchor:middle}}",
        ".name{font-weight:bold;text-anchor:middle}",
        "tspan{font-weight:bold}",
        ".waiting{font-style:italic}",
        f".caption{{font-size:{SMALL_SIZE}px}}",
        f".local{{font-size:{SMALL_SIZE}px;text-anchor:middle;paint-order:stroke;stroke-width:7px;stroke-linejoin:round}}",
        ".outline{stroke-width:1.2px}",
        ".rule{stroke-width:.6px}",
        ".arrow path{fill:none}",
        ".arrow:hover path{stroke-width:5px}",
        ".arrow.none path{stroke-dasharray:4 3}",
        *(f".w{step} path{{stroke-width:{width}px}}" for step, width in enumerate(WIDTHS)),
    ]
    light, dark = FILL["page"]
    alone = f":root.tinygrad-sq{{margin:auto;color-scheme:light dark;background:light-dark({light},{dark})}}"
    return "\n".join([alone, *scoped(rules), *themed(_colour_rules)])


def themed(rules: Callable[[int], list[str]]) -> list[str]:
    """The rules of the light theme (0), and where the reader prefers it of the dark one (1)."""
    return [*scoped(rules(0)), "@media (prefers-color-scheme:dark){", *scoped(rules(1)), "}"]


def scoped(rules: list[str]) -> list[str]:
    """A notebook puts pictures into its page, where a style sheet would apply to everything."""
    return [f".tinygrad-sq {rule}" for rule in rules]


def _colour_rules(theme: int) -> list[str]:
    fill = {name: colours[theme] for name, colours in FILL.items()}
    stroke = {name: colours[theme] for name, colours in STROKE.items()}
    return [
        f".page{{fill:{fill['page']}}}",
        f"text{{fill:{fill['ink']}}}",
        *(f".{name}{{fill:{fill['muted']}}}" for name in ("caption", "waiting")),
        f".local{{fill:{fill['muted']};stroke:{fill['page']}}}",
        *(f".{name}{{fill:{fill[name]};stroke:{stroke[name]}}}" for name in ("group", "subgroup", *ROLES)),
        *(f".chip.{name}{{fill:{fill[name]}}}" for name in fill if name[:3] in SIGNS or name in SIGNS),
        *(f".arrow.{sign} path{{stroke:{stroke[sign]}}}" for sign in SIGNS),
        *(f".arrow.{sign} polygon{{fill:{stroke[sign]}}}" for sign in SIGNS),
    ]


SIGNS = ("pos", "neg", "zero", "nan", "none", "many")


def px(x: float) -> str:
    """A length, to a tenth of a pixel."""
    return f"{round(x, 1) + 0.0:.10g}"
