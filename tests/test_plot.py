"""Plots: the same bytes each time, labelled axes, the right scale, and what to do without matplotlib."""

import re
import sys
from xml.etree import ElementTree

import matplotlib
import pytest

from tinygrad_sq.plot import decision_svg, loss_svg

SVG = "{http://www.w3.org/2000/svg}"
FALLING = [2.0**-k for k in range(12)]
POINTS = [(0.0, 0.0), (2.0, 0.0), (0.0, 1.0), (2.0, 1.0)]


def texts(svg: str) -> list[str]:
    """What a reader sees, in the order of the file."""
    return ["".join(text.itertext()).strip() for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_same_bytes() -> None:
    """A plot is a function of its data: no date, no random identifier, nothing of matplotlib's settings."""
    first = loss_svg(FALLING, FALLING[::-1])
    assert "date" not in first
    with matplotlib.rc_context({"svg.hashsalt": None, "lines.linewidth": 9.0, "font.size": 30.0, "axes.grid": True}):
        assert loss_svg(FALLING, FALLING[::-1]) == first
        assert matplotlib.rcParams["font.size"] == 30.0
    assert loss_svg(FALLING, FALLING) != first


def test_axes_are_labelled() -> None:
    """Both axes say what they show and in which unit, and a legend tells two curves apart."""
    alone, both = texts(loss_svg(FALLING, title="A title")), texts(loss_svg(FALLING, FALLING))
    for shown in alone, both:
        assert "epoch (one pass over the training set)" in shown
        assert "cost J (no unit)" in shown
    assert "A title" in alone
    assert not [text for text in alone if " set (E3" in text]
    assert [text for text in both if " set (E3" in text] == ["training set (E3)", "test set (E3 without the λ term)"]


@pytest.mark.parametrize(
    ("cost", "ticks"),
    [
        (FALLING, ["0.001", "0.01", "0.1", "1"]),
        ([0.22, 0.02], ["0.02", "0.05", "0.1", "0.2"]),
        ([9.0, 1.0], ["0", "2", "4", "6", "8"]),
        ([3.0, 2.0, 1.0], ["0.0", "1.0", "2.0", "3.0"]),
        ([30.0, 2.0, 0.0], ["0", "10", "20", "30"]),
        ([3.0, -2.0, -30.0], ["−30", "−20", "−10", "0"]),
        ([0.5], ["0.0", "0.1", "0.5"]),
    ],
    ids=["wide", "above ten", "below ten", "narrow", "with zero", "negative", "one epoch"],
)
def test_scale_of_the_cost(cost: list[float], ticks: list[str]) -> None:
    """Logarithmic over more than a factor of ten, with plain numbers at the ticks; linear from zero otherwise."""
    assert set(ticks) <= set(texts(loss_svg(cost)))


def test_no_epochs() -> None:
    """There is no curve of no epochs."""
    with pytest.raises(ValueError, match="expected the cost of at least one epoch, got none"):
        loss_svg([])


def test_decision() -> None:
    """Each point is drawn with its class, on a plane that is coloured by the sign of the score."""
    calls = []

    def score(x: float, y: float) -> float:
        calls.append((x, y))
        return x - 1.0

    svg = decision_svg(score, POINTS, [False, True, False, True], "Halves", resolution=5)
    assert {"Halves", "class +1", "class −1", "x[0] (no unit)", "x[1] (no unit)"} <= set(texts(svg))
    assert len(calls) == 25
    assert min(calls) == pytest.approx((-0.3, -0.15))
    assert max(calls) == pytest.approx((2.3, 1.15))
    other = decision_svg(lambda x, y: 1.0 - x, POINTS, [False, True, False, True], "Halves", resolution=5)
    assert other != svg


@pytest.mark.parametrize("points", [[(1.0, 0.0), (1.0, 2.0)], [(0.0, 3.0), (2.0, 3.0)], [(1.0, 1.0)]])
def test_decision_of_few_points(points: list[tuple[float, float]]) -> None:
    """Of one class, in a line or alone: there is a plane around them."""
    svg = decision_svg(lambda x, y: x - 1.0, points, [True] * len(points), "Few", resolution=5)
    assert {"class +1", "class −1"} <= set(texts(svg))


def test_dark_theme() -> None:
    """Each colour of a plot is in the style of an element, for which there is a rule of the dark theme; and no mark in
    <defs>, where that does not reach, has a style of its own."""
    for svg in loss_svg(FALLING, FALLING), decision_svg(lambda x, y: x - 1.0, POINTS, [False, True] * 2, "#abc", 5):
        dark, body = re.findall(r"(?s)<style>@media \(prefers-color-scheme:dark\)\{(.*?)\}</style>(.*)", svg)[0]
        rules = set(re.findall(r'\[style\*="(.*?)"\]', dark))
        used = set(re.findall(r"[-\w]+: #[0-9a-f]+", body))
        assert used <= rules
        assert {"fill: #ffffff", "stroke: #1f2328", "fill: #1f2328"} <= used
        root = ElementTree.fromstring(svg)
        assert root.get("class") == "tinygrad-sq"
        marks = [path for defs in root.iter(f"{SVG}defs") for path in defs.iter(f"{SVG}path")]
        assert marks
        assert not [mark for mark in marks if mark.get("style")]


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says which command brings what is missing."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install matplotlib"):
        loss_svg(FALLING)
