"""`Op`: what a row of the derivative table is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from numbers import Complex, Number, Real
from sys import maxsize
from types import MethodType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, overload

if TYPE_CHECKING:
    from tinygrad_sq.value import Value

Partial: TypeAlias = "float | Callable[..., Any] | None"
Interval: TypeAlias = "tuple[float, float]"

REALS: Interval = (-inf, inf)
POSITIVE: Interval = (0.0, inf)
UNIT: Interval = (-1.0, 1.0)
CLOSED = 5  # the precedence of a formula that needs no parentheses

rows: dict[str, Op] = {}


class Recorder(Protocol):
    """What a row asks of an operand that is not a number: to record the call. A `Value` does."""

    def __record__(self, op: Op, args: tuple[Any, ...]) -> Any: ...


R = TypeVar("R", bound=Recorder)


def number(x: object) -> float:
    """`x` as a float. Accepts int, bool, float, Fraction, Decimal, NumPy scalars; raises TypeError for the rest."""
    if type(x) is float:
        return x
    if getattr(x, "shape", None) == ():  # a NumPy scalar, or an array without dimensions
        x = x.item()  # type: ignore[attr-defined]
    if isinstance(x, Number) and (isinstance(x, Real) or not isinstance(x, Complex)):  # Decimal is neither
        try:
            return float(x)  # type: ignore[arg-type]
        except OverflowError:
            raise OverflowError(f"{type(x).__name__} too large for a float (the largest is 1.8e308)") from None
    expected = "a real number (int, float, bool, Fraction, Decimal, NumPy scalar) or, as an operand, a Value"
    raise TypeError(f"expected {expected}, got {type(x).__name__} {x!r:.60}")


class Op:
    """One primitive.

    name        what it is called, everywhere
    forward     its value, floats to float; never raises. None: `native` does it, whose rows take floats as well
    partials    per operand, the partial derivative: a float where it is constant, or a function of the output and the
                operands. None in place of a number means that the output does not depend on that operand at all (the
                branch that `where` did not take). Or one function for all of them, as rows of many operands have
    symbol      what a picture writes in the node
    text, latex the formula, as a function of the operands' formulas. Given as such, as a template `{0} ... {1}`, where
                `{0:2}` puts parentheses around an operand that binds less tightly than 2, or as a function's name
    precedence  how tightly the text binds: 1 sum, 2 product, 3 sign, 4 power, 5 anything closed; latex_precedence,
                where the LaTeX formula binds differently
    arity       how many operands it takes: a number or a range
    operands    turns the arguments of a call into the operands, where they differ: defaults, lists
    domain      the open interval of each operand (of all, where there is one) on which the row is real
    analytic    the forward function on complex numbers, if it has one there; `gradcheck` uses it
    native      the forward function in native code: an LLVM instruction ("fadd"), intrinsic ("llvm.fabs") or function
                of libm ("tanh"), or a function of the operands that gives such a name or spells it with other rows.
                None: cannot be compiled
    products    for a row that is a sum of products, its terms [(x, y), ...] and what is added to them
    kink        distance of a point from the nearest one in the domain where the row is not smooth; None: smooth
    method      whether `v.name()` reads well, so that Value has it as a method
    """

    def __init__(
        self,
        name: str,
        forward: Callable[..., float] | None,
        partials: tuple[Partial, ...] | Callable[..., tuple[Any, ...]],
        doc: str,
        *,
        symbol: str = "",
        text: str | Callable[..., str] = "",
        latex: str | Callable[..., str] = "",
        precedence: int = CLOSED,
        latex_precedence: int = 0,
        arity: int | range = 1,
        operands: Callable[..., tuple[Any, ...]] | None = None,
        domain: tuple[Interval, ...] = (REALS,),
        analytic: Callable[..., complex] | None = None,
        native: str | Callable[..., Any] | None = None,
        products: Callable[..., tuple[list[tuple[Any, Any]], Any]] | None = None,
        kink: Callable[..., float] | None = None,
        method: bool = True,
    ) -> None:
        if name in rows:
            raise ValueError(f"the table has a row {name!r} already")
        self.name = name
        self.forward: Callable[..., float] = forward or native  # type: ignore[assignment]
        self.partials = partials
        self.gradient = _gradient(partials)
        self.__doc__ = f"{name}: {doc}"
        self.symbol = symbol or name
        escaped = name.replace("_", r"\_")
        self.text = _writer(text, name, "(", ")")
        self.latex = _writer(latex, rf"\operatorname{{{escaped}}}", r"\left(", r"\right)")
        self.precedence = precedence
        self.latex_precedence = latex_precedence or precedence
        self.arity = arity
        self.operands = operands
        self.domain = domain
        self.analytic = analytic
        self.native = native
        self.products = products
        self.kink = kink
        self.method = method
        rows[name] = self

    @overload
    def __call__(self, *args: float | Iterable[float]) -> float: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, *args: Value | float | Iterable[Value | float]) -> Value: ...
    @overload
    def __call__(self, *args: R | float | Iterable[R | float]) -> R: ...
    def __call__(self, *args: Any) -> Any:
        if self.operands is not None:
            args = self.operands(*args)
        if len(args) != self.arity and (isinstance(self.arity, int) or len(args) not in self.arity):
            raise TypeError(f"{self.name} takes {_operands(self.arity)}, got {len(args)}")
        for arg in args:
            if type(arg) is not float:
                return self._call_mixed(args)
        return self.forward(*args)

    def _call_mixed(self, args: tuple[Any, ...]) -> Any:
        for arg in args:
            if hasattr(arg, "__record__"):
                return arg.__record__(self, args)
        return self.forward(*map(number, args))

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """A row that is a class attribute is a method."""
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<row {self.name}>"

    def __reduce__(self) -> tuple[Callable[[str], Op], tuple[str]]:
        return row, (self.name,)


def _gradient(partials: tuple[Partial, ...] | Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """All partials at once, as a function of the output and the operands. Unrolled, since every node calls it."""
    if not isinstance(partials, tuple):
        return partials
    if not any(map(callable, partials)):
        return (lambda z, x, y: partials) if len(partials) == 2 else _constant(partials)
    functions = [d if callable(d) else _constant(d) for d in partials]
    if len(functions) == 1:
        (f,) = functions
        return lambda y, x: (f(y, x),)
    if len(functions) == 2:
        f, g = functions
        return lambda z, x, y: (f(z, x, y), g(z, x, y))
    return lambda y, *xs: tuple([d(y, *xs) for d in functions])


def _writer(formula: str | Callable[..., str], function: str, left: str, right: str) -> Callable[..., str]:
    if callable(formula):
        return formula
    return formula.format if "{" in formula else lambda *args: f"{formula or function}{left}{commas(*args)}{right}"


def _constant(c: Any) -> Callable[..., Any]:
    return lambda *args: c


def _operands(arity: int | range) -> str:
    """How many: "1 operand", "at least 2 operands", "2, 3 operands", "1, 3, 5, ... operands"."""
    if isinstance(arity, int):
        many = f"{arity}"
    elif arity.stop >= maxsize and arity.step == 1:
        many = f"at least {arity.start}"
    else:
        many = ", ".join(map(str, arity[:3])) + (", ..." if arity[3:] else "")
    return f"{many} operand" if many.split()[-1] == "1" else f"{many} operands"


def row(name: str) -> Op:
    """The row called `name`; ValueError with the nearest names if there is none."""
    try:
        return rows[name]
    except KeyError:
        from difflib import get_close_matches

        near = get_close_matches(name, rows, 3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"the table has no primitive {name!r}{hint}") from None


def commas(*args: object) -> str:
    return ", ".join(map(str, args))


def counted(n: int, noun: str) -> str:
    """ "1 row", "2 rows"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
