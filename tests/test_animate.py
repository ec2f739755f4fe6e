"""The animation: each step's words and numbers against the graph, and what a real browser shows at each moment."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from expressions import Expression
from hypothesis import given, settings
from playwright.sync_api import Browser, Page
from processes import output_under_any_hash_seed
from strategies import expressions

from tinygrad_sq import MLP, Value, animate, dot, half_squared_error, leaky_relu, maximum, scope, to_svg, total, where
from tinygrad_sq.cli import main
from tinygrad_sq.graph import topological_order
from tinygrad_sq.study.animate import LARGEST, PAUSE, Step, animation, equation, script
from tinygrad_sq.study.picture import TooLargeError, picture, short, signed
from tinygrad_sq.study.theme import FILL
from tinygrad_sq.value import NOTHING, adjoints

SVG = "{http://www.w3.org/2000/svg}"


def net() -> Value:
    """J of one sample (E1) for a 1-2-1 net; backward has not run."""
    with scope("input"):
        x = [Value(0.8, "x[0]")]
    h = MLP(1, [2, 1], "tanh", "tanh", seed=3)(x)
    with scope("target"):
        y = Value(0.5, "y[0]")
    with scope("loss"):
        J: Value = half_squared_error(h, y)
    J.label = "J"
    return J


def steps_of(root: Value) -> list[Step]:
    root.backward()
    return script(root, picture(root))


def captions(svg: str) -> list[tuple[str, str, str]]:
    """(heading, names, numbers) of each step, in their order."""
    found: dict[str, list[str]] = {"heading": [], "names": [], "numbers": []}
    for e in ElementTree.fromstring(svg).iter(f"{SVG}text"):
        if e.get("class") in found:
            found[e.get("class", "")].append(e.text or "")
    return list(zip(*found.values()))


def number(text: str) -> float:
    return float(text.replace("−", "-").strip("()"))


# --- what happens, in which order ---


@given(expressions())
@settings(max_examples=60)
def test_forward_then_backward(expression: Expression) -> None:
    """The leaves; the operations in topological order; the root's gradient, 1; the operands of each value that
    gradient reaches, users before what they use; the end."""
    root = expression(*expression.values())
    order, gradients = topological_order(root), adjoints(root)
    steps = steps_of(root)
    operations = [i for i, node in enumerate(order) if node.op]
    forward, seed, backward = (
        steps[1 : len(operations) + 1],
        steps[len(operations) + 1],
        steps[len(operations) + 2 : -1],
    )
    assert [step.box for step in forward] == operations
    assert (seed.box, seed.total) == (len(order) - 1, 1.0)
    arrows = picture(root).arrows
    flows = [(arrows[step.arrow].head, arrows[step.arrow].operand) for step in backward if step.arrow is not None]
    assert flows == [
        (i, k)
        for i, node in reversed(list(enumerate(order)))
        for k, local in enumerate(node.partials)
        if local is not None and gradients[node] is not NOTHING
    ]
    assert [step.box for step in backward] == [order.index(order[head].args[k]) for head, k in flows]


@given(expressions())
@settings(max_examples=60)
def test_each_step_adds_upstream_times_local(expression: Expression) -> None:
    """total = total before + upstream × local, from the first contribution to the last, which makes ∂root/∂v to the
    bit; "contribution 2 of 3" counts them."""
    root = expression(*expression.values())
    order, gradients = topological_order(root), adjoints(root)
    steps = steps_of(root)
    arrows = picture(root).arrows
    sums: dict[int, list[float]] = {}
    texts: dict[int, list[str]] = {}
    for step in steps:
        if step.arrow is None or step.box is None:
            continue
        arrow = arrows[step.arrow]
        upstream, local = gradients[order[arrow.head]], order[arrow.head].partials[arrow.operand]
        assert local is not None
        before = sums.setdefault(step.box, [NOTHING])
        before.append(before[-1] + upstream * local)
        assert repr(step.total) == repr(before[-1])
        shown = [number(x) for x in re.findall(r"upstream (\S+) × local (\S+) = ([^\s;]+)", step.numbers)[0]]
        assert repr(shown) == repr([float(f"{x + 0.0:.4g}") for x in (upstream, local, upstream * local)])
        if added := re.search(r"sum (\S+) \+ (\S+) = (\S+)", step.numbers):
            shown = [number(x) for x in added.groups()]
            assert repr(shown) == repr([float(f"{x + 0.0:.4g}") for x in (before[-2], upstream * local, before[-1])])
        texts.setdefault(step.box, []).append(re.findall(r"contribution (\d+ of \d+)", step.heading)[0])
    for i, node in enumerate(order):
        if i in sums:
            assert repr(sums[i][-1]) == repr(gradients[node])
            n = len(sums[i]) - 1
            assert texts[i] == [f"{k} of {n}" for k in range(1, n + 1)]
        else:
            assert gradients[node] is NOTHING or node is root


def test_words() -> None:
    """Each operation in names and in numbers; each product of the chain rule with the sum that it adds to."""
    x, w, b = Value(2.0, "x"), Value(-3.0, "w"), Value(1.0, "b")
    z = w * x + b
    z.label = "z"
    y = z * x
    y.label = "y"
    assert [step[:3] for step in steps_of(y)] == [
        ("forward", "the leaves are given", "w = −3, x = 2, b = 1"),
        ("forward 1 of 3", "w * x", "= (−3) * 2 = −6"),
        ("forward 2 of 3", "z = (w * x) + b", "= (−6) + 1 = −5"),
        ("forward 3 of 3", "y = z * x", "= (−5) * 2 = −10"),
        ("backward", "∂y/∂y = 1", "it begins at y, and goes back along every arrow"),
        (
            "backward 1 of 6: contribution 1 of 1 to ∂y/∂z",
            "∂y/∂z += ∂y/∂y × ∂y/∂z",
            "upstream 1 × local 2 = 2",
        ),
        (
            "backward 2 of 6: contribution 1 of 2 to ∂y/∂x",
            "∂y/∂x += ∂y/∂y × ∂y/∂x",
            "upstream 1 × local (−5) = −5; sum 0 + (−5) = −5",
        ),
        (
            "backward 3 of 6: contribution 1 of 1 to ∂y/∂(w * x)",
            "∂y/∂(w * x) += ∂y/∂z × ∂z/∂(w * x)",
            "upstream 2 × local 1 = 2",
        ),
        ("backward 4 of 6: contribution 1 of 1 to ∂y/∂b", "∂y/∂b += ∂y/∂z × ∂z/∂b", "upstream 2 × local 1 = 2"),
        (
            "backward 5 of 6: contribution 1 of 1 to ∂y/∂w",
            "∂y/∂w += ∂y/∂(w * x) × ∂(w * x)/∂w",
            "upstream 2 × local 2 = 4",
        ),
        (
            "backward 6 of 6: contribution 2 of 2 to ∂y/∂x",
            "∂y/∂x += ∂y/∂(w * x) × ∂(w * x)/∂x",
            "upstream 2 × local (−3) = −6; sum −5 + (−6) = −11",
        ),
        ("done", "∂y/∂v for each of 6 values v, in one pass back", ""),
    ]


@pytest.mark.parametrize(
    ("made", "names", "numbers"),
    [
        (dot([Value(2.0, "w")], [Value(-3.0, "x")], Value(1.0, "b")), "w·x + b", "2·(−3) + 1"),
        (dot([2.0, 0.5], [Value(-3.0, "x"), Value(1.5, "y")]), "2·x + 0.5·y", "2·(−3) + 0.5·1.5"),
        (total([Value(2.0, "p"), Value(-1.0, "q")]), "p + q", "2 + −1"),
        (leaky_relu(Value(-1.0, "z")), "leaky_relu(z, 0.01)", "leaky_relu(−1, 0.01)"),
        (maximum(Value(2.0, "p"), Value(-1.0, "q"), 0.5), "maximum(p, q, 0.5)", "maximum(2, −1, 0.5)"),
        (Value(-1.0, "z") ** 2, "z**2", "(−1)**2"),
        (Value(4.0, "z") - Value(-1.0, "y"), "z - y", "4 - (−1)"),
    ],
    ids=str,
)
def test_equations(made: Value, names: str, numbers: str) -> None:
    """A row's formula on names and on numbers; a sum of products is written out."""
    assert (equation(made, lambda v: v.label), equation(made, lambda v: short(v.data))) == (names, numbers)


def test_what_no_gradient_reaches() -> None:
    """The branch that `where` did not take has no step, and gets the gradient 0 in the end."""
    a, b = Value(1.0, "a"), Value(2.0, "b")
    y = where(a, a, b * 3.0)
    steps = steps_of(y)
    assert [step.heading for step in steps if step.arrow is not None] == [
        "backward 1 of 1: contribution 1 of 1 to ∂y/∂a"
    ]
    assert "∇ 0" in [text for text, style in still_texts(animation(y)) if style == "gradient"]


def test_a_leaf() -> None:
    """Of a leaf alone there is its gradient to see: 1."""
    assert [text for text, style in still_texts(animation(Value(3.0, "v"))) if style == "gradient"] == ["∇ +1"]


# --- the file ---


def still_texts(svg: str) -> list[tuple[str, str]]:
    """(text, class) of what is seen where nothing moves."""
    found = []

    def walk(e: ElementTree.Element) -> None:
        if "past" in (e.get("class") or "").split():
            return
        if e.tag == f"{SVG}text":
            title = e.findtext(f"{SVG}title", "")
            found.append(("".join(e.itertext()).removeprefix(title), e.get("class", "")))
        for child in e:
            if child.tag != f"{SVG}title":
                walk(child)

    walk(ElementTree.fromstring(svg))
    return found


def test_it_ends_as_the_still_picture() -> None:
    """Without animation it is the picture of `to_svg` after backward, with the last caption."""
    J = net()
    moving = still_texts(animation(J))
    J.backward()
    assert sorted(moving) == sorted(
        [
            *still_texts(to_svg(J)),
            ("done", "heading"),
            ("∂J/∂v for each of 18 values v, in one pass back", "names"),
            ("", "numbers"),
        ]
    )


def test_arrows_are_whole_before_their_labels_come() -> None:
    """One line from the operand's box to the head; the label, over it, has a rim of the page's colour."""
    J = net()
    svg = animation(J)
    lines = re.findall(r'<g class="arrow [^"]*"><title>[^<]*</title><path d="([^"]*)"/>', svg)
    arrows = picture(J).arrows
    assert len(lines) >= len(arrows)
    assert all(line.count("M") == 1 for line in lines)
    assert svg.rindex('<g class="arrow') < svg.index('<text class="local"')
    assert re.search(r"\.local\{[^}]*paint-order:stroke;stroke-width:7px", svg)
    assert re.search(rf"\.local\{{[^}}]*stroke:{FILL['page'][0]}", svg)


def test_gradients_of_this_pass_alone() -> None:
    """It works with and without backward, whatever has gathered in `grad`, and changes none of it."""
    J = net()
    before = animation(J)
    J.backward()
    J.backward()
    grads = [node.grad for node in topological_order(J)]
    assert animation(J) == before
    assert [node.grad for node in topological_order(J)] == grads


def test_a_file_of_its_own(tmp_path: Path) -> None:
    """No script, no link, nothing to fetch, nothing that answers to an event; title and description in words."""
    animate(net(), tmp_path / "backward.svg")
    svg = (tmp_path / "backward.svg").read_text()
    root = ElementTree.fromstring(svg)
    allowed = {"svg", "title", "desc", "style", "rect", "g", "path", "polygon", "text", "tspan"}
    assert {e.tag.removeprefix(SVG) for e in root.iter()} == allowed
    assert not re.findall(r"href|url\(|@import|\bon\w+=|https?:(?!//www\.w3\.org/2000/svg\")", svg)
    assert root.findtext(f"{SVG}title") == "Forward and backward pass of J"
    words = root.findtext(f"{SVG}desc") or ""
    assert words.startswith("An animation of 30 steps, again and again: 9 operations forward, then 18 products of")
    assert len(svg) < 100_000


def test_same_bytes_in_every_process() -> None:
    """The graph alone decides them, whatever PYTHONHASHSEED is."""
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import hashlib, test_animate as t;"
        "print(hashlib.sha256(t.animation(t.net()).encode()).hexdigest())"
    )
    assert len(output_under_any_hash_seed(program)) == 65


@pytest.mark.parametrize("label", ["</text><script>alert(1)</script>", "权重\n矩阵", "\x00\x1b\ud800]]>", "x" * 200])
def test_labels_are_text(label: str) -> None:
    """Whatever a label is, captions show it as text, as much of it as there is room for."""
    x = Value(1.0, label)
    y = x * 2.0
    y.label = label
    assert len(captions(animation(y))) == 5


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: animation(3.0), TypeError, r"expected a Value to animate, got float 3\.0"),  # type: ignore[arg-type]
        (lambda: animation(net(), seconds=0.0), ValueError, r"seconds, .* above 0, got 0\.0"),
        (lambda: animation(net(), seconds=math.nan), ValueError, r"above 0, got nan"),
        (lambda: animation(net(), rankdir="RL"), ValueError, r"rankdir is 'LR' .*, got 'RL'"),
        (lambda: animation(chain(LARGEST // 2 + 1)), TooLargeError, r"at most 250 steps.* would have 252: .*to_svg"),
        (lambda: animation(chain(200_000)), TooLargeError, r"would have 400,000"),
        (lambda: animation(changed()), ValueError, r"operands were changed after the forward pass"),
        (
            lambda: animate(net(), "a.gif"),
            ValueError,
            r"a name that ends in \.svg, which is what it holds, got 'a\.gif'",
        ),
        (lambda: animate(net(), "/no/such/folder/a.svg"), OSError, "No such file"),
    ],
)
def test_errors(make: Any, error: type[Exception], message: str) -> None:
    """What is wrong, what is expected, and what else to do."""
    with pytest.raises(error, match=message):
        make()


def changed() -> Value:
    x = Value(1.0, "x")
    y = x * x
    x.data = 2.0
    return y


def chain(length: int) -> Value:
    v = Value(1.0)
    for _ in range(length):
        v = v + 1.0
    return v


# --- in a browser ---


browser_group = pytest.mark.xdist_group("browser")


AT = """time => {
  document.getAnimations().forEach(a => { a.pause(); a.currentTime = 1000 * time })
  const seen = e => !e.closest || e.tagName == 'svg' ? true
    : getComputedStyle(e).opacity == '1' && seen(e.parentElement)
  return [...document.querySelectorAll('text')].filter(seen).map(e => [e.getAttribute('class'), e.textContent])
}"""


def texts_at(page: Page, time: float) -> dict[str, list[str]]:
    """What is seen at that time after the beginning, by class."""
    found: dict[str, list[str]] = {}
    for style, text in page.evaluate(AT, time):
        found.setdefault(style or "data", []).append(text)
    return found


@browser_group
def test_each_step_at_its_time(browser: Browser) -> None:
    """In the middle of step k its caption is seen, alone; the values computed by then; the sums made by then."""
    J = net()
    seconds = 1.0
    svg = animation(J, seconds=seconds)
    steps = steps_of(J)
    order = topological_order(J)
    data = [f"{node.label} = {short(node.data)}" if node.op and node.label else short(node.data) for node in order]
    page = browser.new_page()
    page.set_content(svg)
    for k, step in enumerate(steps):
        seen = texts_at(page, (k + 0.5) * seconds)
        (caption,) = zip(seen["heading"], seen["names"], seen["numbers"])
        assert caption == step[:3] or k == 0  # the leaves are cut off where there is no more room
        assert all(text.startswith(part.removesuffix("…")) for text, part in zip(step[:3], caption))
        done = steps[: k + 1]
        computed = {i for i, node in enumerate(order) if not node.op} | {s.box for s in done if s.total is None}
        assert seen["data"] == [data[i] for i in range(len(order)) if i in computed]
        sums = {s.box: s.total for s in done if s.total is not None}
        assert seen.get("gradient", []) == [f"∇ {signed(sums[i])}" for i in range(len(order)) if i in sums]
        arrows = [arrow for arrow in picture(J).arrows if arrow.head in computed]
        assert len(seen.get("local", [])) == len(arrows)
    end = (len(steps) - 1) * seconds + PAUSE
    assert texts_at(page, end - 0.1)["heading"] == ["done"]
    assert texts_at(page, end + 0.5 * seconds)["heading"] == ["forward"]
    page.close()


@browser_group
def test_dashes_run_forward_then_back(browser: Browser) -> None:
    """Along the arrow as its operand is used, against it as gradient flows."""
    page = browser.new_page()
    page.set_content(animation(-Value(1.0, "x"), seconds=1.0))

    def offset(time: float) -> float:
        texts_at(page, time)
        found: list[float] = page.evaluate(
            "[...document.querySelectorAll('.pulse')].filter(e => getComputedStyle(e).opacity == '1')"
            ".map(e => parseFloat(getComputedStyle(e).strokeDashoffset))"
        )
        return found[0] if found else math.nan

    assert offset(1.8) < offset(1.5) < 0.0
    assert offset(3.8) > offset(3.5) > 0.0
    assert math.isnan(offset(0.5))
    page.close()


@browser_group
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_less_motion(browser: Browser, scheme: Any) -> None:
    """Who asks for less motion sees the end, and nothing moves."""
    page = browser.new_page(reduced_motion="reduce", color_scheme=scheme)
    page.set_content(animation(net()))
    assert page.evaluate("document.getAnimations().length") == 0
    assert texts_at(page, 0.0)["heading"] == ["done"]
    page.close()


@browser_group
def test_as_an_image(browser: Browser, tmp_path: Path) -> None:
    """It is a valid image, plays there, and asks for nothing."""
    animate(net(), tmp_path / "a b 权.svg", seconds=0.2)
    (tmp_path / "page.html").write_text('<meta charset="utf-8"><img src="a b 权.svg" width="800">', encoding="utf-8")
    page = browser.new_page()
    problems: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((tmp_path / "page.html").as_uri())
    assert page.evaluate("document.images[0].naturalWidth") > 0
    first = page.screenshot()
    page.wait_for_timeout(700)
    assert page.screenshot() != first
    page.set_content(animation(net()))
    assert problems == []
    assert len(requests) == 2
    page.close()


def test_text_has_room(browser: Browser) -> None:
    """Captions and the legend stay within the picture, what a box says within the box, at every step."""
    page = browser.new_page()
    page.set_content(animation(net()))
    outside = page.evaluate(
        """() => {
          const out = (e, b) => { const a = e.getBBox(); return e.textContent && (
            a.x < b.x || a.y < b.y || a.x + a.width > b.x + b.width || a.y + a.height > b.y + b.height) }
          const all = document.querySelector('svg').viewBox.baseVal
          const words = [...document.querySelectorAll('text')].filter(e => !e.closest('.camera') && out(e, all))
          const boxes = [...document.querySelectorAll('.value')].flatMap(value => {
            const box = value.querySelector('.outline').getBBox()
            return [...value.querySelectorAll('text')].filter(e => out(e, box)) })
          return [...words, ...boxes].map(e => e.textContent) }"""
    )
    assert outside == []
    assert page.locator(".value text").count() > 40
    page.close()


def seen_boxes(page: Page, time: float) -> list[str]:
    """The names of the boxes that are wholly within the window then."""
    texts_at(page, time)
    found: list[str] = page.evaluate(
        """() => { const [svg, inner] = document.querySelectorAll('svg'), place = svg.getScreenCTM()
          const corner = (x, y) => new DOMPoint(x, y).matrixTransform(place)
          const a = corner(0, 0), z = corner(inner.width.baseVal.value, inner.height.baseVal.value)
          return [...document.querySelectorAll('.value')].filter(e => {
            const b = e.querySelector('.outline').getBoundingClientRect()
            return b.left >= a.x && b.right <= z.x && b.top >= a.y && b.bottom <= z.y
          }).map(e => e.querySelector('title').textContent.split('\\n')[0].split(' = ')[0]) }"""
    )
    return found


@pytest.mark.parametrize("rankdir", ["LR", "TB"])
def test_camera(browser: Browser, rankdir: str) -> None:
    """A graph larger than the window: all of it in the beginning and in the end; at each step between, the boxes that
    the step is about."""
    J = net()
    steps = steps_of(J)
    pic = picture(J)
    names = [node.label or repr(node.data) for node in topological_order(J)]
    page = browser.new_page()
    page.set_content(animation(J, seconds=1.0, rankdir=rankdir))
    for k, step in enumerate(steps):
        seen = seen_boxes(page, k + 0.9)
        if step.box is None:
            assert seen == names
        else:
            arrows = [a for n, a in enumerate(pic.arrows) if (n == step.arrow if step.total else a.head == step.box)]
            about = {step.box, *(end for arrow in arrows for end in (arrow.tail, arrow.head))}
            assert {names[i] for i in about} <= set(seen)
    assert len(seen_boxes(page, 5.9)) < len(names)
    page.close()


def test_a_long_arrow(browser: Browser) -> None:
    """Where the boxes of a step are farther apart than the window is wide, the camera steps back."""
    x = Value(0.5, "x")
    v = x
    for _ in range(30):
        v = -v
    y = v * x
    y.label = "y"
    page = browser.new_page()
    page.set_content(animation(y, seconds=1.0))
    assert {"x", "y"} <= set(seen_boxes(page, 31.9))
    assert "x" not in seen_boxes(page, 30.9)
    page.close()


# --- the command ---


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`tinygrad-sq animate` writes the file and prints the value and the derivatives, as `draw` does."""
    out = tmp_path / "out.svg"
    assert main(["animate", "w*x", "w=0.5", "x=3", "--seconds", "2", "-o", str(out)]) == 0
    assert capsys.readouterr().out == f"w*x = 1.5\n∂/∂w = 3.0\n∂/∂x = 0.5\nwrote {out}\n"
    assert ("forward 1 of 1", "y = w * x", "= 0.5 * 3 = 1.5") in captions(out.read_text())
    assert f"animation:{5 * 2 + PAUSE:g}s" in out.read_text()


def test_command_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and exit code 2."""
    assert main(["animate", "+".join(["x"] * 200), "x=1", "-o", str(tmp_path / "a.svg")]) == 2
    assert "at most 250 steps" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["animate", "x", "x=1", "--seconds", "0"])
