"""What a picture of a graph says, in words and steps of colour: a box for each value, an arrow for each operand."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple
from unicodedata import east_asian_width

from tinygrad_sq.checks import checked
from tinygrad_sq.graph import topological_order
from tinygrad_sq.nn import Parameter
from tinygrad_sq.op import CLOSED
from tinygrad_sq.study.theme import STEPS
from tinygrad_sq.tabular import Meanings
from tinygrad_sq.value import Value

LARGEST = 3000  # a layout takes 3 s for 3,400 values and a minute for 10,000; nobody can read either
FONT_SIZE, GLYPH_SIZE, SMALL_SIZE = 11.0, 14.0, 9.5
ROW = 18.0
PADDING = 7.0


class TooLargeError(ValueError):
    """The graph has more values than a picture can show."""


class Tone(NamedTuple):
    """A step of colour: the sign ("pos", "neg", "zero", "nan", or "none" for no gradient) and, 1 to STEPS, the size.
    What is infinite has the last step."""

    sign: str
    step: int = 0
    infinite: bool = False

    @property
    def name(self) -> str:
        return f"{self.sign}{self.step or ''}"


class Cell(NamedTuple):
    """`name = text`, or text alone. A gradient has a tone, and lies on a patch of that colour."""

    text: str
    name: str = ""
    tone: Tone | None = None

    @property
    def width(self) -> float:
        caption = f"{self.name} = {self.text}" if self.name else self.text
        return text_width(caption, FONT_SIZE, bold=bool(self.name)) + 2 * PADDING


class Box(NamedTuple):
    """A value, or a part of the graph: its glyph (an operation's symbol, a name), and to the right of it rows of cells.

    The rows of a value: `name = data`, `∇ grad`.
    """

    role: str
    glyph: str
    rows: tuple[tuple[Cell, ...], ...]
    scope: tuple[str, ...]
    tooltip: str
    glyph_width: float
    columns: tuple[float, ...]  # the widths of the cells

    @property
    def name(self) -> str:
        return self.rows[0][0].name

    @property
    def data(self) -> str:
        return self.rows[0][0].text

    @property
    def gradient(self) -> str:
        return self.rows[-1][0].text

    @property
    def tone(self) -> Tone:
        return self.rows[-1][0].tone or Tone("none")

    @property
    def width(self) -> float:
        return self.glyph_width + sum(self.columns)

    @property
    def height(self) -> float:
        return ROW * max(2, len(self.rows)) + 2.0

    @property
    def kind(self) -> tuple[str, ...]:
        return (self.role, *self.scope[:1], *([self.glyph] if self.role == "operation" else []))


def box(
    role: str, glyph: str, rows: tuple[tuple[Cell, ...], ...], scope: tuple[str, ...], tooltip: str, size: float
) -> Box:
    """A box with room for its glyph, of that font size, and for its cells."""
    left = text_width(glyph, size, bold=True) + 2 * PADDING
    columns = tuple([max(cell.width for cell in column) for column in zip(*rows)])
    return Box(role, glyph, rows, scope, tooltip, left, columns)


class Arrow(NamedTuple):
    """An operand's way into a value: the local derivative, and by how much it carries gradient back."""

    tail: int
    head: int
    operand: int
    local: str
    tone: Tone
    tooltip: str

    @property
    def id(self) -> str:
        return f"e{self.head}_{self.operand}"

    @property
    def door(self) -> str:
        return f"d{self.head}_{self.operand}"


class Picture(NamedTuple):
    """Boxes in topological order, the root last; `largest` is the |∇| or |contribution| that has the deepest colour,
    None before backward has run."""

    boxes: list[Box]
    arrows: list[Arrow]
    groups: dict[str, tuple[str, ...]]  # the cluster of each scope, scopes before those inside them
    largest: float | None
    title: str
    description: str
    notes: tuple[str, ...]  # what the legend says beside shapes and colours
    stacks: tuple[tuple[int, ...], ...] = ()  # boxes that stand one below the other, in this order
    root: bool = True  # whether the last box is that of the root
    scale: str = "∇"  # what the scale of colours in the legend is of
    captions: tuple[str, ...] = ()  # what stands below the legend


def picture(root: Value, force: bool = False) -> Picture:
    """The picture of all that `root` depends on. Raises TooLargeError for more than LARGEST values, unless forced."""
    order = topological_order(checked(root, Value, "a Value to draw"))
    if len(order) > LARGEST and not force:
        raise TooLargeError(
            f"the graph has {len(order):,} values and a picture at most {LARGEST:,}: take an inner value, or "
            "to_svg(..., detail='auto'), which draws less of it; force=True draws it all the same"
        )
    largest = largest_gradient(order, root)
    index = {node: i for i, node in enumerate(order)}
    arrows = [
        arrow(index[arg], i, k, arg, node, local, largest)
        for i, node in enumerate(order)
        for k, (arg, local) in enumerate(zip(node.args, node.partials))
        if isinstance(arg, Value)
    ]
    boxes = aligned([value_box(node, largest) for node in order])
    name = boxes[-1].name or boxes[-1].glyph
    words = f"{_description(boxes)} {gradients_in_words(largest)}"
    return Picture(boxes, arrows, clusters(order), largest, f"Computation graph of {name}", words, ON_ARROWS)


def with_meanings(pic: Picture, meanings: Meanings) -> Picture:
    """The picture with what labels stand for in tooltips, in its description, and below the legend."""
    boxes = []
    for box in pic.boxes:
        labels = [box.glyph, *[cell.name for row in box.rows for cell in row]]
        lines = [f"{label}: {shown(meanings.words[label], 120)}" for label in labels if label in meanings.words]
        boxes.append(box._replace(tooltip="\n".join([*lines, box.tooltip])))
    captions = tuple([shown(text, 60) for text in (meanings.title, *meanings.legend)])
    description = f"{pic.description} {'; '.join(captions)}."
    return pic._replace(boxes=boxes, description=description, captions=captions)


ON_ARROWS = ("on an arrow: × local derivative", "its colour and width: upstream × local")


def clusters(parts: Iterable[Value | Box]) -> dict[str, tuple[str, ...]]:
    """A name for the cluster of each scope in which something stands."""
    scopes = dict.fromkeys(part.scope[:depth] for part in parts for depth in range(1, len(part.scope) + 1))
    return {f"cluster{k}": scope for k, scope in enumerate(scopes)}


def largest_gradient(order: list[Value], root: Value) -> float | None:
    """The size of the largest gradient or contribution in the graph; None if backward has not run from the root."""
    if not root.grad:  # ∂root/∂root is 1 as soon as backward has run
        return None
    sizes = [abs(node.grad) for node in order]
    sizes += [abs(node.grad * local) for node in order for local in node.partials if local is not None]
    return max((size for size in sizes if 0.0 < size < math.inf), default=1.0)


def tone(x: float, largest: float) -> Tone:
    """The class of colour for a gradient: its sign, and its size in half decades below the largest."""
    if math.isnan(x):
        return Tone("nan")
    if x == 0.0:
        return Tone("zero")
    below = math.ceil(2.0 * (math.log10(abs(x)) - math.log10(largest))) if abs(x) < largest else 0
    return Tone("pos" if x > 0.0 else "neg", max(1, STEPS + below), math.isinf(x))


# --- boxes and arrows ---


def value_box(node: Value, largest: float | None) -> Box:
    role = role_of(node)
    name = shown(node.label)
    glyph = glyph_of(node) if node.op else name or role
    rows = ((Cell(short(node.data), name if node.op else ""),), (gradient_cell(node.grad, largest),))
    tooltip = _node_tooltip(node, role, largest)
    return box(role, glyph, rows, node.scope, tooltip, GLYPH_SIZE if node.op else FONT_SIZE)


def gradient_cell(gradient: float, largest: float | None) -> Cell:
    if largest is None:
        return Cell("∇ not yet", tone=Tone("none"))
    return Cell(f"∇ {signed(gradient)}", tone=tone(gradient, largest))


def aligned(boxes: list[Box]) -> list[Box]:
    """The boxes of one kind in one group, made equally wide, so that they line up, and so do those of their cells that
    are as many in a row."""
    left: dict[Any, float] = defaultdict(float)
    columns: dict[Any, tuple[float, ...]] = {}
    for box in filter(lambda box: box.scope, boxes):
        key = box.kind, len(box.columns)
        left[box.kind] = max(left[box.kind], box.glyph_width)
        columns[key] = tuple(map(max, box.columns, columns.get(key, box.columns)))
    right: dict[Any, float] = defaultdict(float)
    for (kind, _), widths in columns.items():
        right[kind] = max(right[kind], sum(widths))
    return [_stretched(box, left, columns, right) if box.scope else box for box in boxes]


def _stretched(box: Box, left: dict[Any, float], columns: dict[Any, tuple[float, ...]], right: dict[Any, float]) -> Box:
    widths = columns[box.kind, len(box.columns)]
    share = (right[box.kind] - sum(widths)) / len(widths)
    return box._replace(glyph_width=left[box.kind], columns=tuple([width + share for width in widths]))


def arrow(
    tail: int, head: int, operand: int, arg: Value, node: Value, local: float | None, largest: float | None
) -> Arrow:
    where = f"∂{reference(node)} / ∂{reference(arg)}"
    if local is None:
        return Arrow(tail, head, operand, "", Tone("none"), f"{reference(node)}: no gradient flows to {reference(arg)}")
    if largest is None:
        return Arrow(tail, head, operand, f"×{short(local, 3)}", Tone("zero"), f"{where}: local {short(local)}")
    contribution = node.grad * local
    return Arrow(
        tail,
        head,
        operand,
        f"×{short(local, 3)}",
        tone(contribution, largest),
        f"{where}: upstream {short(node.grad)} × local {short(local)} = {short(contribution)}",
    )


def role_of(node: Value) -> str:
    if node.op:
        return "operation"
    if isinstance(node, Parameter):
        return "parameter"
    return "target" if node.scope[:1] == ("target",) else "input"


def glyph_of(node: Value) -> str:
    """The row's symbol, with the constants among its operands where they stand in the formula: `× 2`, `1 ÷`, `x²`; a
    last term b that is 0 is left out."""
    assert node.op
    symbol: str = node.op.symbol
    args = node.args
    constants = {i: short(arg) for i, arg in enumerate(args) if not isinstance(arg, Value)}
    if constants.get(len(args) - 1) == "0" and symbol.endswith(" + b"):
        return symbol.removesuffix(" + b")
    if not constants or len(args) > 3:
        return symbol
    if set(symbol) <= set(OPERAND_LETTERS):
        return "".join(
            (constants[i].translate(RAISED) if letter in RAISED.values() else constants[i])
            if i in constants
            else letter
            for letter in symbol
            for i in [OPERAND_LETTERS[letter]]
        )
    if symbol.replace("_", "").isalnum():
        return f"{symbol}({', '.join(constants.get(i, '·') for i in range(len(args)))})"
    if len(args) == 2 and not any(map(str.isalpha, symbol)):
        return f"{constants[0]} {symbol}" if 0 in constants else f"{symbol} {constants[1]}"
    return symbol


# A symbol written in the letters of its operands (xʸ) takes constants in their place.
OPERAND_LETTERS = {"x": 0, "ʸ": 1}
RAISED = dict(zip(map(ord, "0123456789−.einfaʸ"), "⁰¹²³⁴⁵⁶⁷⁸⁹⁻·ᵉⁱⁿᶠᵃʸ"))


# --- words and numbers ---


class Atom(str):
    """An operand in a formula that needs no parentheses, however tightly the formula binds."""

    def __format__(self, spec: str) -> str:
        return str(self)


def reference(node: Value) -> str:
    """A name for a value in a sentence: its label, or else its operation on its operands' labels or numbers."""
    if node.label or not node.op:
        return shown(node.label) or short(node.data)
    return formula(node) if node.op.precedence == CLOSED else f"({formula(node)})"


def formula(node: Value) -> str:
    """The operation that made a value, by the row's template, of its operands' labels (or numbers)."""
    assert node.op
    atoms = [Atom(shown(arg.label) or short(arg.data) if isinstance(arg, Value) else short(arg)) for arg in node.args]
    return shown(node.op.text(*atoms), 120)


def _node_tooltip(node: Value, role: str, largest: float | None) -> str:
    lines = [f"{shown(node.label, 120)} = {node.data!r}" if node.label else repr(node.data)]
    lines.append(formula(node) if node.op else role)
    if node.scope:
        lines.append(", ".join(shown(name) for name in node.scope))
    lines.append("∇ not yet: backward has not run" if largest is None else f"∇ {node.grad!r}")
    return "\n".join(lines)


def short(x: float, digits: int = 4) -> str:
    """A number for a picture: few digits, and a minus sign as wide as a plus."""
    return f"{x + 0.0:.{digits}g}".replace("-", "−")


def signed(x: float) -> str:
    """A number with its sign, which colour alone must not tell."""
    return ("+" if x > 0.0 else "") + short(x)


def shown(label: str, length: int = 24) -> str:
    """A label on one line, of at most `length` characters, without the characters that XML has no way to write."""
    line = UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", " ".join(label.split()))
    return line if len(line) <= length else line[: length - 1] + "…"


UNPRINTABLE = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text_width(text: str, size: float, bold: bool = False) -> float:
    """About how wide a text is in Arial, with some slack: no two machines measure fonts alike."""
    return sum(map(_advance, text)) * size * (1.12 if bold else 1.04)


def _advance(character: str) -> float:
    if east_asian_width(character) in "WF":
        return 1.0
    if character in " .,:;|!'`ijlftI[]()/\\·":
        return 0.34
    return 0.88 if character in "mwMW@%Σ…" else 0.70 if character.isupper() or not character.isascii() else 0.54


def _description(boxes: list[Box]) -> str:
    """The picture in a sentence, for those who cannot see it."""
    root = boxes[-1]
    roles = Counter(box.role for box in boxes)
    parts = ", ".join(f"{n} {role}{'s' * (n > 1)}" for role, n in roles.items())
    return f"{root.name or root.glyph} = {root.data}, at the end of a graph of {parts}."


def gradients_in_words(largest: float | None) -> str:
    if largest is None:
        return "Backward has not run yet, so gradients are not shown."
    return (
        "Each box shows its gradient and each arrow a local derivative; the largest finite gradient or "
        f"contribution is {short(largest)} in size."
    )
