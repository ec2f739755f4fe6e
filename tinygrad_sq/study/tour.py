"""From the chain rule to backpropagation in five minutes, on a terminal: one idea a screen, E1 to E7 in their order.

Every number is computed by the engine as its screen is shown.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from textwrap import wrap
from typing import NamedTuple, TextIO, TypeAlias

from tinygrad_sq.context import no_grad
from tinygrad_sq.graph import topological_order
from tinygrad_sq.job import sample_graph
from tinygrad_sq.losses import cost
from tinygrad_sq.nn import MLP
from tinygrad_sq.optim import SGD, Adam
from tinygrad_sq.study.delta_view import deltas_table
from tinygrad_sq.study.explain import Step, explain
from tinygrad_sq.study.picture import short
from tinygrad_sq.table import tanh
from tinygrad_sq.train import fit
from tinygrad_sq.value import Value

WIDTH, HEIGHT = 80, 24
NUDGE = 0.001
ALPHA = 0.5  # the step of gradient descent
X = [0.8, -0.5]
Y = [0.5]
SAMPLES = [X, [-0.3, 0.9], [0.1, 0.4]], [Y, [-0.6], [0.2]]


class Question(NamedTuple):
    """Something to work out from what the screen shows; `because` says why the answer is what it is."""

    words: str
    answer: float
    because: str

    def verdict(self, text: str) -> str:
        """What to say to an answer; half a percent off is right."""
        try:
            given = float(text.replace("−", "-"))
        except ValueError:
            return f"{text!r:.20} is no number. Type = and a number, such as =1.5"
        right = abs(given - self.answer) <= 0.005 * abs(self.answer)
        return f"{'Yes' if right else 'Not quite'}: {self.solution}"

    @property
    def solution(self) -> str:
        return f"{short(self.answer)}. {self.because}"


class Screen(NamedTuple):
    title: str
    body: str
    question: Question | None = None


# --- the screens ---


def values() -> Screen:
    y = _formula()
    return Screen(
        "A value remembers where it came from",
        f"""
Welcome. In five minutes you will see how the chain rule becomes backprop, by
which neural nets learn. Nothing is staged: each number is computed as you look.

>>> w, x, b = Value(0.5, "w"), Value(2.0, "x"), Value(-0.4, "b")
>>> y = tanh(w * x + b)

{_tree(y)}

Each line is made of those indented below it. Nobody drew this: a Value keeps the
operation that made it and its operands, which keep theirs. This record is the
computation graph. Its leaves w, x and b were given; all else was computed.
""",
    )


def local_derivatives() -> Screen:
    rows: list[list[str | float]] = []
    y = _formula()
    names = explain(y).names
    for node in topological_order(y):
        for k, arg in enumerate(node.args):
            assert node.op
            assert isinstance(arg, Value)
            moved = node.op(*[_data(v) + NUDGE * (i == k) for i, v in enumerate(node.args)]) - node.data
            rows.append([names[node].text, names[arg].text, moved / NUDGE, node.partials[k] or 0.0])
    return Screen(
        "One operation, one local derivative",
        f"""
Nudge an operand of an operation by {NUDGE:g}. By how many nudges does the result
move? That is the local derivative. The engine need not nudge: it writes it down,
exactly, by a rule, as it makes the value.

{_table(["operation", "nudged", "moves by", "by the rule"], rows)}

The rules are those from school: a product moves by its other factor, a sum by 1,
tanh(z) by 1 − tanh²(z). Each is one row of one table, tinygrad_sq/table.py.

"Local" means that nobody has asked yet what becomes of the result farther on.
""",
    )


def chain_rule() -> Screen:
    y = _formula()
    w, x, _ = [node for node in topological_order(y) if not node.op]
    path, other = explain(y, w), explain(y, x)
    with no_grad():
        moved = _formula(w=w.data + NUDGE).data - y.data
    through = [path.names.derivative(step.node, step.arg).text for step in path]
    return Screen(
        "The chain rule: along a path, multiply",
        f"""
How does y move when w does? From w the way to y leads over {len(path)} operations. A nudge
of w is multiplied by each local derivative on its way:

    ∂y/∂w = {" × ".join(through)}
          = {_factors(path)}
          = {short(path.gradient)}

That is the chain rule, and no more. To check it, nudge w by {NUDGE:g} and compute it
all again: y moves by {short(moved)}, that is {short(moved / NUDGE)} nudges.

>>> y.backward()     # goes from y back to the leaves, one factor at a time
>>> w.grad
{_grad(y, w)!r}

The local derivatives on the way back to x are {_list([short(step.local or 0.0) for step in other])}.
""",
        Question("What is ∂y/∂x?", other.gradient, f"{_factors(other)}."),
    )


def sums() -> Screen:
    a = Value(3.0, "a")
    y = a * a + a
    moved = (a.data + NUDGE) * (a.data + NUDGE) + (a.data + NUDGE) - y.data
    b = Value(2.0, "a")
    cube = b * b * b
    parts = " + ".join(short(step.contribution or 0.0) for step in explain(cube, b) if step.arg is b)
    return Screen(
        "Two paths add up",
        f"""
>>> a = Value(3.0, "a")
>>> y = a * a + a

Three arrows leave a: two into the product, one into the sum. Along each the chain
rule multiplies, upstream × local. What they bring is added:

{_steps(explain(y, a))}

The last column is the gradient as it grows: by +=, never by =. With = the last to
arrive would win. (The nudge agrees: y moves by {short(moved / NUDGE)} nudges of a.)

This is the whole of backpropagation in one line, the sum over all users of v:

    ∂y/∂v = Σ ∂y/∂user × ∂user/∂v
""",
        Question("y = a * a * a at a = 2. What is ∂y/∂a?", explain(cube, b).gradient, f"The paths bring {parts}."),
    )


def order() -> Screen:
    a = Value(3.0, "a")
    u = a * a
    u.label = "u"
    y = u * a + u
    names = explain(y).names
    v = first = Value(1.0)
    for _ in range(60):
        v = v + v
    arrows = sum(len(node.args) for node in topological_order(v))
    return Screen(
        "Who goes first: topological order",
        f"""
>>> u = a * a          # at a = 3
>>> y = u * a + u

{_steps(explain(y))}

u has two users, and passes its gradient on when both have reported: "2 of 2". So
backward goes in the opposite of the order in which values can be computed, users
first: {_list([names[node].text for node in reversed(topological_order(y))])}. Each arrow is used once.

That is why it is fast. Double a value 60 times, v = v + v, and 2^60 paths lead
back to the first. One pass over {arrows} arrows adds them up: {_grad(v, first)!r}.
""",
    )


def neurons() -> Screen:
    J = _sample()
    named = _named(J)
    units = [node for name, node in named.items() if name.startswith("z2")]
    lines = []
    for z in units:
        n = len(z.args) // 2
        products = " + ".join(f"{_factor(w)}·{_factor(x)}" for w, x in zip(z.args[:n], z.args[n:]))
        a = named[z.label.replace("z", "a")]
        lines.append(f"    {z.label} = {products} + {_factor(z.args[-1])} = {short(z.data)}")
        lines.append(f"    {a.label} = tanh({short(z.data)}) = {short(a.data)}")
    out = named["a3[0]"]
    return Screen(
        "A neuron, and a layer of them: E2",
        f"""
A neuron weighs its inputs, adds a bias, and bends the sum by an activation f. A
layer is neurons with the same inputs. Layer 1 is the input itself.

E2  z^(l+1) = W^l a^l + b^l      a^(l+1) = f(z^(l+1))      a^1 = x

>>> model = MLP(2, [2, 1], "tanh", "tanh", seed=4)
>>> h = model([0.8, -0.5])

Layer 2, unit by unit; W1[i,j] leads from input j to unit i:

{_lines(lines)}

Layer 3, one unit, does the same with a2 as its inputs: {out.label} = {short(out.data)} = h(x).

So a net is a formula like any other. With its cost, which is on the next screen,
the graph of this one has {len(topological_order(J))} values.
""",
    )


def costs() -> Screen:
    model, lam = _model(), 0.1
    J = sample_graph(model, X, Y)
    h = _named(J)["a3[0]"]
    each = [sample_graph(model, x, y).data for x, y in zip(*SAMPLES)]
    W2 = sum(w.data**2 for w in model.weights())
    whole = cost(model, *SAMPLES, lam=lam)
    return Screen(
        "The cost says how wrong the net is: E1, E3",
        f"""
The target for x = ({short(X[0])}, {short(X[1])}) is y = {short(Y[0])}; the net says {short(h.data)}. The cost of one
sample is half the squared distance, and one more value in the graph:

E1  J(W, b; x, y) = ½ ‖h(x) − y‖² = ½ ({short(h.data)} − {short(Y[0])})² = {short(J.data)}

(½ makes the derivative neat: ∂J/∂h = h − y, without a factor 2.)

Over m samples, take the mean, and make large weights cost something, by λ:

E3  J(W, b) = (1/m) Σ J(W, b; x, y) + (λ/2) Σ W²

    the samples     {_list([short(J_s) for J_s in each])}, of mean {short(sum(each) / len(each))}
    the weights     Σ W² = {short(W2)}; with λ = {lam:g} they cost {short(lam / 2 * W2)}
    together        J = {short(whole.data)}

Biases are not penalised. Learning means: change W and b so that J falls.
""",
    )


def descent() -> Screen:
    model, lam = _model(), 0.1
    w = model.layers[0].neurons[0].w[0]
    each = []
    for x, y in zip(*SAMPLES):
        sample_graph(model, x, y)
        each.append(w.grad)
    mean = sum(each) / len(each)
    J = cost(model, *SAMPLES, lam=lam)
    model.zero_grad()
    J.backward()
    before, gradient = w.data, w.grad
    SGD(model.parameters(), lr=ALPHA).step()
    after = cost(model, *SAMPLES, lam=lam)
    return Screen(
        "Downhill: gradient descent, E4",
        f"""
∂J/∂W says which way is up. So go a step the other way, with every parameter:

    W ← W − α ∂J/∂W      b ← b − α ∂J/∂b

The gradient of the whole cost is the mean of the samples' gradients, and for a
weight λW on top, once:

E4  ∂J(W,b)/∂W = (1/m) Σ ∂J(W,b;x,y)/∂W + λW

For {w.label} = {short(before)} the samples give {_list([short(g) for g in each])}.

    the mean        {short(mean)}
    λW              {lam:g} × {_bracketed(before)} = {short(lam * before)}
    together        {short(mean + lam * before)}
    by backward     {short(gradient)}

One step with α = {ALPHA:g}: {w.label} becomes {short(w.data)}, and J falls from {short(J.data)} to {short(after.data)}.
All that is left to find is ∂J/∂W of one sample, for every weight of every layer.
""",
    )


def output_delta() -> Screen:
    J = _sample()
    named = _named(J)
    z, a, y = named["z3[0]"], named["a3[0]"], named["y[0]"]
    slope = a.partials[0] or 0.0
    return Screen(
        "δ of the last layer: E5",
        f"""
One quantity makes all of it short. The residual δ of a unit is the gradient of J
by its pre-activation z, the sum before the activation:

    δ = ∂J/∂z

In the last layer the path from z to J is z → a = f(z) → J = ½ (y − a)². Two local
derivatives, multiplied:

E5  δ = −(y − a) f'(z)

    y − a           {short(y.data)} − {_bracketed(a.data)} = {short(y.data - a.data)}
    f'(z)           1 − tanh²({short(z.data)}) = {short(slope)}
    E5              −{_bracketed(y.data - a.data)} × {short(slope)} = {short(-(y.data - a.data) * slope)}

>>> J.backward()
>>> z3.grad
{z.grad!r}

z3 is the node that the net labels z3[0]. The engine has never heard of δ: it has
multiplied along a path.
""",
    )


def hidden_deltas() -> Screen:
    named = _named(_sample())
    d3 = named["z3[0]"].grad
    rows: list[list[str | float]] = []
    for i in range(2):
        slope = named[f"a2[{i}]"].partials[0] or 0.0
        weight = named[f"W2[0,{i}]"].data
        rows.append([f"z2[{i}]", weight, slope, d3 * weight * slope, named[f"z2[{i}]"].grad])
    inputs = [(named[f"z2[{j}]"].grad, named[f"W1[{j},0]"].data) for j in range(2)]
    return Screen(
        "δ of the layers before, backwards: E6",
        f"""
A hidden unit's way to J leads through every unit j of the next layer, and these
know their δ already. From z_i the nudge goes through f, then through the weight
W_ji, then on as δ_j says. Along a path multiply, over paths add:

E6  δ_i^l = (Σ_j δ_j^(l+1) W_ji^l) f'(z_i^l)

Here the next layer has one unit, of δ = {short(d3)}, so each sum has one term:

{_table(["unit", "W_ji", "f'(z_i)", "by E6", "z.grad"], rows)}

The sum goes over the next layer, a column of W; forward, E2 went along a row.
From layer to layer δ travels to the front: hence the name of backpropagation.

At the input x[0] the sum has two terms, and there is no f'. The weights are
W1[0,0] = {short(inputs[0][1])} and W1[1,0] = {short(inputs[1][1])}; the δ stand above.
""",
        Question(
            "What is ∂J/∂x[0]?",
            named["x[0]"].grad,
            f"{' + '.join(f'{_bracketed(d)} × {_bracketed(w)}' for d, w in inputs)}.",
        ),
    )


def weight_gradients() -> Screen:
    named = _named(_sample())
    rows: list[list[str | float]] = []
    for i in range(2):
        delta = named[f"z2[{i}]"].grad
        for j, x in enumerate(X):
            rows.append([f"W1[{i},{j}]", x, delta, x * delta, named[f"W1[{i},{j}]"].grad])
        rows.append([f"b1[{i}]", 1.0, delta, delta, named[f"b1[{i}]"].grad])
    return Screen(
        "Every weight and every bias: E7",
        f"""
z_i = Σ_j W_ij a_j + b_i. So ∂z_i/∂W_ij = a_j, and ∂z_i/∂b_i = 1. One more factor,
and the gradient of every parameter is there:

E7  ∂J/∂W_ij^l = a_j^l δ_i^(l+1)      ∂J/∂b_i^l = δ_i^(l+1)

{_table(["parameter", "a_j", "δ_i", "by E7", ".grad"], rows)}

What came in, times how much it mattered. One pass forward keeps every a, one pass
back finds every δ, and products do the rest. So the gradient of a million weights
costs no more than a few predictions.
""",
    )


def proof() -> Screen:
    model = MLP(3, [4, 4, 2], "tanh", "sigmoid", seed=1)
    x, y = [0.6, -0.2, 0.9], [1.0, 0.0]
    rows = sorted(deltas_table(model, x, y).units, key=lambda unit: unit.l)
    shown = [
        [row.label, f"{row.engine: .15f}", f"{row.closed_form: .15f}", f"{row.difference:.0e}".replace("0e+00", "0")]
        for row in rows
    ]
    return Screen(
        "The engine and the formulas agree",
        f"""
Two ways to δ that share no code: the engine, which knows graphs and nothing of
nets; and E5, E6 in plain numbers (tinygrad_sq/deltas.py). A 3-4-4-2 net:

{_table(["unit", " engine: z.grad", " formulas: E5, E6", "difference"], shown)}

Largest difference: {max(row.difference for row in rows):.1g}. What this is for one net, tests/test_proofs.py is for
random ones, equation by equation, E1 to E7.
""",
    )


def training() -> Screen:
    X, Y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0.0, 1.0, 1.0, 0.0]
    model = MLP(2, [4, 1], "tanh", "sigmoid", seed=1)
    first = _answers(model, X)
    history = fit(model, X, Y, optimizer=Adam(model.parameters(), lr=0.1), epochs=120)
    rows: list[list[str | float]] = [
        [f"{x[0]:g} xor {x[1]:g}", y, before, after] for x, y, before, after in zip(X, Y, first, _answers(model, X))
    ]
    return Screen(
        "Train it, and see the cost fall",
        f"""
Forward, backward, a step downhill; and again. A 2-4-1 net learns exclusive or,
which no single neuron can:

>>> model = MLP(2, [4, 1], "tanh", "sigmoid", seed=1)
>>> fit(model, X, Y, optimizer=Adam(model.parameters(), lr=0.1), epochs=120)

{_chart(history.cost)}

{_table(["question", "answer", "before", "after"], rows)}
""",
    )


def onward() -> Screen:
    return Screen(
        "Where next",
        """
You have seen all of it: a graph that remembers, local derivatives, multiply along
paths, add over paths, users first. E5, E6 and E7 are that, written for a net.

Look       tinygrad-sq draw "tanh(w*x + b)" w=0.5 x=2 b=-0.4 -o graph.svg
           tinygrad-sq animate "tanh(w*x + b)" w=0.5 x=2 b=-0.4 -o backward.svg
           your own formula as a picture, and its two passes as an animation

Explore    >>> print(explain(y, w))       # each product, each sum
           >>> explore(y, "page.html")    # a page to step through and to change
           tinygrad-sq explore "tanh(w*x + b)" w=0.5 x=2 b=-0.4 -o page.html

Train      tinygrad-sq demo
           tinygrad-sq train FILE.csv --target COLUMN
           iris, or your own table

Read       make docs, the same journey with pictures and proofs;
           chain_rule in tinygrad_sq/value.py, the loop behind all these numbers

b goes back, a number to any screen. Thank you for the five minutes.
""",
    )


SCREENS: tuple[Callable[[], Screen], ...] = (
    values,
    local_derivatives,
    chain_rule,
    sums,
    order,
    neurons,
    costs,
    descent,
    output_delta,
    hidden_deltas,
    weight_gradients,
    proof,
    training,
    onward,
)


# --- the graphs, and what is read off them ---


def _formula(w: float = 0.5, x: float = 2.0, b: float = -0.4) -> Value:
    z = Value(w, "w") * Value(x, "x") + Value(b, "b")
    y = tanh(z)
    z.label, y.label = "z", "y"
    return y


def _model() -> MLP:
    return MLP(len(X), [2, 1], "tanh", "tanh", seed=4)


def _sample() -> Value:
    return sample_graph(_model(), X, Y)


def _named(root: Value) -> dict[str, Value]:
    return {node.label: node for node in topological_order(root) if node.label}


def _grad(y: Value, v: Value) -> float:
    y.backward()
    return v.grad


def _data(v: Value | float) -> float:
    return v.data if isinstance(v, Value) else v


def _factors(path: Iterable[Step]) -> str:
    return " × ".join(_bracketed(step.local or 0.0) for step in path)


def _answers(model: MLP, X: list[list[float]]) -> list[float]:
    with no_grad():
        return [model(x).data for x in X]


# --- how they are written ---


def _factor(v: Value | float) -> str:
    return _bracketed(_data(v))


def _bracketed(x: float) -> str:
    return f"({short(x)})" if x < 0.0 else short(x)


def _list(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}"


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str | float]]) -> str:
    """Words to the left, numbers to the right, indented."""
    cells = [[cell if isinstance(cell, str) else short(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells)]
    right = [not isinstance(cell, str) for cell in rows[0]]
    return _lines(
        "    " + "  ".join(f"{cell:{'>' if r else '<'}{width}}" for cell, width, r in zip(row, widths, right)).rstrip()
        for row in (headings, *cells)
    )


def _steps(steps: Iterable[Step]) -> str:
    """Steps of the chain rule as a table."""
    return _table(
        ["from", "to", "upstream", "local", "contribution", "", "sum"],
        [
            [
                step.names[step.node].text,
                step.names[step.arg].text,
                step.upstream,
                step.local or 0.0,
                step.contribution or 0.0,
                f"{step.place} of {step.of}",
                step.after,
            ]
            for step in steps
        ],
    )


def _tree(root: Value) -> str:
    """A graph as an indented list with the value of each node, users above what they use."""
    names = explain(root).names
    rows: list[list[str | float]] = []
    stack: list[tuple[Value, str, str]] = [(root, "", "")]
    while stack:
        node, before, below = stack.pop()
        rows.append([before + (names.definition(node) if node.op else names[node]).text, node.data])
        operands = [arg for arg in node.args if isinstance(arg, Value)]
        for arg in reversed(operands):
            last = arg is operands[-1]
            stack.append((arg, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  ")))
    return _table(["graph", "value"], rows)


def _chart(heights: Sequence[float], width: int = 60, rows: int = 5) -> str:
    """A row of columns from 0 up."""
    picked = [heights[k * (len(heights) - 1) // (width - 1)] for k in range(width)]
    top = max(picked)
    levels = [round(8 * rows * height / top) for height in picked]
    lines = []
    for row in reversed(range(rows)):
        bars = "".join(BLOCKS[min(max(level - 8 * row, 0), 8)] for level in levels)
        label = short(top) if row == rows - 1 else ""
        lines.append(f"  {label:>6} │{bars}".rstrip())
    return _lines(
        [
            *lines,
            f"       0 └{'─' * width}",
            f"         J by epoch: {short(heights[0])} in the first, {short(heights[-1])} in the last",
        ]
    )


BLOCKS = " ▁▂▃▄▅▆▇█"


# --- the terminal ---


def tour(stdin: TextIO, stdout: TextIO) -> None:
    """Show the tour, screen by screen as the reader asks; all at once where stdin or stdout is no terminal."""
    alphabet = _alphabet(stdout)
    if not (stdin.isatty() and stdout.isatty()):
        for number, make in enumerate(SCREENS, 1):
            screen = make()
            lines = _page(number, screen, alphabet)
            if screen.question:
                lines += ["", f"? {screen.question.words} {screen.question.solution}".translate(alphabet)]
            stdout.write("\n".join([*lines, "", ""]))
        return
    number, note = 1, ""
    while number <= len(SCREENS):
        screen = SCREENS[number - 1]()
        if screen.question:
            note = note or f"? {screen.question.words} Type = and the answer, such as =1.5"
        keys = f"Enter {'next' if number < len(SCREENS) else 'end'} · b back · 1-{len(SCREENS)} go to · q quit > "
        lines = _page(number, screen, alphabet)
        lines += [*[""] * (len(lines) < HEIGHT - 2), note.translate(alphabet), keys.translate(alphabet)]
        stdout.write(CLEAR + _styled("\n".join(lines)))
        stdout.flush()
        line = stdin.readline()
        if not line:
            stdout.write("\n")
            return
        number, note = _answer(line.strip(), number, screen)


def _page(number: int, screen: Screen, alphabet: Alphabet) -> list[str]:
    """The screen in lines of at most WIDTH letters: its paragraphs are filled; what is indented, code or labelled
    stays as it is."""
    place = f"{number}/{len(SCREENS)}"
    title, body = screen.title.translate(alphabet), screen.body.strip("\n").translate(alphabet)
    lines = [f"{title:<{WIDTH - len(place)}}{place}", "─".translate(alphabet) * WIDTH]
    for paragraph in body.split("\n\n"):
        as_it_is = re.search(r"^(    |>>> |E\d)", paragraph, re.MULTILINE)
        lines += [*(paragraph.split("\n") if as_it_is else wrap(paragraph, WIDTH)), ""]
    return lines[:-1]


def _answer(typed: str, number: int, screen: Screen) -> tuple[int, str]:
    """The number of the screen to show next, and what to say about what was typed."""
    if typed in ("", "b", "q"):
        return {"": number + 1, "b": max(1, number - 1), "q": len(SCREENS) + 1}[typed], ""
    if typed.isdecimal() and 1 <= int(typed) <= len(SCREENS):
        return int(typed), ""
    if typed.startswith("=") and screen.question:
        return number, screen.question.verdict(typed[1:].strip())
    return number, f"{typed!r:.20}: expected Enter, b, q or a number from 1 to {len(SCREENS)}"


Alphabet: TypeAlias = dict[int, str]
ASCII: Alphabet = str.maketrans(
    {
        "∂": "d", "δ": "delta", "λ": "lambda", "α": "alpha", "Σ": "sum", "½": "1/2", "²": "^2", "‖": "|", "×": "*",
        "·": "*", "−": "-", "→": "->", "←": "<-", "─": "-", "│": "|", "├": "|", "└": "`",
        **dict(zip("▁▂▃▄▅▆▇█", "..::::##")),
    }
)  # fmt: skip


def _alphabet(stream: TextIO) -> Alphabet:
    """How letters are written on a stream: as they are, if it can write them all."""
    try:
        "".join(map(chr, ASCII)).encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return ASCII
    return {}


CLEAR = "\x1b[H\x1b[2J"


def _styled(text: str) -> str:
    """Titles, equations and code in bold and colour, unless the reader has asked for none (https://no-color.org)."""
    if os.environ.get("NO_COLOR"):
        return text
    for pattern, code in STYLES.items():
        text = re.sub(pattern, f"\x1b[{code}m\\g<0>\x1b[0m", text, flags=re.MULTILINE)
    return text


STYLES = {r"\A.*$": "1", r"^E\d\b.*$": "1;34", r"^(>>>|tinygrad-sq) .*$": "36", r"^\? .*$": "1;33"}
