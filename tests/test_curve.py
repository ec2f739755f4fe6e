"""What training shows of itself in a notebook: the cost of each epoch at its place, and a line of words."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from tinygrad_sq import MLP, History, compile, dot, fit
from tinygrad_sq.study.curve import BOTTOM, LEFT, RIGHT, TOP, curve_svg

SVG = "{http://www.w3.org/2000/svg}"


def curves(svg: str) -> list[list[tuple[float, float]]]:
    """The points of each curve."""
    lines = ElementTree.fromstring(svg).iter(f"{SVG}polyline")
    return [
        [(float(x), float(y)) for x, y in (point.split(",") for point in line.get("points", "").split())]
        for line in lines
    ]


def texts(svg: str) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_a_linear_scale() -> None:
    """From 0 to the largest cost, if the costs are of one size: halfway down is half the cost."""
    svg = curve_svg([4.0, 2.0, 1.0])
    middle = (LEFT + RIGHT) / 2
    assert curves(svg) == [[(LEFT, TOP), (middle, (TOP + BOTTOM) / 2), (RIGHT, TOP + 0.75 * (BOTTOM - TOP))]]
    assert texts(svg) == ["0", "4", "1", "3", "epoch", "cost J (E3): 1"]
    assert "<title>The cost J goes from 4 to 1 in 3 epochs</title>" in svg


def test_a_logarithmic_scale() -> None:
    """From the smallest cost to the largest, if they span more than a factor of ten; of both curves."""
    svg = curve_svg([10.0, 1.0], [1.0, 0.1])
    middle = (TOP + BOTTOM) / 2
    assert curves(svg) == [[(LEFT, TOP), (RIGHT, middle)], [(LEFT, middle), (RIGHT, BOTTOM)]]
    assert texts(svg) == [
        "0.1", "10", "1", "2", "epoch (logarithmic scale of the cost)", "cost J (E3): 1", "validation: 0.1"
    ]  # fmt: skip
    assert "logarithmic" not in curve_svg([10.0, 1.0])
    assert "logarithmic" not in curve_svg([100.0, 0.0])
    assert curves(curve_svg([0.0, -1.0])) == [[(LEFT, TOP), (RIGHT, BOTTOM)]]


def test_odd_costs() -> None:
    """One epoch; nothing but zeros; what is not finite is left out; none at all is an error."""
    assert curves(curve_svg([2.0])) == [[(LEFT, TOP)]]
    assert curves(curve_svg([0.0, 0.0])) == [[(LEFT, BOTTOM), (RIGHT, BOTTOM)]]
    assert len(curves(curve_svg([1.0, math.nan, math.inf, 2.0]))[0]) == 2
    assert curves(curve_svg([math.nan])) == [[]]
    with pytest.raises(ValueError, match=r"^expected the cost of at least one epoch, got none$"):
        curve_svg([])


def test_long_histories() -> None:
    """At most some 600 points, the first and the last epoch among them."""
    points = curves(curve_svg([1.0 / (k + 1) for k in range(10_001)]))[0]
    assert len(points) <= 601
    assert (points[0][0], points[-1][0]) == (LEFT, RIGHT)
    assert len(curves(curve_svg([1.0] * 600))[0]) == 600


def test_history_shows_itself() -> None:
    """As its curve, and as a line: epochs, cost, validation; without an epoch there is no curve."""
    model = MLP(1, [1], seed=0)
    history = fit(model, [[1.0], [2.0]], [[1.0], [2.0]], epochs=3, validation=([[1.5]], [[1.5]]))
    assert history._repr_svg_() == curve_svg(history.cost, history.validation)
    assert re.fullmatch(r"History\(3 epochs, cost \S+ to \S+, validation \S+ to \S+\)", repr(history))
    assert repr(History([2.0, 0.12345], [], False)) == "History(2 epochs, cost 2 to 0.1235)"
    assert repr(History([], [], True)) == "History(0 epochs, interrupted)"
    assert History([], [], True)._repr_svg_() is None


def test_program_shows_itself() -> None:
    """As its text, in which < is no tag."""
    program = compile(lambda x: dot(x, x))
    program([[1.0, 2.0], [3.0, 4.0]])
    page = ElementTree.fromstring(program._repr_html_())
    assert page.tag == "pre"
    assert page.text == str(program)
    assert "<" in str(program)
