"""The explorer page in a real browser, offline: what it shows is what Python computes, whatever is done to it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page
from processes import output_under_any_hash_seed

from tinygrad_sq import (
    MLP,
    SGD,
    Value,
    cost,
    cross_entropy,
    custom_op,
    dot,
    explore,
    fit,
    half_squared_error,
    maximum,
    op,
    relu,
    tanh,
    where,
)
from tinygrad_sq.cli import main
from tinygrad_sq.graph import topological_order
from tinygrad_sq.job import sample_graph
from tinygrad_sq.study.delta_view import deltas_table
from tinygrad_sq.study.picture import picture, short, signed
from tinygrad_sq.study.theme import FILL, KINDS, mix

pytestmark = pytest.mark.xdist_group("browser")  # one worker has the browser, and not each its own

Open = Callable[..., Page]


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A window without a network."""
    context = browser.new_context(
        viewport={"width": 1300, "height": 800}, offline=True, reduced_motion="reduce", color_scheme="light"
    )
    context.set_default_timeout(8000)
    yield context
    context.close()


@pytest.fixture
def open_page(context: BrowserContext, tmp_path: Path) -> Iterator[Open]:
    """Opens the page of a graph. At the end there must have been no request but for the file, and no word of error."""
    requests: list[str] = []
    words: list[str] = []
    opened: list[str] = []

    def opener(root: Value | Path, fragment: str = "", path: Path | None = None, **options: Any) -> Page:
        """Of a graph, or of a page that is there."""
        if isinstance(root, Path):
            path = root
        else:
            path = path or tmp_path / "page.html"
            explore(root, path, **options)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: words.append(message.text))
        page.on("pageerror", lambda error: words.append(str(error)))
        opened.append(path.as_uri())
        page.goto(path.as_uri() + fragment)
        page.wait_for_selector("body[data-ready]")
        return page

    yield opener
    assert not words
    assert requests == opened


def formula() -> Value:
    """tanh(w x + b) x, in which x is used twice."""
    w, x, b = Value(0.5, "w"), Value(1.5, "x"), Value(-0.2, "b")
    y = tanh(w * x + b) * x
    y.backward()
    return y


def polynomial() -> Value:
    """Sums and products alone, with constants and both edges of a + a and a * a."""
    a, b = Value(1.7, "a"), Value(-0.3, "b")
    y = (a + a) * b - a * a * 3.0 + dot([a, b], [b, 0.7], a) - b
    y.backward()
    return y


def net(sizes: tuple[int, ...] = (2, 3, 1), activation: str = "tanh") -> tuple[MLP, Value]:
    """A net, and J of one sample."""
    model = MLP(sizes[0], sizes[1:], activation, "tanh", seed=3, init="glorot")
    return model, sample_graph(model, [0.8, -0.5, 0.3][: sizes[0]], [0.5, -0.4][: sizes[-1]])


GRAPHS: dict[str, Callable[[], Value]] = {
    "formula": formula,
    "polynomial": polynomial,
    "net": lambda: net()[1],
    "relu": lambda: net((2, 3, 2), "relu")[1],
}


all_graphs = pytest.mark.parametrize("root", [pytest.param(make(), id=name) for name, make in GRAPHS.items()])


def until(page: Page, condition: str) -> None:
    """Wait for a condition. The page's policy forbids Playwright to wait inside it."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never came true: {condition}")


def text_of(page: Page, selector: str) -> str:
    return (page.locator(selector).text_content() or "").strip()


# --- numbers ---


def backward_steps(root: Value) -> list[tuple[int, int, float, float, float, float]]:
    """The chain rule, edge by edge: (user, arg, upstream, local, before, after)."""
    order = topological_order(root)
    index = {node: i for i, node in enumerate(order)}
    adjoint = [0.0] * len(order)
    adjoint[-1] = 1.0
    steps = []
    for node in reversed(order):
        for arg, local in zip(node.args, node.partials):
            if isinstance(arg, Value) and local is not None:
                i, upstream = index[arg], adjoint[index[node]]
                before = adjoint[i]
                adjoint[i] += upstream * local
                steps.append((index[node], i, upstream, local, before, adjoint[i]))
    return steps


@all_graphs
def test_every_number_of_the_page_is_pythons(root: Value, open_page: Open) -> None:
    """data, ∇ and local derivatives are Python's: exactly where there are sums and products alone, else to 4 ulp, of
    the largest of them where contributions cancel."""
    page = open_page(root)
    order = topological_order(root)
    exact = all(node.op is None or node.op.name in ("add", "sub", "mul", "dot") for node in order)
    rel = 0.0 if exact else 4 * 2**-52
    for name in ("data", "grad"):
        here = page.evaluate(f"[...tape.{name}]")
        there = [getattr(node, name) for node in order]
        assert here == pytest.approx(there, rel=rel, abs=rel * max(map(abs, there)))
    shown = page.evaluate("tape.args.map((_, i) => [viewOf(i).data.data, viewOf(i).grad.data])")
    assert shown == [[short(node.data), f"∇ {signed(node.grad)}"] for node in order]
    locals_ = page.evaluate(
        "tape.args.map((args, i) => args.map((_, k) => links.find(l => l.user === i && l.k === k)?.text.data ?? null))"
    )
    for node, texts in zip(order, locals_):
        for arg, local, text in zip(node.args, node.partials, texts):
            if isinstance(arg, Value) and text:
                assert text == f"×{short(local or 0.0, 3)}"


def test_figures_are_written_as_python_writes_them(open_page: Open) -> None:
    """The page's short(x, digits) is Python's, for numbers of all sizes."""
    page = open_page(formula())
    xs = [s * m * 10.0**e for s in (1.0, -1.0) for m in (1.0, 1.2345678, 9.99996) for e in range(-9, 9)]
    xs += [0.0, -0.0, 5e-324, 1.7e308, math.inf, -math.inf, math.nan]
    for digits in (2, 3, 4, 6):
        names = [str(x).replace("inf", "Infinity").replace("nan", "NaN") for x in xs]
        shown = page.evaluate(f"[{', '.join(names)}].map(x => short(x, {digits}))")
        assert shown == [short(x, digits) for x in xs]


@all_graphs
def test_each_step_by_keyboard(root: Value, open_page: Open) -> None:
    """→ goes through each operation, the seed and each edge, and tells upstream × local, old + contribution = new."""
    page = open_page(root)
    order = topological_order(root)
    operations = [i for i, node in enumerate(order) if node.op]
    page.keyboard.press("Home")
    assert text_of(page, "#where") == f"forward 0 of {len(operations)}"
    assert page.locator(".value.wait").count() == len(operations)
    for k, i in enumerate(operations, 1):
        page.keyboard.press("ArrowRight")
        assert text_of(page, "#where") == f"forward {k} of {len(operations)}"
        assert short(order[i].data, 6) in text_of(page, "#now")
    assert page.locator(".value.wait").count() == 0
    steps = backward_steps(root)
    page.keyboard.press("ArrowRight")
    assert text_of(page, "#now h2") == "Backward: the seed"
    seen = dict.fromkeys(range(len(order)), 0)
    for k, (_, arg, upstream, local, before, after) in enumerate(steps, 1):
        page.keyboard.press("ArrowRight")
        seen[arg] += 1
        assert text_of(page, "#where") == f"backward {k} of {len(steps)}"
        contribution = upstream * local
        told = [short(x, 6) for x in (upstream, local, contribution, before, contribution, after)]
        lines = page.locator("#now p").all_text_contents()
        assert re.findall(r"[−\d.]+(?:e[-+−]\d+)?|inf|nan", " ".join(lines[2:4])) == told
        of = sum(step[1] == arg for step in steps)
        assert f"contribution {seen[arg]} of {of} " in lines[4]
        assert ("complete" in lines[4]) == (seen[arg] == of)
        assert page.evaluate(f"viewOf({arg}).grad.data") == f"∇ {signed(after)}"
    page.keyboard.press("ArrowRight")
    assert text_of(page, "#where") == f"backward {len(steps)} of {len(steps)}"
    page.keyboard.press("ArrowLeft")
    assert text_of(page, "#where") == f"backward {len(steps) - 1} of {len(steps)}"


@all_graphs
def test_contributions_add_up_to_the_gradient(root: Value, open_page: Open) -> None:
    """∂J/∂v = Σ contributions to v, for every v but the root."""
    page = open_page(root)
    sums = page.evaluate(
        "(() => { const sums = boxes.map(() => 0); tape.edges.forEach(({arg}, e) => sums[arg] += tape.contribution[e]);"
        " return sums })()"
    )
    assert sums[:-1] == pytest.approx([node.grad for node in topological_order(root)][:-1], rel=1e-13)


@all_graphs
def test_colours_are_those_of_the_picture(root: Value, open_page: Open) -> None:
    """∇ and arrows have the sign and the step of colour that a drawn picture gives them."""
    page = open_page(root)
    pic = picture(root)
    chips = page.evaluate("tape.args.map((_, i) => viewOf(i).chip.getAttribute('class'))")
    assert chips == [f"chip {box.tone.name}" for box in pic.boxes]
    drawn = page.evaluate("links.map(({g}) => g.getAttribute('class'))")
    assert drawn == [f"arrow {arrow.tone.sign} w{arrow.tone.step}" for arrow in pic.arrows]


def test_play_runs_to_the_end(open_page: Open) -> None:
    """Space plays all steps, from the first; space again pauses."""
    page = open_page(formula())
    page.clock.install()
    page.keyboard.press("Space")
    assert text_of(page, "#play") == "pause"
    page.clock.run_for(1400)
    assert text_of(page, "#where") == "forward 2 of 4"
    page.keyboard.press("Space")
    page.clock.run_for(5000)
    assert text_of(page, "#where") == "forward 2 of 4"
    page.keyboard.press("Space")
    page.clock.run_for(20000)
    assert text_of(page, "#where").startswith("backward 7 of")
    assert text_of(page, "#play") == "play"


# --- change ---


@all_graphs
def test_the_sliders_finite_difference_is_the_gradient(root: Value, open_page: Open) -> None:
    """(J(x+h) − J(x−h)) / 2h, beside each slider, is ∂J/∂x there, wherever the slider is."""
    page = open_page(root)
    for fold in page.locator("details").all():
        if fold.get_attribute("open") is None:
            fold.locator("summary").click()
    for slider in page.locator(".leaf input[type=range]").all():
        slider.evaluate("slider => { slider.value = +slider.max / 3; slider.dispatchEvent(new Event('input')) }")
        row = slider.locator("..")
        row.scroll_into_view_if_needed()
        until(page, f"seenRows.has({row.get_attribute('data-leaf')})")
        shown = page.evaluate("[...seenRows].map(i => rows.get(i).output.value)")
        assert shown
        for text in shown:
            gradient, difference = (float(x.replace("−", "-")) for x in re.findall(r"[−\d.]+(?:e[-+−]\d+)?", text))
            assert difference == pytest.approx(gradient, rel=1e-4, abs=1e-8)


def test_a_change_is_computed_anew(open_page: Open) -> None:
    """After a number is typed, everything is what Python computes with that number."""
    page = open_page(formula())
    page.get_by_label("x, as a number").fill("-0.75")
    page.get_by_label("x, as a number").press("Tab")
    w, x, b = Value(0.5, "w"), Value(-0.75, "x"), Value(-0.2, "b")
    y = tanh(w * x + b) * x
    y.backward()
    order = topological_order(y)
    assert page.evaluate("[...tape.data]") == pytest.approx([node.data for node in order], rel=1e-13)
    assert page.evaluate("[...tape.grad]") == pytest.approx([node.grad for node in order], rel=1e-13)
    page.click("#reset")
    assert page.evaluate("tape.data[tape.root]") == pytest.approx(formula().data, rel=1e-13)


@pytest.mark.parametrize("text", ["", "1e999"])
def test_what_is_no_number_changes_nothing(text: str, open_page: Open) -> None:
    """An empty field, or a number beyond the floats, leaves everything as it was, and shows again what counts."""
    page = open_page(formula())
    page.get_by_label("x, as a number").fill(text)
    page.get_by_label("x, as a number").press("Enter")
    assert page.evaluate("tape.data[tape.root]") == formula().data
    assert page.get_by_label("x, as a number").input_value() == "1.5"


def test_leaves_stand_in_the_order_of_their_use(open_page: Open) -> None:
    """Inputs, parameters, targets; parameters as the model has them: layer by layer, neuron by neuron, W before b."""
    model, J = net((2, 3, 2))
    names = ["x[0]", "x[1]", *[p.label for p in model.parameters()], "y[0]", "y[1]"]
    assert open_page(J).locator(".leaf label").all_text_contents() == names


def test_what_is_not_yet_known_is_not_told(open_page: Open) -> None:
    """Box, accessible name, tooltips and side panel say the same at each step, the focused box while it stays so."""
    x = Value(0.5, "x")
    y = tanh(x)
    y.label = "y"
    y.backward()
    page = open_page(y, "#step=0")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")
    focused = "document.activeElement.getAttribute('aria-label')"
    arrow, gradient = "links[0].g.querySelector('title').textContent", f"{x.grad:.6g}"
    told = []
    for _ in range(5):
        page.evaluate("links[0].g.dispatchEvent(new Event('pointerenter'))")
        panel = page.evaluate("showLeaf(0), rows.get(0).output.value").split(",")[0]
        told.append([page.evaluate("viewOf(1).data.data"), page.evaluate(focused), panel, page.evaluate(arrow)])
        page.keyboard.press("ArrowRight")
    slope, value = short(x.grad), y.data
    product = f"∂y / ∂x: upstream 1 × local {slope} = {slope}"
    assert told == [
        ["?", "y = not yet, ∇ not yet", "gradient not yet", "∂y / ∂x: not yet"],
        [short(value), f"y = {value!r}, ∇ not yet", "gradient not yet", f"∂y / ∂x: local {slope}"],
        [short(value), f"y = {value!r}, ∇ 1", "gradient not yet", f"∂y / ∂x: local {slope}"],
        [short(value), f"y = {value!r}, ∇ 1", f"gradient {gradient}", product],
        [short(value), f"y = {value!r}, ∇ 1", f"gradient {gradient}", product],
    ]


def test_one_operation_is_singular(open_page: Open) -> None:
    """What there is once is counted without an s."""
    y = tanh(Value(0.5, "x"))
    y.backward()
    assert "1 operation gave it; 1 edge led back" in text_of(open_page(y), "#now")


def test_another_branch_is_other_edges(open_page: Open) -> None:
    """Where a change takes the other branch of `where`, the steps are those of that branch."""
    x, c = Value(2.0, "x"), Value(1.0, "c")
    y = where(c, x * 3.0, x * x * x)
    y.backward()
    page = open_page(y)
    before = page.evaluate("tape.edges.length")
    page.get_by_label("c, as a number").fill("0")
    page.get_by_label("c, as a number").press("Tab")
    assert page.evaluate("tape.edges.length") != before
    assert page.evaluate("[...tape.grad]")[topological_order(y).index(x)] == 12.0
    page.keyboard.press("End")
    page.get_by_label("c, as a number").fill("1")
    page.get_by_label("c, as a number").press("Tab")
    assert text_of(page, "#where") == f"backward {before} of {before}"


def test_a_row_that_javascript_cannot_have_is_shown_and_not_changed(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A custom op without native code keeps its recorded numbers; sliders are off, and the page says why."""
    monkeypatch.setattr(op, "rows", dict(op.rows))
    cube = custom_op("cube_of_the_explorer", lambda x: x**3, (lambda y, x: 3.0 * x * x,))
    x = Value(2.0, "x")
    y = cube(x)
    y.backward()
    page = open_page(y)
    assert page.evaluate("[...tape.data]") == [2.0, 8.0]
    assert page.evaluate("[...tape.grad]") == [12.0, 1.0]
    assert page.locator("aside input:enabled, aside button:enabled").count() == 0
    assert "cube_of_the_explorer" in text_of(page, "#change")


# --- δ ---


def numbers(page: Page, selector: str) -> list[list[float]]:
    """The cells of a table's rows but the first, as numbers."""
    rows = page.locator(f"{selector} tbody tr").all()
    return [[float(cell.replace("−", "-")) for cell in row.locator("td").all_text_contents()[1:]] for row in rows]


@pytest.mark.parametrize("sizes", [(2, 3, 1), (3, 2, 4, 2), (1, 1, 1)])
def test_delta_by_engine_and_by_closed_form(sizes: tuple[int, ...], open_page: Open) -> None:
    """E5, E6 and E7 agree with the engine on the page, and both with Python's."""
    model, J = net(sizes)
    page = open_page(J)
    x = [0.8, -0.5, 0.3][: sizes[0]]
    y = [0.5, -0.4][: sizes[-1]]
    rows = dict(zip(page.locator("#deltas tbody td:first-child").all_text_contents(), numbers(page, "#deltas")))
    for unit in deltas_table(model, x, y):
        f_prime, engine, closed, difference = rows.pop(unit.label)
        assert f_prime == pytest.approx(unit.f_prime, rel=1e-3)
        assert engine == pytest.approx(unit.engine, rel=1e-5)
        assert closed == pytest.approx(unit.closed_form, rel=1e-5)
        assert difference < 1e-14
    assert not rows
    for l, i, neuron in [(l, i, n) for l, layer in enumerate(model.layers) for i, n in enumerate(layer.neurons)]:
        page.select_option("#unit", f"{l},{i}")
        outer = numbers(page, "#outer")
        parameters = neuron.parameters()
        assert len(outer) == len(parameters)
        for (engine, closed, difference), p in zip(outer, parameters):
            assert engine == pytest.approx(p.grad, rel=1e-5)
            assert closed == pytest.approx(p.grad, rel=1e-5)
            assert difference < 1e-14
    page.keyboard.press("Home")
    assert "not yet" in text_of(page, "#deltas")


def test_delta_of_another_loss_starts_from_the_engines(open_page: Open) -> None:
    """E5 belongs to E1: with another loss the output's δ is ∂J/∂a f'(z), and E6 goes on from it."""
    model = MLP(2, [3, 1], "tanh", "sigmoid", seed=1)
    J = model([0.3, 0.4]) ** 3.0
    J.label = "J"
    J.backward()
    page = open_page(J)
    assert "E5" not in text_of(page, "#deltas")
    for _, engine, closed, difference in numbers(page, "#deltas"):
        assert engine == closed
        assert difference < 1e-14


def test_without_a_net_there_is_no_delta(open_page: Open) -> None:
    """δ is for nets; the cost of two samples has every unit twice, and so no one δ."""
    page = open_page(formula())
    assert page.locator("#delta").is_hidden()
    model, _ = net()
    J = cost(model, [[0.1, 0.2], [0.3, 0.4]], [0.5, 0.6])
    J.backward()
    assert open_page(J).locator("#delta").is_hidden()


@pytest.mark.parametrize(
    "case", ["another activation", "no sum", "constant weight", "other inputs", "z used", "a used"]
)
def test_labels_alone_make_no_net(case: str, open_page: Open) -> None:
    """z and a of the derivation's names but of another making, or with other uses, are no net, and get no δ."""
    x, w, b, v, c = (Value(0.1 + 0.2 * k, name) for k, name in enumerate("xwbvc"))
    z = {"no sum": tanh(w), "constant weight": dot([0.5], [x], b)}.get(case, dot([w], [x], b))
    a = tanh(x if case == "another activation" else z)
    z3 = dot([v], [x if case == "other inputs" else a], c)
    a3 = tanh(z3)
    z.label, a.label, z3.label, a3.label = "z2[0]", "a2[0]", "z3[0]", "a3[0]"
    y = a3 * 2.0 + {"another activation": z, "z used": z, "a used": a}.get(case, 0.0)
    y.backward()
    assert open_page(y).locator("#delta").is_hidden()


# --- a large net ---


def large() -> tuple[MLP, Value]:
    """574 values."""
    return net((2, 18, 18, 2))


def test_a_large_net_is_shown_by_neurons(open_page: Open) -> None:
    """Above 500 values a box is a neuron, with z, a, δ and f'(z); one is open, value by value."""
    model, J = large()
    page = open_page(J)
    units = list(deltas_table(model, [0.8, -0.5], [0.5, -0.4]))
    assert page.evaluate("neurons.length") == len(units) == 38
    assert page.evaluate(
        "neurons.every(({g}) => [...g.querySelectorAll('text')].every(t => {"
        " const b = t.getBBox(); return b.x >= -NEURON / 2 && b.x + b.width <= NEURON / 2 }))"
    )
    shown = page.evaluate("neurons.map(neuron => [names[neuron.z], ...neuron.texts.map(text => text.data)])")
    told = {unit.label: [short(x, 3) for x in (unit.z, unit.a, unit.engine, unit.f_prime)] for unit in units}
    assert {label: texts for label, *texts in shown} == told
    page.locator("[aria-label='open a3[5]']").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("names[opened.a]") == "a3[5]"
    page.keyboard.press("0")
    page.click("[aria-label='open a3[4]']")
    neuron = model.layers[1].neurons[4]
    inside = page.locator("#graph > g > g:last-of-type .name").all_text_contents()
    assert set(inside) == {p.label for p in neuron.parameters()}
    assert page.evaluate("opened.frame.left < camera.x && camera.x < opened.frame.right")
    for p in neuron.parameters():
        i = page.evaluate("label => names.indexOf(label)", p.label)
        assert page.evaluate(f"viewOf({i}).grad.data") == f"∇ {signed(p.grad)}"


def test_the_open_neuron_is_that_of_the_step(open_page: Open) -> None:
    """Forward and backward, the neuron of the present step opens, and its values are in view."""
    _, J = large()
    page = open_page(J, "#step=0")
    order = topological_order(J)
    operations = [node for node in order if node.op]
    for node in operations[:6]:
        page.keyboard.press("ArrowRight")
        assert page.evaluate("opened.l + 2") == int(node.scope[0].removeprefix("layer "))
        assert page.evaluate("opened.i") == int(node.scope[1].removeprefix("neuron "))
        assert page.evaluate(f"viewOf({order.index(node)}).data.data") == short(node.data)
    page.keyboard.press("End")
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
        assert page.evaluate(
            "(() => { const {edge} = present(), [l, t, r, b] = viewOf(edge.arg).ends;"
            " return viewOf(edge.user) && l > camera.x - 600 && r < camera.x + 600 })()"
        )
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") is not None


# --- training ---

X = [[0.1 * k - 0.5, math.sin(k)] for k in range(12)]
Y = [1.0 if math.cos(k) > 0.0 else -1.0 for k in range(12)]


@pytest.mark.parametrize("lam", [0.0, 0.02])
def test_training_in_the_page_is_fit(lam: float, open_page: Open) -> None:
    """100 steps of gradient descent in the page give the parameters and costs of `fit` with SGD, to 1e-9."""
    model, J = net((2, 4, 1))
    page = open_page(J, model=model, data=(X, Y), lr=0.2, lam=lam)
    page.click("#hundred")
    page.click("#descend")
    history = fit(model, X, Y, optimizer=SGD(model.parameters(), lr=0.2), lam=lam, epochs=101)
    assert page.evaluate("curve") == pytest.approx(history.cost, rel=1e-9)
    here = page.evaluate("parameters.map(p => tape.data[p])")
    assert here == pytest.approx([p.data for p in model.parameters()], rel=1e-9)
    assert short(history.cost[-1], 6) in text_of(page, "#cost")
    assert text_of(page, "#cost").endswith("before step 101")
    points = (page.locator("#curve polyline").get_attribute("points") or "").split()
    assert len(points) == 101
    page.click("#reset")
    assert text_of(page, "#cost") == "17 parameters, 12 samples"


def test_training_goes_on_from_changed_values(open_page: Open) -> None:
    """A step starts from the parameters and the step size as they are now, changed by hand or not."""
    model = MLP(1, [3, 1], "tanh", seed=3)
    inputs = [[x] for x, _ in X]
    page = open_page(sample_graph(model, inputs[0], [Y[0]]), model=model, data=(inputs, Y), lr=0.2)
    page.evaluate("change(parameters[2], 0.75); change(parameters[0], -0.5)")
    page.fill("#rate", "0.07")
    page.click("#descend")
    model.parameters()[2].data, model.parameters()[0].data = 0.75, -0.5
    fit(model, inputs, Y, optimizer=SGD(model.parameters(), lr=0.07), epochs=1)
    here = page.evaluate("parameters.map(p => tape.data[p])")
    assert here == pytest.approx([p.data for p in model.parameters()], rel=1e-12)


def test_the_curve_is_logarithmic_where_it_can_be(open_page: Open) -> None:
    """Each step's J is a point, at the height of its logarithm; of J itself if one is not above 0."""
    page = open_page(formula())
    for costs, scale in (([10.0, 1.0, 0.1, 0.01], math.log10), ([3.0, 1.0, -1.0], float)):
        page.evaluate(f"curve.splice(0, curve.length, ...{costs}); paint()")
        points = (page.locator("#curve polyline").get_attribute("points") or "").split()
        xs, ys = zip(*[map(float, point.split(",")) for point in points])
        high, low = scale(costs[0]), scale(costs[-1])
        assert xs == pytest.approx([6 + 348 * k / (len(costs) - 1) for k in range(len(costs))])
        assert ys == pytest.approx([100 - 84 * (scale(cost) - low) / (high - low) for cost in costs])


def test_descent_on_what_was_recorded(open_page: Open) -> None:
    """Without samples, a step is p − lr ∂J/∂p of the recorded graph, for the parameters or else for all leaves."""
    page = open_page(formula(), lr=0.25)
    page.click("#descend")
    leaves = [node for node in topological_order(formula()) if not node.op]
    here = page.evaluate("parameters.map(p => tape.data[p])")
    assert here == pytest.approx([v.data - 0.25 * v.grad for v in leaves], rel=1e-13)
    _, J = net()
    page = open_page(J)
    assert page.evaluate("parameters.length") == 13


def test_running_and_pausing(open_page: Open) -> None:
    """`run` takes steps until it is pressed again."""
    model, J = net()
    page = open_page(J, model=model, data=(X, Y))
    page.click("#run")
    until(page, "curve.length > 3")
    page.click("#run")
    assert text_of(page, "#run") == "run"
    steps = page.evaluate("new Promise(done => setTimeout(() => done(curve.length), 100))")
    assert steps == page.evaluate("curve.length")


@pytest.mark.parametrize("text", ["-5", "0", ""])
def test_a_step_size_is_above_0(text: str, open_page: Open) -> None:
    """What is no step size is put back to the one that counts."""
    page = open_page(formula(), lr=0.25)
    page.fill("#rate", text)
    page.click("#descend")
    assert page.input_value("#rate") == "0.25"
    assert page.evaluate("tape.data[0]") == pytest.approx(0.5 - 0.25 * topological_order(formula())[0].grad)


def test_a_step_that_leaves_the_finite_numbers_is_not_taken(open_page: Open) -> None:
    """Too large a step size stops the training with a word, and leaves the parameters finite."""
    x = Value(3.0, "x")
    y = x * x * x * x
    y.backward()
    page = open_page(y, lr=1e3)
    page.click("#hundred")
    assert "smaller step size" in text_of(page, "#fault")
    assert page.evaluate("Number.isFinite(tape.data[0])")


def test_the_plane_shows_what_the_net_decides(open_page: Open) -> None:
    """Each point of the plane has the colour of the side on which the net's output is; a click moves the inputs."""
    model, J = net((2, 4, 1))
    page = open_page(J, model=model, data=(X, Y))
    box = page.locator("#plane").bounding_box()
    assert box
    page.locator("#plane").click(position={"x": 5.0, "y": 5.0})
    x = page.evaluate("graph.plane.x.map(i => tape.data[i])")
    assert x == pytest.approx([-0.665 + 5 / box["width"] * 1.43, 1.29 - 5 / box["width"] * 2.59], abs=0.02)
    colours = page.evaluate(
        "(() => { const [l, r, b, t] = graph.plane.box;"
        " const pixels = $('plane').getContext('2d').getImageData(0, 0, 512, 512).data;"
        " return [[9, 200], [200, 9], [500, 300], [300, 500]].map(([u, v]) => { const k = 4 * (512 * v + u);"
        " return [l + (r - l) * u / 512, t - (t - b) * v / 512, pixels[k + 2] > pixels[k]] }) })()"
    )
    for x0, x1, blue in colours:
        assert blue == (float(model([x0, x1])) > 0.0)
    assert page.locator("#key span").all_text_contents() == [" y[0] = −1", " y[0] = 1"]
    assert page.evaluate("plane.of") == [int(y > 0.0) for y in Y]


def test_the_plane_of_a_constant(open_page: Open) -> None:
    """Where all targets are one number, of whatever kind, the scale of values is about that."""
    model, J = net((2, 4, 1))
    page = open_page(J, model=model, data=(np.array(X, np.float32), np.full(12, 3)))
    assert text_of(page, "#key span") == "2  4"


def pixels(page: Page, points: list[list[float]]) -> list[list[int]]:
    """The plane's red, green, blue and alpha at points of the inputs."""
    colours: list[list[int]] = page.evaluate(
        "points => { const [l, r, b, t] = plane.box, copy = document.createElement('canvas');"
        " copy.width = copy.height = 512;"
        " const context = copy.getContext('2d', {willReadFrequently: true});"
        " context.drawImage($('plane'), 0, 0);"
        " return points.map(([x, y]) =>"
        " [...context.getImageData(512 * (x - l) / (r - l), 512 * (t - y) / (t - b), 1, 1).data]) }",
        points,
    )
    return colours


def grounds(page: Page, X: list[list[float]]) -> Iterator[tuple[list[float], list[int], bool]]:
    """Of each square of the plane: the outputs, the colour in its middle, and whether no mark at X is near."""
    left, right, bottom, top = page.evaluate("plane.box")
    shares = [(k + 0.5) / 64 for k in range(64)]
    points = [[left + (right - left) * u, bottom + (top - bottom) * v] for u in shares for v in shares]
    outputs = page.evaluate("points => points.map(x => [...trainer.predict(x)])", points)
    pixel = (right - left) / 512, (top - bottom) / 512
    for point, h, colour in zip(points, outputs, pixels(page, points)):
        yield h, colour, all(max(abs(a - b) / p for a, b, p in zip(point, x, pixel)) > 16 for x in X)


def is_hue(colour: list[int], kind: int, theme: str, share: float = 1.0) -> bool:
    """Whether it is the colour of a class, or so much of it on the page, up to the rounding of what is transparent."""
    hue, ground = KINDS[kind][theme == "dark"], FILL["page"][theme == "dark"]
    wanted = mix(ground, hue, share)
    return all(abs(int(wanted[k : k + 2], 16) - c) <= 4 for k, c in zip((1, 3, 5), colour))


def alpha(depth: float) -> float:
    """Of a colour, by how far it is up its scale, in five steps."""
    return 0.15 + 0.11 * min(4, math.floor(5 * depth))


themes = pytest.mark.parametrize("theme", ["light", "dark"])
CORNERS = [[-2.0, -2.0], [2.0, -2.0], [0.0, 2.0]]  # of three classes


@pytest.mark.parametrize("way", ["one-hot", "index"])
@themes
def test_the_plane_of_classes(way: str, theme: str, open_page: Open) -> None:
    """A point has the colour of the largest output, the deeper the more that leads; a sample that of its class. The key
    names the classes, and the plane follows the training."""
    model = MLP(2, [4, 3], "tanh", "sigmoid" if way == "one-hot" else "identity", seed=1, init="glorot")
    X = [[x + 0.3 * k, y - 0.3 * k] for k in range(4) for x, y in CORNERS]
    classes = [s % 3 for s in range(12)]
    Y = [[float(c == k) for k in range(3)] for c in classes] if way == "one-hot" else classes
    loss = half_squared_error if way == "one-hot" else cross_entropy
    page = open_page(
        sample_graph(model, X[0], [1.0, 0.0, 0.0]), f"#theme={theme}", model=model, data=(X, Y), lr=1.0, loss=loss
    )
    seen = []
    for _ in range(2):
        squares = [(h, sorted(h)[-1] - sorted(h)[-2], colour, free) for h, colour, free in grounds(page, X)]
        most = max(lead for _, lead, _, _ in squares)
        for h, lead, (*colour, opaque), free in squares:
            if free:
                assert is_hue(colour, h.index(max(h)), theme)
                assert opaque / 255 == pytest.approx(alpha(lead / most), abs=0.01)
        assert all(is_hue(colour, c, theme) for colour, c in zip(pixels(page, X), classes))
        seen.append([colour for _, _, colour, _ in squares])
        page.click("#hundred")
    assert seen[0] != seen[1]
    assert page.locator("#key span").all_text_contents() == [" a3[0]", " a3[1]", " a3[2]"]
    dabs = page.evaluate("[...document.querySelectorAll('#key path')].map(dab => getComputedStyle(dab).fill)")
    assert all(is_hue([*map(int, re.findall(r"\d+", dab))], k, theme) for k, dab in enumerate(dabs))
    assert len(dabs) == 3


def test_the_plane_follows_the_theme(open_page: Open) -> None:
    """It is drawn anew when the reader changes the theme, or the system does."""
    model, J = net((2, 4, 1))
    page = open_page(J, model=model, data=(X, Y))
    kind = int(Y[5] > 0.0)

    def becomes(theme: str) -> bool:
        """The browser tells the page of it a little later."""
        for _ in range(100):
            if is_hue(pixels(page, X)[5], kind, theme):
                return True
            page.wait_for_timeout(20)
        return False

    assert becomes("light")
    page.emulate_media(color_scheme="dark")
    assert becomes("dark")
    page.keyboard.press("t")
    assert becomes("light")


@themes
def test_the_plane_of_a_value(theme: str, open_page: Open) -> None:
    """Of a regression: points and samples have the colour of their value, on one scale, whose ends the key shows."""
    model = MLP(2, [4, 1], "tanh", seed=1, init="glorot")
    X = [[x / 3.0, y / 3.0] for x in range(-3, 4) for y in range(-3, 4)]
    Y = [x + 2.0 * y + 10.0 for x, y in X]
    page = open_page(sample_graph(model, X[0], [Y[0]]), f"#theme={theme}", model=model, data=(X, Y), lr=0.05)
    page.click("#hundred")
    for (value,), (*colour, opaque), free in grounds(page, X):
        if free:
            assert is_hue(colour, int(value > 10.0), theme)
            assert opaque / 255 == pytest.approx(alpha(abs(value - 10.0) / 3.0), abs=0.01)
    for y, colour in zip(Y, pixels(page, X)):
        assert is_hue(colour, int(y > 10.0), theme, alpha(abs(y - 10.0) / 3.0))
    assert text_of(page, "#key").startswith("7  13a3[0]")
    assert page.locator("#key path").count() == 10


def test_no_plane_where_there_is_none(open_page: Open) -> None:
    """Not for three inputs, and not for several outputs that are no classes."""
    model = MLP(3, [2, 1], "tanh", seed=1)
    X = [[0.1, 0.2, 0.3], [0.3, 0.1, 0.2]]
    page = open_page(sample_graph(model, X[0], [1.0]), model=model, data=(X, [1.0, 0.0]))
    assert page.locator("#map").is_hidden()
    model = MLP(2, [2, 2], "tanh", seed=1)
    for Y in ([[0.3, 0.7], [0.1, 0.2]], [[1.0, 1.0], [0.0, 1.0]]):
        page = open_page(sample_graph(model, X[0][:2], Y[0]), model=model, data=([x[:2] for x in X], Y))
        assert page.locator("#map").is_hidden()


def test_a_model_and_its_data_belong_together() -> None:
    """A model without data, data without a model, and a model that the graph does not use are refused."""
    model, J = net()
    with pytest.raises(ValueError, match="both"):
        explore(J, "never.html", model=model)
    with pytest.raises(ValueError, match="both"):
        explore(J, "never.html", data=(X, Y))
    with pytest.raises(ValueError, match="does not depend on"):
        explore(formula(), "never.html", model=model, data=(X, Y))


def test_the_name_says_that_it_is_a_page() -> None:
    """A name that a browser would not open as a page is refused."""
    with pytest.raises(ValueError, match=r"expected a name that ends in \.html, which is what it holds, got 'a\.txt'"):
        explore(formula(), "a.txt")


# --- the window ---


def view(page: Page) -> list[float]:
    """Left, top, width, height of what is in view, in the units of the drawing."""
    x, y, zoom = page.evaluate("[camera.x, camera.y, camera.zoom]")
    width, height = (length / zoom for length in page.evaluate("extentOfStage()"))
    return [x - width / 2, y - height / 2, width, height]


def test_dragging_moves_the_graph(open_page: Open) -> None:
    """A drag of the ground moves the graph with the mouse, and ends the following."""
    page = open_page(net()[1])
    x, y, width, _ = view(page)
    scale = width / page.evaluate("stage.getBoundingClientRect().width")
    page.mouse.move(300, 700)
    page.mouse.down()
    page.mouse.move(350, 680, steps=5)
    page.mouse.up()
    page.mouse.move(600, 600)
    assert view(page)[:2] == pytest.approx([x - 50 * scale, y + 20 * scale])
    assert page.locator("#follow").get_attribute("aria-pressed") == "false"


def test_dragging_a_leaf_changes_it(open_page: Open) -> None:
    """A leaf dragged up grows."""
    page = open_page(formula())
    box = page.evaluate("(() => { const {x, y} = viewOf(0).g.getBoundingClientRect(); return [x + 20, y + 20] })()")
    page.mouse.move(*box)
    page.mouse.down()
    page.mouse.move(box[0], box[1] - 40, steps=4)
    page.mouse.up()
    assert page.evaluate("tape.data[0]") == 0.5 + 40 * 2.0 / 200


def test_the_wheel_zooms_at_the_mouse(open_page: Open) -> None:
    """What is under the mouse stays there when the wheel turns."""
    page = open_page(net()[1])
    at = "(({x, y}) => [x, y])(new DOMPoint(400, 300).matrixTransform(world.getScreenCTM().inverse()))"
    before, width = page.evaluate(at), view(page)[2]
    page.mouse.move(400, 300)
    page.mouse.wheel(0, -200)
    until(page, f"extentOfStage()[0] / camera.zoom < {width}")
    assert page.evaluate(at) == pytest.approx(before)


SIDES = ("left", "top", "right", "bottom")


def test_the_camera_follows_the_step(open_page: Open) -> None:
    """Each step's box is in view and large enough to read; `fit` shows the whole graph."""
    page = open_page(net((2, 8, 8, 1))[1])
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
        inside = page.evaluate(
            "(() => { const s = stage.getBoundingClientRect(), b = viewOf(present().node).g.getBoundingClientRect();"
            " return b.left >= s.left && b.right <= s.right && b.top >= s.top && b.bottom <= s.bottom })()"
        )
        assert inside
        assert page.evaluate("camera.zoom") >= 1.0
    page.keyboard.press("0")
    x, y, width, height = view(page)
    assert page.evaluate(
        f"views.every(({{ends: [l, t, r, b]}}) => l > {x} && r < {x + width} && t > {y} && b < {y + height})"
    )
    page.keyboard.press("f")
    assert page.evaluate("camera.zoom") >= 1.0
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("+")
    page.keyboard.press("-")
    assert page.locator("#follow").get_attribute("aria-pressed") == "false"


def test_values_by_keyboard(open_page: Open) -> None:
    """↑ and ↓ go from value to value, each with a name to be read aloud; Enter leads to the field of a leaf."""
    page = open_page(formula())
    for _ in range(10):
        page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("w = 0.5")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "w, as a number"


def test_help_and_theme_by_keyboard(open_page: Open) -> None:
    """? shows the keys and closes again; t changes from light to dark and back."""
    page = open_page(formula())
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.click("#close")
    assert page.locator("#help").is_hidden()
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.keyboard.press("t")
    assert page.evaluate(colour) != light
    page.keyboard.press("t")
    assert page.evaluate(colour) == light


def test_the_dark_theme_of_the_system(browser: Browser, tmp_path: Path) -> None:
    """A page opened in a dark system is dark."""
    explore(formula(), tmp_path / "page.html")
    page = browser.new_page(color_scheme="dark")
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector("body[data-ready]")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
    page.close()


def test_the_address_restores_the_state(open_page: Open) -> None:
    """The fragment holds the step, the changed values and the theme: the same address shows the same page."""
    page = open_page(formula())
    page.get_by_label("w, as a number").fill("0.123456789")
    page.get_by_label("w, as a number").press("Tab")
    page.click("#back")
    page.click("#theme")
    until(page, "location.hash.includes('theme=dark') && location.hash.includes('step=')")
    fragment = page.evaluate("location.hash")
    again = open_page(formula(), fragment)
    state = "[step, ...tape.data, document.documentElement.style.colorScheme]"
    assert again.evaluate(state) == page.evaluate(state)
    again.evaluate("location.hash = '#step=2'")
    until(again, "step === 2")
    assert again.evaluate("tape.data[0]") == 0.5


@pytest.mark.parametrize("fragment", ["#step=x&set=99:1,a:b,0:zzz&theme=pink", "#step=-3", "#step=1e9", "#set=4:7"])
def test_a_senseless_address_is_harmless(fragment: str, open_page: Open) -> None:
    """An address by hand may say anything: what makes no sense is left out."""
    page = open_page(formula(), fragment)
    assert page.evaluate("tape.data[tape.root]") == formula().data
    assert page.evaluate("document.documentElement.style.colorScheme") == ""


@all_graphs
def test_text_inside_its_box(root: Value, open_page: Open) -> None:
    """Every text fits into its box, at the widest numbers too."""
    page = open_page(root)
    page.evaluate("leaves.forEach((i, k) => tape.set(i, k % 2 ? -1.2345e-05 : -98765432.1)); recompute(); paint()")
    outside = page.evaluate(
        "views.flatMap(({g, i}) => { const [, width] = boxes[i];"
        " return [...g.querySelectorAll('text')].filter(t => {"
        " const b = t.getBBox(); return b.x < -width / 2 - 4 || b.x + b.width > width / 2 + 4 || b.y < -20 ||"
        " b.y + b.height > 20 }).map(t => t.textContent) })"
    )
    assert outside == []


def test_hostile_labels_are_text(open_page: Open, context: BrowserContext) -> None:
    """A label that looks like HTML or script is shown as it is, and does nothing."""
    label = "</script><img src=x onerror=alert(1)>"
    x = Value(1.0, label)
    y = tanh(x)
    y.label = "{parts}\u2028<!--"
    y.backward()
    page = open_page(y, title="<b>" + label)
    assert page.locator("img").count() == 0
    assert page.locator("#graph .name").text_content() == label[:23] + "…"
    assert (page.locator("h1").text_content() or "").startswith("<b></script>")


def test_what_labels_mean(open_page: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The columns of a CSV net stand below the title, in names to be read aloud, at the fields; as text."""
    (tmp_path / "t.csv").write_text("<b>a,c\n1,</script>\n2,v\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "t.csv", "--target", "c", "--hidden", "2", "--epochs", "1", "--test-fraction", "0"]) == 0
    assert main(["explore", "out/net.json", "--data", "t.csv", "--row", "2"]) == 0
    page = open_page(tmp_path / "page.html")
    assert text_of(page, "h1") == "t.csv, row 2: c v"
    assert text_of(page, "#legend") == (
        "x[0] = <b>a · y[0], a3[0] = class </script> · y[1], a3[1] = class v"
        " · x standardised: (value − mean) / deviation"
    )
    told = "x[0]: <b>a, standardised: (value − 1.5) / 0.5"
    page.get_by_label(told).fill("0.5")
    x, a = (page.evaluate("name => names.indexOf(name)", name) for name in ("x[0]", "a3[1]"))
    page.evaluate(f"focusNode({x})")
    focused = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(focused).startswith(f"{told}\nx[0] = 0.5, ∇ ")
    page.evaluate(f"focusNode({a})")
    assert page.evaluate(focused).startswith("a3[1]: class v\na3[1] = ")
    assert open_page(formula()).locator("#legend").is_hidden()


def test_a_path_with_spaces_and_chinese(open_page: Open, tmp_path: Path) -> None:
    """The page opens from any folder."""
    folder = tmp_path / "链式 法则 #1"
    folder.mkdir()
    page = open_page(formula(), path=folder / "反向 传播?.html")
    assert page.locator("#graph").is_visible()


@themes
def test_axe_finds_nothing(theme: str, open_page: Open) -> None:
    """axe, the checker of accessibility, finds no violation, light or dark, with and without the dialog."""
    model, J = net()
    page = open_page(J, f"#step=20&theme={theme}", model=model, data=(X, Y))
    for _ in range(2):
        violations = Axe().run(page).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in violations] == []
        page.keyboard.press("?")


def test_axe_finds_nothing_in_a_large_net(open_page: Open) -> None:
    """Nor is there a violation where neurons are buttons."""
    violations = Axe().run(open_page(large()[1], "#step=30")).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in violations] == []


def test_the_step_is_read_aloud(open_page: Open) -> None:
    """The equation is a polite live region, read as a whole."""
    page = open_page(formula())
    assert page.locator("#now").get_attribute("aria-live") == "polite"
    assert page.locator("#now").get_attribute("aria-atomic") == "true"
    assert page.locator("#scrub").get_attribute("aria-valuetext") == text_of(page, "#where")


def test_a_phone(browser: Browser, tmp_path: Path) -> None:
    """400 pixels wide: nothing to scroll sideways, and the panels stand below the graph."""
    model, J = net()
    explore(J, tmp_path / "page.html", model=model, data=(X, Y))
    page = browser.new_page(viewport={"width": 400, "height": 800}, has_touch=True, reduced_motion="reduce")
    page.goto((tmp_path / "page.html").as_uri() + "#step=20")
    page.wait_for_selector("body[data-ready]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    graph, panels = page.locator("main").bounding_box(), page.locator("aside").bounding_box()
    assert graph
    assert panels
    assert panels["y"] >= graph["y"] + graph["height"] - 1
    page.close()


def test_print(open_page: Open) -> None:
    """On paper the whole graph stands above the panels, without buttons, on white even where the page is dark."""
    page = open_page(net()[1], "#step=20&theme=dark")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    x, y, width, _ = view(page)
    assert page.evaluate(f"views.every(({{ends: [l, t, r]}}) => l > {x} && t > {y} && r < {x + width})")
    assert page.locator("[role=toolbar]").first.is_hidden()
    assert page.locator("#now").is_visible()


# --- the file ---


def test_the_same_bytes_in_every_run() -> None:
    """The page of one graph is one sequence of bytes, whatever the hash seed."""
    text = output_under_any_hash_seed(
        "from tinygrad_sq import MLP\n"
        "from tinygrad_sq.job import sample_graph\n"
        "from tinygrad_sq.study.explore import page\n"
        "model = MLP(2, [3, 1], 'tanh', 'sigmoid', seed=3)\n"
        "J = sample_graph(model, [0.8, -0.5], [0.5])\n"
        "print(page(J, model=model, data=([[0.1, 0.2], [0.3, 0.5]], [0.0, 1.0])))"
    )
    assert text.startswith("<!doctype html>")


def test_it_forbids_every_request(tmp_path: Path) -> None:
    """The page's own policy: nothing from anywhere, and of scripts and styles those alone that Python wrote."""
    explore(formula(), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    assert policy[1].startswith("default-src 'none'; ")
    assert "unsafe" not in policy[1]


def test_only_values_can_be_explored(tmp_path: Path) -> None:
    """A number is no graph, and no file is left behind."""
    with pytest.raises(TypeError, match="expected a Value"):
        explore(3.0, tmp_path / "page.html")  # type: ignore[arg-type]
    assert not [*tmp_path.iterdir()]


def test_ties_and_kinks(open_page: Open) -> None:
    """At a tie and at a kink the page picks the gradient that Python picks."""
    a, b = Value(0.0, "a"), Value(0.0, "b")
    y = maximum(a, b) * 2.0 + relu(a) + abs(b)
    y.backward()
    page = open_page(y)
    assert page.evaluate("[...tape.grad]") == [node.grad for node in topological_order(y)]
