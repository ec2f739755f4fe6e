"""Lower: the rolled program as LLVM IR, with vectors over samples.

A row is a vector of LLVM's, one number per sample of a block; a scalar is broadcast. The kernel is

    kernel(inputs, order, scalars, rows, outputs, first, last, weight)

inputs   a pointer for each argument of the function, to samples x width numbers
order    the samples' numbers, in the order in which to take them: those from `first` to before `last` are taken
scalars  parameters, constants, room for what is computed from them alone
rows     room for one block
outputs  sums over the samples are added to them; or the values per sample, an array for each output
weight   the seed of each sample, 1/m for the mean of m; the rest of the last block repeats a sample with weight 0

and run(call) is the same with these eight, eight bytes each, behind the one pointer `call`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

from tinygrad_sq.compiler.roll import ROW, Nest, Rolled, Segment, Vector
from tinygrad_sq.compiler.tape import PRODUCTS

# The vector function of libm for a name and a number of operands: its symbol and its lanes; None if there is none.
Libm: TypeAlias = "Callable[[str, int], tuple[str, int] | None]"


class Target(NamedTuple):
    """What to lower for.

    width       samples in a row, which is one vector of LLVM's
    real        LLVM's name of the number type, double or float
    per_sample  outputs are kept per sample, not summed
    libm        the vector functions there are
    """

    width: int
    real: str
    per_sample: bool
    libm: Libm


_PART = 64  # nests in a function
_TOGETHER = 4  # rounds of an innermost loop that are worked on at once


class _Emitter:
    def __init__(self, program: Rolled, target: Target) -> None:
        self.program = program
        self.width, self.real, self.per_sample, self.libm = target
        self.suffix, self.size = ("f64", 8) if self.real == "double" else ("f32", 4)
        self.lines: list[str] = []
        self.functions: list[str] = []
        self.declared: set[str] = set()
        self.count = 0
        self.label = "entry"
        self.vector = f"<{self.width} x {self.real}>" if self.width > 1 else self.real

    def new(self, text: str) -> str:
        self.count += 1
        name = f"%t{self.count}"
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def start(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.label = label

    @contextmanager
    def loop(
        self, n: int | str, carried: tuple[tuple[str, str], ...] = ()
    ) -> Iterator[tuple[str, list[str], list[str]]]:
        """A loop of n rounds: gives its counter, the carried values as a round begins, and a list for those at its end.

        After the loop, the carried values are those that the list then holds (it has at least one round).
        """
        self.count += 1
        k = self.count
        before = self.label
        self.do(f"br label %loop{k}")
        self.start(f"loop{k}")
        at = len(self.lines)
        values = [f"%c{k}.{j}" for j in range(len(carried))]
        ends: list[str] = []
        yield f"%i{k}", values, ends
        self.do(f"%n{k} = add nuw nsw i64 %i{k}, 1")
        self.do(f"%d{k} = icmp eq i64 %n{k}, {n}")
        last = self.label
        self.do(f"br i1 %d{k}, label %end{k}, label %loop{k}")
        phis = [f"  %i{k} = phi i64 [ 0, %{before} ], [ %n{k}, %{last} ]"]
        for value, (kind, initial), end in zip(values, carried, ends):
            phis.append(f"  {value} = phi {kind} [ {initial}, %{before} ], [ {end}, %{last} ]")
        self.lines[at:at] = phis
        self.start(f"end{k}")

    # --- addresses ---

    def affine(self, start: str | int, terms: list[tuple[str, int]]) -> str:
        """start + Σ counter · stride."""
        value = str(start)
        for counter, stride in terms:
            if stride == 0:
                continue
            product = counter if stride == 1 else self.new(f"mul nsw i64 {counter}, {stride}")
            value = product if value == "0" else self.new(f"add nsw i64 {value}, {product}")
        return value

    def from_table(self, index: str) -> str:
        pointer = self.new(f"getelementptr i64, ptr @table, i64 {index}")
        return self.new(f"load i64, ptr {pointer}")

    def at(self, base: str, index: str) -> str:
        return self.new(f"getelementptr {self.real}, ptr {base}, i64 {index}")

    def row(self, place: str) -> str:
        return self.at("%rows", self.new(f"mul nsw i64 {place}, {self.width}"))

    def load(self, space: str, place: str, uniform: bool) -> str:
        if space == ROW:
            return self.new(f"load {self.vector}, ptr {self.row(place)}, align {self.size}")
        return self.splat(self.new(f"load {self.real}, ptr {self.at('%scalars', place)}"), uniform)

    def splat(self, scalar: str, uniform: bool) -> str:
        if uniform or self.width == 1:
            return scalar
        one = self.new(f"insertelement {self.vector} poison, {self.real} {scalar}, i64 0")
        return self.new(
            f"shufflevector {self.vector} {one}, {self.vector} poison, <{self.width} x i32> zeroinitializer"
        )

    # --- arithmetic ---

    def kind(self, uniform: bool) -> str:
        return self.real if uniform else self.vector

    def call(self, native: str, operands: list[str], uniform: bool) -> str:
        """One operation: an LLVM instruction or intrinsic, or a function of libm. A truth value is 1.0 or 0.0."""
        kind, scalar = self.kind(uniform), uniform or self.width == 1
        truths = "i1" if scalar else f"<{self.width} x i1>"
        if native == "copy":
            return operands[0]
        if native.startswith("fcmp"):
            truth = self.new(f"{native} {kind} {operands[0]}, {operands[1]}")
            return self.new(f"uitofp {truths} {truth} to {kind}")
        if native == "select":
            truth = self.new(f"fcmp une {kind} {operands[0]}, {'0.0' if scalar else 'zeroinitializer'}")
            return self.new(f"select {truths} {truth}, {kind} {operands[1]}, {kind} {operands[2]}")
        if native.startswith("llvm."):
            return self.function(f"{native}.{'' if scalar else f'v{self.width}'}{self.suffix}", kind, operands)
        if native in ("fadd", "fsub", "fmul", "fdiv", "fneg"):
            return self.new(f"{native} {kind} {', '.join(operands)}")
        if scalar:
            return self.function(self.scalar_name(native), kind, operands)
        if (found := self.libm(native, len(operands))) is not None:
            return self.pieces(*found, operands)
        return self.each(native, operands)

    def scalar_name(self, native: str) -> str:
        return native if self.real == "double" else f"{native}f"

    def function(self, symbol: str, kind: str, operands: list[str]) -> str:
        self.declared.add(f"declare {kind} @{symbol}({', '.join([kind] * len(operands))})")
        return self.new(f"call {kind} @{symbol}({', '.join(f'{kind} {x}' for x in operands)})")

    def pieces(self, symbol: str, lanes: int, operands: list[str]) -> str:
        """A vector function of fewer lanes, on one piece after the other."""
        parts = []
        for start in range(0, self.width, lanes):
            cut = [self.shuffle(x, x, self.width, range(start, start + lanes)) for x in operands]
            parts.append(self.function(symbol, f"<{lanes} x {self.real}>", cut))
        while len(parts) > 1:
            parts = [self.shuffle(a, b, lanes, range(2 * lanes)) for a, b in zip(parts[::2], parts[1::2])]
            lanes *= 2
        return parts[0]

    def each(self, native: str, operands: list[str]) -> str:
        """A scalar function, lane by lane."""
        with self.loop(self.width, ((self.vector, "zeroinitializer"),)) as (lane, (result,), ends):
            cut = [self.new(f"extractelement {self.vector} {x}, i64 {lane}") for x in operands]
            y = self.function(self.scalar_name(native), self.real, cut)
            ends.append(self.new(f"insertelement {self.vector} {result}, {self.real} {y}, i64 {lane}"))
        return ends[0]

    # --- nests ---

    def nest(self, nest: Nest, counters: tuple[tuple[str, Vector], ...] = ()) -> None:
        """The loops; some rounds of the innermost together, so that they share the operands that they all have."""
        if nest.table:
            ((rounds, (size,)),) = nest.loops
            with self.loop(rounds) as (i, _, _):
                at = self.affine(nest.places[0], [(i, size)])
                self.rounds(nest, [[self.from_table(self.affine(at, [(str(j), 1)])) for j in range(size)]])
        elif not nest.loops:
            self.rounds(nest, [[str(place) for place in nest.places]])
        elif len(counters) < len(nest.loops) - 1:
            loop = nest.loops[len(counters)]
            with self.loop(loop.rounds) as (i, _, _):
                self.nest(nest, (*counters, (i, loop.strides)))
        else:
            rounds, strides = nest.loops[-1]
            together = _TOGETHER if rounds >= _TOGETHER and self.width > 1 else 1
            rest = rounds % together
            for first, count, step in ((0, rounds // together, together), (rounds - rest, rest, 1)):
                if count:
                    with self.loop(count) as (i, _, _):
                        moves = (*counters, (i, tuple([step * stride for stride in strides])))
                        starts = [[p + (first + r) * s for p, s in zip(nest.places, strides)] for r in range(step)]
                        self.rounds(nest, [self.places(start, moves) for start in starts])

    def places(self, start: Sequence[int], counters: tuple[tuple[str, Vector], ...]) -> list[str]:
        return [self.affine(p, [(i, strides[k]) for i, strides in counters]) for k, p in enumerate(start)]

    def rounds(self, nest: Nest, places: list[list[str]]) -> None:
        """Rounds of the innermost loop, given their places: their results, for all samples of the block."""
        operands = [operands for _, *operands in places]
        results = [result for result, *_ in places]
        if nest.uniform:
            for result, value in zip(results, self.values(nest, operands)):
                self.do(f"store {self.real} {value}, ptr {self.at('%scalars', result)}")
        elif nest.sink and not self.per_sample:
            sums = self.values(nest, operands)
            if len(sums) == _TOGETHER and nest.loops[-1].strides[0] == 1:
                self.add_up_four(sums, self.at("%outputs", results[0]))
            else:
                for result, value in zip(results, sums):
                    self.add_up(value, self.at("%outputs", result))
        else:
            for result, value in zip(results, self.values(nest, operands)):
                if nest.sink:
                    place = self.new(f"add i64 {self.new(f'mul i64 {result}, %padded')}, %sample")
                    pointer = self.at("%outputs", place)
                else:
                    pointer = self.row(result)
                self.do(f"store {self.vector} {value}, ptr {pointer}, align {self.size}")

    def add_up(self, value: str, pointer: str) -> None:
        old = self.new(f"load {self.real}, ptr {pointer}")
        if self.width == 1:
            new = self.new(f"fadd {self.real} {old}, {value}")
        else:
            name = f"llvm.vector.reduce.fadd.v{self.width}{self.suffix}"
            self.declared.add(f"declare {self.real} @{name}({self.real}, {self.vector})")
            new = self.new(f"call reassoc {self.real} @{name}({self.real} {old}, {self.vector} {value})")
        self.do(f"store {self.real} {new}, ptr {pointer}")

    def add_up_four(self, values: list[str], pointer: str) -> None:
        """Four sums over the samples to neighbouring outputs: fewer steps together than one by one."""
        a, b, c, d = (self.halved(value, self.width, 8) for value in values)
        ab, cd = self.across(a, b, 1), self.across(c, d, 1)
        four = self.halved(self.across(ab, cd, 2), 8, 4)
        kind = f"<4 x {self.real}>"
        old = self.new(f"load {kind}, ptr {pointer}, align {self.size}")
        self.do(f"store {kind} {self.new(f'fadd {kind} {old}, {four}')}, ptr {pointer}, align {self.size}")

    def halved(self, value: str, lanes: int, least: int) -> str:
        """The lower half plus the upper half, until `least` lanes are left."""
        while lanes > least:
            halves = [self.shuffle(value, value, lanes, range(k, k + lanes // 2)) for k in (0, lanes // 2)]
            lanes //= 2
            value = self.new(f"fadd <{lanes} x {self.real}> {', '.join(halves)}")
        return value

    def across(self, a: str, b: str, n: int) -> str:
        """In groups of n lanes of eight: a's first plus second, b's first plus second, a's third plus fourth, ..."""
        first = [k + lane for k in range(0, 8, 2 * n) for side in (0, 8) for lane in range(side, side + n)]
        parts = [self.shuffle(a, b, 8, [lane + shift for lane in first]) for shift in (0, n)]
        return self.new(f"fadd <8 x {self.real}> {', '.join(parts)}")

    def shuffle(self, a: str, b: str, lanes: int, mask: Iterable[int]) -> str:
        kind, chosen = f"<{lanes} x {self.real}>", [f"i32 {lane}" for lane in mask]
        return self.new(f"shufflevector {kind} {a}, {kind} {b}, <{len(chosen)} x i32> <{', '.join(chosen)}>")

    def values(self, nest: Nest, operands: list[list[str]]) -> list[str]:
        if nest.native != PRODUCTS:
            return [
                self.call(
                    nest.native,
                    [self.load(s, p, nest.uniform) for s, p in zip(nest.spaces, each)],
                    nest.uniform,
                )
                for each in operands
            ]
        totals = [self.load(nest.spaces[0], bias, nest.uniform) for bias, *_ in operands]
        for k, segment in enumerate(nest.segments):
            starts = [(each[1 + 2 * k], each[2 + 2 * k]) for each in operands]
            totals = self.products(segment, starts, totals, nest.uniform)
        return totals

    def products(self, segment: Segment, starts: list[tuple[str, str]], totals: list[str], uniform: bool) -> list[str]:
        """Add a segment's terms to several sums at once."""
        kind = self.kind(uniform)
        with self.loop(segment.terms, tuple([(kind, total) for total in totals])) as (k, before, ends):
            for (w, x), total in zip(starts, before):
                if segment.table:
                    at = self.affine(w, [(k, 2)])
                    places = [self.from_table(at), self.from_table(self.affine(at, [("1", 1)]))]
                else:
                    places = [self.affine(start, [(k, s)]) for start, s in zip((w, x), segment.strides)]
                factors = [self.load(s, p, uniform) for s, p in zip(segment.spaces, places)]
                ends.append(self.call("llvm.fma", [*factors, total], uniform))
        return ends

    # --- the kernel ---

    def kernel(self, arguments: list[int]) -> str:
        self.nests([nest for nest in self.program.nests if nest.uniform])
        samples = self.new("sub i64 %last, %first")
        blocks = self.new(f"udiv i64 {self.new(f'add i64 {samples}, {self.width - 1}')}, {self.width}")
        self.do(f"%padded = mul i64 {blocks}, {self.width}")
        final = self.new("sub i64 %last, 1")
        with self.loop(blocks) as (b, _, _):
            self.do(f"%sample = mul i64 {b}, {self.width}")
            first = self.new("add i64 %first, %sample")
            self.load_block(arguments, first, final)
            self.nests([nest for nest in self.program.nests if not nest.uniform])
        types = [*["ptr noalias"] * 5, "i64", "i64", self.real]
        names = ("inputs", "order", "scalars", "rows", "outputs", "first", "last", "weight")
        self.define("define internal void @kernel", [f"{kind} %{name}" for kind, name in zip(types, names)])
        values = []
        for k, kind in enumerate(types):
            kind = kind.removesuffix(" noalias")
            value = self.new(f"load {kind}, ptr {self.new(f'getelementptr i64, ptr %call, i64 {k}')}")
            values.append(f"{kind} {value}")
        self.do(f"call void @kernel({', '.join(values)})")
        self.define("define void @run", ["ptr noalias %call"])
        table = ", ".join(f"i64 {x}" for x in self.program.table) or "i64 0"
        size = max(1, len(self.program.table))
        return "\n".join(
            [f"@table = internal constant [{size} x i64] [{table}]", *sorted(self.declared), *self.functions]
        )

    def define(self, head: str, parameters: list[str], attributes: str = "") -> None:
        """The lines so far, as a function."""
        self.functions += [f"{head}({', '.join(parameters)}) {attributes}{{", "entry:", *self.lines, "  ret void", "}"]
        self.lines = []

    def nests(self, nests: list[Nest]) -> None:
        """The nests one after the other; many of them in functions of their own, since LLVM's time on one function
        grows faster than the function."""
        if len(nests) <= _PART:
            for nest in nests:
                self.nest(nest)
            return
        caller, label = self.lines, self.label
        parameters = ["ptr noalias %scalars", "ptr noalias %rows", "ptr noalias %outputs", "i64 %sample", "i64 %padded"]
        uniform = nests[0].uniform
        for start in range(0, len(nests), _PART):
            self.lines, self.label = [], "entry"
            for nest in nests[start : start + _PART]:
                self.nest(nest)
            name = f"part{len(self.functions)}"
            self.define(f"define internal void @{name}", parameters, "noinline ")
            given = [parameter.replace("noalias ", "") for parameter in parameters]
            caller.append(f"  call void @{name}({', '.join([*given[:3], 'i64 0', 'i64 0'] if uniform else given)})")
        self.lines, self.label = caller, label

    def load_block(self, arguments: list[int], first: str, final: str) -> None:
        """Copy the block's samples into rows, and their weights behind them."""
        sources = [
            self.new(f"load ptr, ptr {self.new(f'getelementptr ptr, ptr %inputs, i64 {j}')}")
            for j in range(len(arguments))
        ]
        with self.loop(self.width) as (lane, _, _):
            turn = self.affine(first, [(lane, 1)])
            inside = self.new(f"icmp ule i64 {turn}, {final}")
            turn = self.new(f"select i1 {inside}, i64 {turn}, i64 {final}")
            sample = self.new(f"load i64, ptr {self.new(f'getelementptr i64, ptr %order, i64 {turn}')}")
            place = 0
            for source, width in zip(sources, arguments):
                if width == 0:
                    continue
                start = self.new(f"mul i64 {sample}, {width}")
                with self.loop(width) as (k, _, _):
                    x = self.new(f"load {self.real}, ptr {self.at(source, self.affine(start, [(k, 1)]))}")
                    self.do(f"store {self.real} {x}, ptr {self.at(self.row(self.affine(place, [(k, 1)])), lane)}")
                place += width
            weight = self.new(f"select i1 {inside}, {self.real} %weight, {self.real} 0.0")
            self.do(f"store {self.real} {weight}, ptr {self.at(self.row(str(place)), lane)}")


def lower(program: Rolled, arguments: list[int], target: Target) -> str:
    """The IR of `program`, a function whose arguments hold so many numbers each (the seed comes behind them)."""
    return _Emitter(program, target).kernel(arguments)
