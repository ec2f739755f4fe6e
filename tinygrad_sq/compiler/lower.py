"""Lower: the rolled program as LLVM IR, with vectors over samples.

A row is one number per sample of a block, and is worked on in vectors; a scalar is broadcast. The kernel is

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

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

from tinygrad_sq.compiler.roll import ROW, Nest, Rolled, Segment, Vector
from tinygrad_sq.compiler.tape import PRODUCTS

# The vector function of libm for a name and a number of operands: its symbol and its lanes; None if there is none.
Libm: TypeAlias = "Callable[[str, int], tuple[str, int] | None]"


class Target(NamedTuple):
    """What to lower for.

    block       samples in a row
    width       samples in a vector: block is a multiple of it
    real        LLVM's name of the number type, double or float
    per_sample  outputs are kept per sample, not summed
    libm        the vector functions there are
    """

    block: int
    width: int
    real: str
    per_sample: bool
    libm: Libm


_PART = 64  # nests in a function


class _Emitter:
    def __init__(self, program: Rolled, target: Target) -> None:
        self.program = program
        self.block, self.width, self.real, self.per_sample, self.libm = target
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

    def row(self, place: str, chunk: str) -> str:
        pointer = self.at("%rows", self.new(f"mul nsw i64 {place}, {self.block}"))
        return pointer if chunk == "0" else self.at(pointer, chunk)

    def load(self, space: str, place: str, chunk: str, uniform: bool) -> str:
        if space == ROW:
            return self.new(f"load {self.vector}, ptr {self.row(place, chunk)}, align {self.size}")
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
            mask = ", ".join(f"i32 {i}" for i in range(start, start + lanes))
            cut = [
                self.new(f"shufflevector {self.vector} {x}, {self.vector} poison, <{lanes} x i32> <{mask}>")
                for x in operands
            ]
            parts.append(self.function(symbol, f"<{lanes} x {self.real}>", cut))
        while len(parts) > 1:
            half, both = f"<{lanes} x {self.real}>", ", ".join(f"i32 {i}" for i in range(2 * lanes))
            parts = [
                self.new(f"shufflevector {half} {a}, {half} {b}, <{2 * lanes} x i32> <{both}>")
                for a, b in zip(parts[::2], parts[1::2])
            ]
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
        if len(counters) < len(nest.loops):
            loop = nest.loops[len(counters)]
            with self.loop(loop.rounds) as (i, _, _):
                self.nest(nest, (*counters, (i, loop.strides)))
        elif nest.table:
            ((i, (size,)),) = counters
            at = self.affine(nest.places[0], [(i, size)])
            self.body(nest, [self.from_table(self.affine(at, [(str(j), 1)])) for j in range(size)])
        else:
            strides = [[(i, s[j]) for i, s in counters] for j in range(len(nest.places))]
            self.body(nest, [self.affine(place, terms) for place, terms in zip(nest.places, strides)])

    def body(self, nest: Nest, places: list[str]) -> None:
        """The innermost round: one result, of all samples of the block."""
        result, *operands = places
        if nest.uniform:
            self.do(f"store {self.real} {self.value(nest, operands, '0')}, ptr {self.at('%scalars', result)}")
        elif nest.sink and not self.per_sample:
            with self.chunks(((self.vector, "zeroinitializer"),)) as (chunk, before, ends):
                ends.append(self.new(f"fadd {self.vector} {before[0]}, {self.value(nest, operands, chunk)}"))
            self.add_up(ends[0], self.at("%outputs", result))
        else:
            with self.chunks() as (chunk, _, _):
                value = self.value(nest, operands, chunk)
                if nest.sink:
                    place = self.new(f"add i64 {self.new(f'mul i64 {result}, %padded')}, %sample")
                    pointer = self.at(self.at("%outputs", place), chunk)
                else:
                    pointer = self.row(result, chunk)
                self.do(f"store {self.vector} {value}, ptr {pointer}, align {self.size}")

    @contextmanager
    def chunks(self, carried: tuple[tuple[str, str], ...] = ()) -> Iterator[tuple[str, list[str], list[str]]]:
        """A loop over the vectors of a row; none where there is one vector."""
        if self.block == self.width:
            yield "0", [initial for _, initial in carried], []
        else:
            with self.loop(self.block // self.width, carried) as (c, values, ends):
                yield self.new(f"mul nuw nsw i64 {c}, {self.width}"), values, ends

    def add_up(self, value: str, pointer: str) -> None:
        old = self.new(f"load {self.real}, ptr {pointer}")
        if self.width == 1:
            new = self.new(f"fadd {self.real} {old}, {value}")
        else:
            name = f"llvm.vector.reduce.fadd.v{self.width}{self.suffix}"
            self.declared.add(f"declare {self.real} @{name}({self.real}, {self.vector})")
            new = self.new(f"call reassoc {self.real} @{name}({self.real} {old}, {self.vector} {value})")
        self.do(f"store {self.real} {new}, ptr {pointer}")

    def value(self, nest: Nest, operands: list[str], chunk: str) -> str:
        if nest.native != PRODUCTS:
            loaded = [self.load(s, p, chunk, nest.uniform) for s, p in zip(nest.spaces, operands)]
            return self.call(nest.native, loaded, nest.uniform)
        bias, *starts = operands
        total = self.load(nest.spaces[0], bias, chunk, nest.uniform)
        for segment, w, x in zip(nest.segments, starts[::2], starts[1::2]):
            total = self.products(segment, w, x, total, chunk, nest.uniform)
        return total

    def products(self, segment: Segment, w: str, x: str, total: str, chunk: str, uniform: bool) -> str:
        with self.loop(segment.terms, ((self.kind(uniform), total),)) as (k, (before,), ends):
            if segment.table:
                at = self.affine(w, [(k, 2)])
                places = [self.from_table(at), self.from_table(self.affine(at, [("1", 1)]))]
            else:
                places = [self.affine(start, [(k, s)]) for start, s in zip((w, x), segment.strides)]
            factors = [self.load(s, p, chunk, uniform) for s, p in zip(segment.spaces, places)]
            ends.append(self.call("llvm.fma", [*factors, before], uniform))
        return ends[0]

    # --- the kernel ---

    def kernel(self, arguments: list[int]) -> str:
        self.nests([nest for nest in self.program.nests if nest.uniform])
        samples = self.new("sub i64 %last, %first")
        blocks = self.new(f"udiv i64 {self.new(f'add i64 {samples}, {self.block - 1}')}, {self.block}")
        self.do(f"%padded = mul i64 {blocks}, {self.block}")
        final = self.new("sub i64 %last, 1")
        with self.loop(blocks) as (b, _, _):
            self.do(f"%sample = mul i64 {b}, {self.block}")
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
        with self.loop(self.block) as (lane, _, _):
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
                    self.do(f"store {self.real} {x}, ptr {self.at(self.row(self.affine(place, [(k, 1)]), '0'), lane)}")
                place += width
            weight = self.new(f"select i1 {inside}, {self.real} %weight, {self.real} 0.0")
            self.do(f"store {self.real} {weight}, ptr {self.at(self.row(str(place), '0'), lane)}")


def lower(program: Rolled, arguments: list[int], target: Target) -> str:
    """The IR of `program`, a function whose arguments hold so many numbers each (the seed comes behind them)."""
    return _Emitter(program, target).kernel(arguments)
