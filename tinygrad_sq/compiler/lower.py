"""Lower: the rolled program as LLVM IR, with vectors over samples.

A row is a vector of LLVM's, one number per sample of a block; a scalar is broadcast. The kernel is

    kernel(inputs, order, scalars, room, outputs, first, last, weight)

inputs   a pointer for each argument of the function, to samples x width numbers
order    the samples' numbers, in the order in which to take them: those from `first` to before `last` are taken. Where
         outputs are per sample it is theirs, and not read. With several blocks it may be null, if they are no more
         samples than there is room for, and those of the call before: they are still there
scalars  constants, room for what is computed from them and parameters alone, parameters
room     for the rows of `blocks` blocks: so many are computed before their sums are taken, which is then done once for
         all; the rows of a single block are on the stack if they are few
outputs  the sums over the samples; or the values per sample, an array for each output
weight   the seed of each sample, 1/m for the mean of m; the rest of the last block repeats a sample with weight 0

and run(call) is the same with these eight, eight bytes each, behind the one pointer `call`.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from math import nan
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tinygrad_sq.compiler import vector_math
from tinygrad_sq.compiler.fuse import Body, Rounds, calls, fuse_series, single
from tinygrad_sq.compiler.nest import ROW, Nest, Rolled, Segment
from tinygrad_sq.compiler.tape import PRODUCTS, is_instruction

# The function of libm for vectors of one register, by its name and number of operands: its symbol, if there is one.
Libm: TypeAlias = "Callable[[str, int], str | None]"


class Target(NamedTuple):
    """What to lower for.

    width       samples in a row, which is one vector of LLVM's
    lanes       of a register; sums over the samples are taken in vectors of so many
    sums        in vectors of so many lanes that the registers hold, beside what is added to them
    blocks      whose rows there is room for
    real        LLVM's name of the number type, double or float
    per_sample  outputs are kept per sample, not summed
    libm        the vector functions there are
    """

    width: int
    lanes: int
    sums: int
    blocks: int
    real: str
    per_sample: bool
    libm: Libm


# Of a loop: its variable, and how many rounds it takes at once.
Counter: TypeAlias = "tuple[str, int]"

_IMMEDIATE = (0.0, 1.0, -1.0, 2.0)  # constants that are written into the code, for LLVM to simplify; others are loaded
_PART = 64  # nests in a function
_STACK = 1 << 14  # bytes of rows that may be on the stack
_COLUMNS = 4  # rounds of an innermost loop that are worked on at once, if there are lines of them


class _Emitter:
    def __init__(self, program: Rolled, target: Target) -> None:
        self.program = program
        self.stride, self.lanes, self.sums, self.blocks, self.real, self.per_sample, self.libm = target
        self.width = self.stride  # of the vectors in the code being written
        self.rows, self.shift = "%rows", "0"  # where a row's vector is: rows + place · stride + shift
        self.suffix, self.size = ("f64", 8) if self.real == "double" else ("f32", 4)
        self.lines: list[str] = []  # of the function being written, and its values by their text
        self.names: dict[str, str] = {}
        self.functions: list[str] = []
        self.declared: set[str] = set()
        self.written: set[str] = set()
        self.short = len(program.nests) <= _PART
        self.count = 0
        self.label = "entry"

    @property
    def vector(self) -> str:
        return f"<{self.width} x {self.real}>" if self.width > 1 else self.real

    def new(self, text: str) -> str:
        """The name of this value. The same text is the same value, unless it is loaded: every line that is written is
        also run, since loops have at least one round, and before those below it."""
        name = self.names.get(text)
        if name is None:
            self.count += 1
            name = f"%t{self.count}"
            self.lines.append(f"  {name} = {text}")
            if not text.startswith("load"):
                self.names[text] = name
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
        if n == 1:
            yield "0", [initial for _, initial in carried], []
            return
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

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """What is written is run only if the condition holds, and its values are not known afterwards."""
        truth, names = self.new(condition), self.names.copy()
        self.count += 1
        k = self.count
        self.do(f"br i1 {truth}, label %when{k}, label %after{k}")
        self.start(f"when{k}")
        yield
        self.do(f"br label %after{k}")
        self.start(f"after{k}")
        self.names = names

    # --- addresses ---

    def affine(self, start: str | int, terms: list[tuple[str, int | str]]) -> str:
        """start + Σ counter · stride."""
        value = str(start)
        for counter, stride in terms:
            if stride == 0 or counter == "0":
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
        start = self.new(f"mul nsw i64 {place}, {self.stride}")
        return self.at(self.rows, self.affine(start, [(self.shift, 1)]) if self.shift != "0" else start)

    def load(self, space: str, place: str, uniform: bool) -> str:
        if space == ROW:
            return self.new(f"load {self.vector}, ptr {self.row(place)}, align {self.size}")
        constants = self.program.constants
        if place.isdigit() and int(place) < len(constants) and constants[int(place)] in _IMMEDIATE:
            scalar = self.literal(constants[int(place)])
        else:
            scalar = self.new(f"load {self.real}, ptr {self.at('%scalars', place)}")
        return scalar if uniform or self.width == 1 else self.all(scalar, self.real)

    def constant(self, x: float) -> str:
        """A vector with the number x in each lane."""
        return self.all(self.literal(x), self.real)

    def literal(self, x: float) -> str:
        with np.errstate(over="ignore"):  # beyond float32 is inf
            (bits,) = struct.unpack("<Q", struct.pack("<d", x if self.real == "double" else float(np.float32(x))))
        return f"0x{bits:016X}"

    def all(self, x: str, kind: str = "i64") -> str:
        """A vector with x in each lane."""
        vector = f"<{self.width} x {kind}>"
        one = self.new(f"insertelement {vector} poison, {kind} {x}, i64 0")
        return self.new(f"shufflevector {vector} {one}, {vector} poison, <{self.width} x i32> zeroinitializer")

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
        if is_instruction(native):
            return self.new(f"{native} {kind} {', '.join(operands)}")
        if scalar:
            return self.function(self.scalar_name(native), kind, operands)
        if native in vector_math.FUNCTIONS:
            return self.written_out(native, *operands)
        if found := self.libm(native, len(operands)):
            return self.function(found, kind, operands)
        return self.each(native, operands)

    def scalar_name(self, native: str) -> str:
        return native if self.real == "double" else f"{native}f"

    def function(self, symbol: str, kind: str, operands: list[str]) -> str:
        self.declared.add(f"declare {kind} @{symbol}({', '.join([kind] * len(operands))})")
        return self.new(f"call {kind} @{symbol}({', '.join(f'{kind} {x}' for x in operands)})")

    def written_out(self, native: str, x: str) -> str:
        """A function of `vector_math`: in place, or in code that is long already as a function to call."""
        if self.short:
            return vector_math.FUNCTIONS[native](self, x)
        name = f"@vector.{native}.{self.width}"
        if name not in self.written:
            self.written.add(name)
            lines, names, self.lines, self.names = self.lines, self.names, [], {}
            y = vector_math.FUNCTIONS[native](self, "%x")
            head = f"define internal {self.vector} {name}({self.vector} %x) noinline {{"
            self.functions += [head, *self.lines, f"  ret {self.vector} {y}", "}"]
            self.lines, self.names = lines, names
        return self.new(f"call {self.vector} {name}({self.vector} {x})")

    def each(self, native: str, operands: list[str]) -> str:
        """A scalar function, lane by lane."""
        with self.loop(self.width, ((self.vector, "zeroinitializer"),)) as (lane, (result,), ends):
            cut = [self.new(f"extractelement {self.vector} {x}, i64 {lane}") for x in operands]
            y = self.function(self.scalar_name(native), self.real, cut)
            ends.append(self.new(f"insertelement {self.vector} {result}, {self.real} {y}, i64 {lane}"))
        return ends[0]

    # --- nests ---

    def body(self, body: Body, counters: tuple[Counter, ...] = ()) -> None:
        """The loops; some rounds of the two innermost together, so that they share the operands that they all have."""
        nest = body.nests[0]
        if nest.table:
            ((rounds, (size,)),) = nest.loops
            with self.loop(rounds) as (i, _, _):
                at = self.affine(nest.places[0], [(i, size)])
                self.rounds(body, [[[[self.from_table(self.affine(at, [(str(j), 1)])) for j in range(size)]]]])
            return
        level = len(counters)
        if level < len(nest.loops) - 2:
            with self.loop(nest.loops[level].rounds) as (i, _, _):
                self.body(body, (*counters, (i, 1)))
            return
        lines, columns = (1, 1, *(loop.rounds for loop in nest.loops[level:]))[-2:]
        sums = nest.sink and not self.per_sample
        together = self.sums if sums else 1 if calls(body.nests) else max(1, self.sums * self.lanes // self.stride)
        width = min(columns, _COLUMNS, together)
        height = min(lines, together // width)
        if sums and height == 1:  # they share no operands: more of them would be more code alone
            together = self.lanes
        width = min(columns, together // height)
        for line, m, h in _parts(lines, height):
            for column, n, w in _parts(columns, width):
                with self.loop(m) as (i, _, _), self.loop(n) as (j, _, _):
                    starts = [[(line + r, column + c) for c in range(w)] for r in range(h)]
                    self.rounds(body, self.places(body, starts, (*counters, (i, h), (j, w))))

    def places(
        self, body: Body, starts: list[list[tuple[int, int]]], counters: tuple[Counter, ...]
    ) -> list[list[list[list[str]]]]:
        """Per nest, the places of the rounds numbered `starts` in the innermost loops, which the counters move on."""
        inner = len(counters) - 2
        found = []
        for nest in body.nests:
            ways: list[tuple[int, int, int, list[tuple[str, int | str]]]] = []
            for k, first in enumerate(nest.places):
                strides = [loop.strides[k] for loop in nest.loops]
                strides[inner:inner] = [0] * (len(counters) - len(strides))
                moves: list[tuple[str, int | str]] = [(i, d * times) for d, (i, times) in zip(strides, counters)]
                ways.append((first, strides[-2], strides[-1], moves))
            lines = [
                [[self.affine(at + i * di + j * dj, moves) for at, di, dj, moves in ways] for i, j in line]
                for line in starts
            ]
            found.append(lines)
        return found

    def rounds(self, body: Body, places: list[list[list[list[str]]]]) -> None:
        """Rounds of the innermost loops, line by line, given their places per nest: their results, for all samples."""
        if body.nests[0].sink and not self.per_sample:
            self.add_up(body.nests[0], places[0])
        elif self.stride > self.lanes and any(_of_libm(nest.native) for nest in body.nests):
            # libm takes vectors of one register; what is written out is faster in several, whose steps alternate.
            self.width = self.lanes
            with self.loop(self.stride // self.lanes) as (piece, _, _):
                self.shift = self.affine("0", [(piece, self.lanes)])
                self.compute(body, places)
            self.shift = "0"
            self.width = self.stride
        else:
            self.compute(body, places)

    def compute(self, body: Body, places: list[list[list[list[str]]]]) -> None:
        known: dict[tuple[str, str], str] = {}
        for nest, written, lines in zip(body.nests, body.written, places):
            results = [result for line in lines for result, *_ in line]
            operands = [operands for line in lines for _, *operands in line]
            for result, value in zip(results, self.values(nest, operands, known)):
                if nest.uniform:
                    self.do(f"store {self.real} {value}, ptr {self.at('%scalars', result)}")
                elif nest.sink:
                    place = self.affine("%sample", [(result, "%padded"), (self.shift, 1)])
                    self.do(f"store {self.vector} {value}, ptr {self.at('%outputs', place)}, align {self.size}")
                else:
                    known[ROW, result] = value
                    if written:
                        self.do(f"store {self.vector} {value}, ptr {self.row(result)}, align {self.size}")

    # --- sums over the samples ---

    def add_up(self, nest: Nest, places: list[list[list[str]]]) -> None:
        """Add the sums over all samples of these blocks, which registers hold in the meantime, to the outputs."""
        operands = [operands for line in places for _, *operands in line]
        self.width = self.lanes
        zero = "0.0" if self.width == 1 else "zeroinitializer"
        with self.loop("%count" if self.blocks > 1 else 1, ((self.vector, zero),) * len(operands)) as (b, sums, ends):
            for start in range(0, self.stride, self.lanes):
                self.shift = self.affine(start, [(b, self.program.rows * self.stride)])
                if nest.native == "fmul":
                    loaded = self.loads(nest, operands, {})
                    sums = [self.call("llvm.fma", [*pair, total], False) for pair, total in zip(loaded, sums)]
                else:
                    values = self.values(nest, operands, {})
                    sums = [self.call("fadd", [total, value], False) for total, value in zip(sums, values)]
            ends += sums
        self.shift = "0"
        self.width = self.stride
        neighbours = not nest.table and (not nest.loops or nest.loops[-1].strides[0] == 1)
        for line in places:
            start = 0
            while start < len(line):
                n = 1
                while neighbours and 2 * n <= min(len(line) - start, self.lanes):
                    n *= 2
                self.add_to(self.at("%outputs", line[start][0]), self.reduced(ends[:n]), n)
                del ends[:n]
                start += n

    def add_to(self, pointer: str, value: str, n: int) -> None:
        """Add to n neighbouring outputs, which the first group of blocks finds as 0 whatever they are."""
        kind = f"<{n} x {self.real}>" if self.lanes > 1 else self.real
        old = self.new(f"load {kind}, ptr {pointer}, align {self.size}")
        first = self.new("icmp eq i64 %group, 0")
        old = self.new(f"select i1 {first}, {kind} zeroinitializer, {kind} {old}")
        self.do(f"store {kind} {self.new(f'fadd {kind} {old}, {value}')}, ptr {pointer}, align {self.size}")

    def reduced(self, values: list[str]) -> str:
        """The sums of the lanes of each of n vectors, n a power of 2, as one vector: together in fewer steps."""
        n, lanes = 1, self.lanes
        while len(values) > 1:
            values = [self.across(a, b, n) for a, b in zip(values[::2], values[1::2])]
            n *= 2
        (value,) = values
        while lanes > n:
            halves = [self.shuffle(value, value, lanes, range(k, k + lanes // 2)) for k in (0, lanes // 2)]
            lanes //= 2
            value = self.new(f"fadd <{lanes} x {self.real}> {', '.join(halves)}")
        return value

    def across(self, a: str, b: str, n: int) -> str:
        """In groups of n lanes: a's first plus second, b's first plus second, a's third plus fourth, ..."""
        lanes = self.lanes
        # Where a lane's own number stands in a and b already, so that this part is no more than a blend.
        own = [lane + lanes * (lane // n % 2) for lane in range(lanes)]
        parts = [self.shuffle(a, b, lanes, mask) for mask in (own, [lane ^ n for lane in own])]
        return self.new(f"fadd <{lanes} x {self.real}> {', '.join(parts)}")

    def shuffle(self, a: str, b: str, lanes: int, mask: Iterable[int]) -> str:
        kind, chosen = f"<{lanes} x {self.real}>", [f"i32 {lane}" for lane in mask]
        return self.new(f"shufflevector {kind} {a}, {kind} {b}, <{len(chosen)} x i32> <{', '.join(chosen)}>")

    def loads(self, nest: Nest, operands: list[list[str]], known: dict[tuple[str, str], str]) -> list[list[str]]:
        """The operands of some rounds outside segments; `known` are values by their places, and gets those loaded."""
        return [[self.known(known, at, nest.uniform) for at in zip(nest.spaces, each)] for each in operands]

    def known(self, known: dict[tuple[str, str], str], at: tuple[str, str], uniform: bool) -> str:
        """The value at a place, loaded if it is not among those known."""
        if at not in known:
            known[at] = self.load(*at, uniform)
        return known[at]

    def values(self, nest: Nest, operands: list[list[str]], known: dict[tuple[str, str], str]) -> list[str]:
        """The results of some rounds."""
        loaded = self.loads(nest, operands, known)
        if nest.native != PRODUCTS:
            return [self.call(nest.native, each, nest.uniform) for each in loaded]
        totals = [bias for (bias,) in loaded]
        for k, segment in enumerate(nest.segments):
            starts = [(each[1 + 2 * k], each[2 + 2 * k]) for each in operands]
            if segment.single:
                pairs = [[self.known(known, at, nest.uniform) for at in zip(segment.spaces, pair)] for pair in starts]
                totals = [self.call("llvm.fma", [*pair, t], nest.uniform) for pair, t in zip(pairs, totals)]
            else:
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
        numbers = self.program.rows * self.width
        small = self.blocks == 1 and numbers * self.size <= _STACK  # LLVM makes registers of what is on the stack
        rows = f"alloca [{numbers} x {self.real}], align 64" if small else "getelementptr i8, ptr %room, i64 0"
        self.do(f"%rows = {rows}")
        self.bodies(single([series for series in self.program.series if series.nests[0].uniform]))
        samples = self.new("sub i64 %last, %first")
        blocks = self.new(f"udiv i64 {self.new(f'add i64 {samples}, {self.width - 1}')}, {self.width}")
        self.do(f"%padded = mul i64 {blocks}, {self.width}")
        final = self.new("sub i64 %last, 1")
        varied = [series for series in self.program.series if not series.nests[0].uniform]
        sums = [] if self.per_sample else [series for series in varied if series.nests[0].sink]
        computed = [series for series in varied if self.per_sample or not series.nests[0].sink]
        readers = [nest for series in varied for nest in series.nests]
        groups = self.new(f"udiv i64 {self.new(f'add i64 {blocks}, {self.blocks - 1}')}, {self.blocks}")
        with self.loop(groups) as (group, _, _):
            self.do(f"%group = add i64 {group}, 0")
            done = self.new(f"mul i64 {group}, {self.blocks}")
            left = self.new(f"sub i64 {blocks}, {done}")
            self.do(f"%count = call i64 @llvm.umin.i64(i64 {left}, i64 {self.blocks})")
            with self.loop("%count" if self.blocks > 1 else 1) as (b, _, _):
                self.do(f"%sample = mul i64 {self.new(f'add i64 {done}, {b}')}, {self.width}")
                if self.blocks > 1:
                    self.rows = self.at("%rows", self.new(f"mul i64 {b}, {numbers}"))
                turn = self.new("add i64 %first, %sample")
                with self.when("icmp ne ptr %order, null") if self.blocks > 1 else nullcontext():
                    self.load_block(arguments, turn, final)
                bodies = fuse_series(computed, readers, self.program.rows) if self.short else single(computed)
                self.bodies(bodies, "i64 %sample", "i64 %padded")
            self.rows = "%rows"
            self.bodies(single(sums), "i64 %count", "i64 %group")
        types = [*["ptr noalias"] * 5, "i64", "i64", self.real]
        names = ("inputs", "order", "scalars", "room", "outputs", "first", "last", "weight")
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
            [
                "declare i64 @llvm.umin.i64(i64, i64)",
                f"@table = internal constant [{size} x i64] [{table}]",
                *sorted(self.declared),
                *self.functions,
            ]
        )

    def define(self, head: str, parameters: list[str], attributes: str = "") -> None:
        """The lines so far, as a function."""
        self.functions += [f"{head}({', '.join(parameters)}) {attributes}{{", "entry:", *self.lines, "  ret void", "}"]
        self.lines, self.names = [], {}

    def bodies(self, bodies: list[Rounds], *known: str) -> None:
        """The nests one after the other, in terms of the numbers `known`; many of them in functions of their own, since
        LLVM's time on one function grows faster than the function."""
        if len(bodies) <= _PART:
            for rounds, inner in bodies:
                with self.loop(rounds) as (i, _, _):
                    for body in inner:
                        self.body(body, ((i, 1),) if rounds > 1 else ())
            return
        caller, names, label, rows = self.lines, self.names, self.label, self.rows
        numbers = ["i64 %sample", "i64 %padded", "i64 %count", "i64 %group"]
        parameters = ["ptr noalias %scalars", "ptr noalias %rows", "ptr noalias %outputs", *numbers]
        for start in range(0, len(bodies), _PART):
            self.lines, self.names, self.label, self.rows = [], {}, "entry", "%rows"
            self.bodies(bodies[start : start + _PART])
            name = f"part{len(self.functions)}"
            self.define(f"define internal void @{name}", parameters, "noinline ")
            given = ["ptr %scalars", f"ptr {rows}", "ptr %outputs"]
            given += [number if number in known else "i64 0" for number in numbers]
            caller.append(f"  call void @{name}({', '.join(given)})")
        self.lines, self.names, self.label, self.rows = caller, names, label, rows

    def load_block(self, arguments: list[int], first: str, final: str) -> None:
        """Copy the block's samples into rows, and their weights behind them."""
        n, lanes = self.width, self.lanes
        longs, reals, truths = (f"<{n} x {kind}>" for kind in ("i64", self.real, "i1"))
        steps = f"<{', '.join(f'i64 {k}' for k in range(n))}>"
        turns = self.new(f"add {longs} {self.all(first)}, {steps}")
        inside = self.new(f"icmp ule {longs} {turns}, {self.all(final)}")
        weight = self.new(
            f"select {truths} {inside}, {reals} {self.all('%weight', self.real)}, {reals} zeroinitializer"
        )
        self.do(f"store {reals} {weight}, ptr {self.row(str(sum(arguments)))}, align {self.size}")
        inputs = [(j, sum(arguments[:j]), width) for j, width in enumerate(arguments) if width]
        # Samples in order that are one number each stand side by side already.
        alone = [(j, place) for j, place, width in inputs if self.per_sample and width == 1 < n]
        others = [each for each in inputs if each[:2] not in alone]
        for j, place in alone:
            x = self.side_by_side(reals, self.at(self.input(j), first), inside)
            self.do(f"store {reals} {x}, ptr {self.row(str(place))}, align {self.size}")
        if not others:
            return
        with self.loop(n // lanes) as (group, _, _):
            self.shift = self.affine("0", [(group, lanes)])
            self.width = lanes
            samples = [self.sample(self.affine(first, [(self.shift, 1), (str(k), 1)]), final) for k in range(lanes)]
            for j, place, width in others:
                source = self.input(j)
                starts = [self.at(source, self.new(f"mul i64 {sample}, {width}")) for sample in samples]
                self.transpose(starts, place, width)
        self.shift = "0"
        self.width = n

    def input(self, j: int) -> str:
        return self.new(f"load ptr, ptr {self.new(f'getelementptr ptr, ptr %inputs, i64 {j}')}")

    def sample(self, turn: str, final: str) -> str:
        """The number of the sample whose turn it is, or of the final one if there is none."""
        turn = self.new(f"call i64 @llvm.umin.i64(i64 {turn}, i64 {final})")
        if self.per_sample:
            return turn
        return self.new(f"load i64, ptr {self.new(f'getelementptr i64, ptr %order, i64 {turn}')}")

    def transpose(self, starts: list[str], place: int, width: int) -> None:
        """Store what begins at `starts`, so many numbers each, as vectors of one of each, at `place` and behind."""
        lanes = self.lanes
        if width < lanes:
            for column in range(width):
                x = "poison"
                for lane, start in enumerate(starts):
                    one = self.new(f"load {self.real}, ptr {self.at(start, str(column))}, align {self.size}")
                    x = self.new(f"insertelement {self.vector} {x}, {self.real} {one}, i64 {lane}")
                self.do(f"store {self.vector} {x}, ptr {self.row(str(place + column))}, align {self.size}")
            return
        with self.loop(width // lanes) as (k, _, _):
            self.transpose_square(starts, place, self.affine("0", [(k, lanes)]))
        if width % lanes:
            self.transpose_square(starts, place, str(width - lanes))

    def transpose_square(self, starts: list[str], place: int, column: str) -> None:
        """As many columns as there are starts: blocks of 1, 2, 4, ... change places across the diagonal."""
        lanes = self.lanes
        x = [self.new(f"load {self.vector}, ptr {self.at(start, column)}, align {self.size}") for start in starts]
        h = 1
        while h < lanes:
            left = [k if not k & h else lanes + k - h for k in range(lanes)]
            for k in [k for k in range(lanes) if not k & h]:
                pair = x[k], x[k + h]
                x[k], x[k + h] = (self.shuffle(*pair, lanes, [m + shift for m in left]) for shift in (0, h))
            h *= 2
        for k, row in enumerate(x):
            at = self.row(self.affine(place + k, [(column, 1)]))
            self.do(f"store {self.vector} {row}, ptr {at}, align {self.size}")

    def side_by_side(self, kind: str, address: str, inside: str) -> str:
        n = self.width
        name = f"llvm.masked.load.v{n}{self.suffix}.p0"
        self.declared.add(f"declare {kind} @{name}(ptr, i32, <{n} x i1>, {kind})")
        given = f"ptr {address}, i32 {self.size}, <{n} x i1> {inside}, {kind} zeroinitializer"
        return self.new(f"call {kind} @{name}({given})")


def _of_libm(native: str) -> bool:
    return not is_instruction(native) and native not in vector_math.FUNCTIONS


def _parts(rounds: int, size: int) -> list[tuple[int, int, int]]:
    """`rounds` in parts of `size`, and what is left: for each, its first round, how many parts, and their size."""
    rest = rounds % size
    return [part for part in ((0, rounds // size, size), (rounds - rest, min(rest, 1), rest)) if part[1]]


def bare(program: Rolled) -> Rolled:
    """The program without what its code does not depend on: names, and constants that it loads."""
    constants = [x if x in _IMMEDIATE else nan for x in program.constants]
    return program._replace(constants=constants, outputs=[], labels={}, unnamed=set())


@cache
def version() -> str:
    """A hash of the modules that write IR."""
    digest = hashlib.sha256()
    for name in ("fuse", "lower", "nest", "tape", "vector_math"):
        module: Any = sys.modules[f"{__package__}.{name}"]
        digest.update(module.__spec__.loader.get_data(module.__file__))
    return digest.hexdigest()


def lower(program: Rolled, arguments: list[int], target: Target) -> str:
    """The IR of `program`, a function whose arguments hold so many numbers each (the seed comes behind them)."""
    return _Emitter(program, target).kernel(arguments)
