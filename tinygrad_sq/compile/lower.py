"""Lower: the rolled program as LLVM IR, with vectors over samples.

A row is B numbers, one per sample of a block; it is worked on in vectors of WIDTH. A scalar is broadcast. The kernel is

    kernel(inputs, scalars, rows, outputs, m, weight)

inputs: a pointer for each argument, to samples × width numbers; scalars: parameters, constants, room for uniform results;
rows: room for the block; outputs: to which the sums over the samples are added; m: how many samples; weight: the seed of
each, 1/m for the mean. The block behind the last sample repeats it with weight 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tinygrad_sq.compile.roll import ROW, Nest, Rolled, Segment
from tinygrad_sq.compile.tape import PRODUCTS

WIDTH = 32  # numbers in a vector of the IR: eight AVX2 registers, four of AVX-512

# Two operands each and one instruction: LLVM's name says it all. The same for comparisons, whose i1 becomes 1.0 or 0.0.
_TWO = {"fadd", "fsub", "fmul", "fdiv"}


class _Emitter:
    def __init__(self, program: Rolled, block: int, libm: dict[str, tuple[str, int]]) -> None:
        self.program = program
        self.block = block
        self.libm = libm  # vector functions: name -> (symbol, lanes)
        self.lines: list[str] = []
        self.declared: set[str] = set()
        self.count = 0
        self.label = "entry"
        self.vector = f"<{WIDTH} x double>"

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
        """A loop of n rounds: gives its counter, the carried values on entry to a round, and a list for those at its end.

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

    def row(self, place: str, chunk: str) -> str:
        offset = self.new(f"mul nsw i64 {place}, {self.block}")
        pointer = self.new(f"getelementptr double, ptr %rows, i64 {offset}")
        return pointer if chunk == "0" else self.new(f"getelementptr double, ptr {pointer}, i64 {chunk}")

    def load(self, space: str, place: str, chunk: str, uniform: bool) -> str:
        if space == ROW:
            return self.new(f"load {self.vector}, ptr {self.row(place, chunk)}, align 64")
        pointer = self.new(f"getelementptr double, ptr %scalars, i64 {place}")
        return self.splat(self.new(f"load double, ptr {pointer}"), uniform)

    def splat(self, scalar: str, uniform: bool = False) -> str:
        if uniform:
            return scalar
        one = self.new(f"insertelement {self.vector} poison, double {scalar}, i64 0")
        return self.new(f"shufflevector {self.vector} {one}, {self.vector} poison, <{WIDTH} x i32> zeroinitializer")

    # --- arithmetic ---

    def call(self, native: str, operands: list[str], uniform: bool) -> str:
        kind = "double" if uniform else self.vector
        if native == "copy":
            return operands[0]
        if native in _TWO:
            return self.new(f"{native} {kind} {operands[0]}, {operands[1]}")
        if native == "fneg":
            return self.new(f"fneg {kind} {operands[0]}")
        if native.startswith("fcmp"):
            mask = self.new(f"{native} {kind} {operands[0]}, {operands[1]}")
            masks = "i1" if uniform else f"<{WIDTH} x i1>"
            return self.new(f"uitofp {masks} {mask} to {kind}")
        if native == "select":
            masks = "i1" if uniform else f"<{WIDTH} x i1>"
            zero = "0.0" if uniform else "zeroinitializer"
            mask = self.new(f"fcmp une {kind} {operands[0]}, {zero}")
            return self.new(f"select {masks} {mask}, {kind} {operands[1]}, {kind} {operands[2]}")
        if native.startswith("llvm."):
            suffix = "f64" if uniform else f"v{WIDTH}f64"
            return self.function(f"{native}.{suffix}", kind, operands)
        if uniform:
            return self.function(native, "double", operands)
        if native in self.libm:
            symbol, lanes = self.libm[native]
            return self.pieces(symbol, lanes, f"<{lanes} x double>", operands)
        return self.each(native, operands)

    def function(self, symbol: str, kind: str, operands: list[str]) -> str:
        self.declared.add(f"declare {kind} @{symbol}({', '.join([kind] * len(operands))})")
        return self.new(f"call {kind} @{symbol}({', '.join(f'{kind} {x}' for x in operands)})")

    def pieces(self, symbol: str, lanes: int, kind: str, operands: list[str]) -> str:
        """A vector function of fewer lanes, on one piece after the other."""
        parts = []
        for start in range(0, WIDTH, lanes):
            mask = ", ".join(f"i32 {i}" for i in range(start, start + lanes))
            cut = [
                self.new(f"shufflevector {self.vector} {x}, {self.vector} poison, <{lanes} x i32> <{mask}>")
                for x in operands
            ]
            parts.append(self.function(symbol, kind, cut))
        while len(parts) > 1:
            both = ", ".join(f"i32 {i}" for i in range(2 * lanes))
            parts = [
                self.new(f"shufflevector <{lanes} x double> {a}, <{lanes} x double> {b}, <{2 * lanes} x i32> <{both}>")
                for a, b in zip(parts[::2], parts[1::2])
            ]
            lanes *= 2
        return parts[0]

    def each(self, symbol: str, operands: list[str]) -> str:
        """A scalar function, lane by lane."""
        with self.loop(WIDTH, ((self.vector, "zeroinitializer"),)) as (lane, (result,), ends):
            cut = [self.new(f"extractelement {self.vector} {x}, i64 {lane}") for x in operands]
            y = self.function(symbol, "double", cut)
            ends.append(self.new(f"insertelement {self.vector} {result}, double {y}, i64 {lane}"))
        return ends[0]

    # --- nests ---

    def nest(self, nest: Nest) -> None:
        counters: list[tuple[str, tuple[int, ...]]] = []
        self.open(nest, list(nest.loops), counters)

    def open(self, nest: Nest, loops: list[object], counters: list[tuple[str, tuple[int, ...]]]) -> None:
        if len(counters) < len(nest.loops):
            loop = nest.loops[len(counters)]
            with self.loop(loop.count) as (i, _, _):
                counters.append((i, loop.strides))
                self.open(nest, loops, counters)
                counters.pop()
            return
        if nest.table:
            (i, (size,)) = counters[0]
            at = self.affine(nest.places[0], [(i, size)])
            places = [self.from_table(self.affine(at, [(str(j), 1)])) for j in range(size)]
        else:
            places = [
                self.affine(place, [(i, strides[j]) for i, strides in counters]) for j, place in enumerate(nest.places)
            ]
        self.body(nest, places)

    def body(self, nest: Nest, places: list[str]) -> None:
        result, *operands = places
        kind = "double" if nest.uniform else self.vector
        if nest.uniform:
            value = self.value(nest, operands, "0")
            self.do(f"store double {value}, ptr {self.new(f'getelementptr double, ptr %scalars, i64 {result}')}")
            return
        chunks = self.block // WIDTH
        if not nest.sink:
            if chunks == 1:
                self.do(f"store {kind} {self.value(nest, operands, '0')}, ptr {self.row(result, '0')}, align 64")
                return
            with self.loop(chunks) as (c, _, _):
                chunk = self.new(f"mul nuw nsw i64 {c}, {WIDTH}")
                self.do(f"store {kind} {self.value(nest, operands, chunk)}, ptr {self.row(result, chunk)}, align 64")
            return
        if chunks == 1:
            total = self.value(nest, operands, "0")
        else:
            with self.loop(chunks, ((kind, "zeroinitializer"),)) as (c, (before,), ends):
                chunk = self.new(f"mul nuw nsw i64 {c}, {WIDTH}")
                ends.append(self.new(f"fadd contract {kind} {before}, {self.value(nest, operands, chunk)}"))
            total = ends[0]
        self.declared.add(f"declare double @llvm.vector.reduce.fadd.v{WIDTH}f64(double, {kind})")
        pointer = self.new(f"getelementptr double, ptr %outputs, i64 {result}")
        old = self.new(f"load double, ptr {pointer}")
        new = self.new(f"call reassoc double @llvm.vector.reduce.fadd.v{WIDTH}f64(double {old}, {kind} {total})")
        self.do(f"store double {new}, ptr {pointer}")

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
        kind = "double" if uniform else self.vector
        with self.loop(segment.count, ((kind, total),)) as (k, (before,), ends):
            if segment.table:
                at = self.affine(w, [(k, 2)])
                places = [self.from_table(at), self.from_table(self.affine(at, [("1", 1)]))]
            else:
                places = [self.affine(start, [(k, s)]) for start, s in zip((w, x), segment.strides)]
            a, b = (self.load(s, p, chunk, uniform) for s, p in zip(segment.spaces, places))
            suffix = "f64" if uniform else f"v{WIDTH}f64"
            ends.append(self.function(f"llvm.fma.{suffix}", kind, [a, b, before]))
        return ends[0]

    # --- the kernel ---

    def kernel(self, arguments: list[int]) -> str:
        """`arguments`: how many numbers of a sample each argument of the function holds."""
        program, block = self.program, self.block
        for nest in program.nests:
            if nest.uniform:
                self.nest(nest)
        blocks = self.new(f"udiv i64 {self.new(f'add i64 %m, {block - 1}')}, {block}")
        last = self.new("sub i64 %m, 1")
        with self.loop(blocks) as (b, _, _):
            first = self.new(f"mul i64 {b}, {block}")
            place = 0
            for j, width in enumerate(arguments):
                source = self.new(f"load ptr, ptr {self.new(f'getelementptr ptr, ptr %inputs, i64 {j}')}")
                with self.loop(block) as (lane, _, _):
                    sample = self.new(f"add i64 {first}, {lane}")
                    sample = self.function("llvm.umin.i64", "i64", [sample, last])
                    start = self.new(f"mul i64 {sample}, {width}")
                    with self.loop(width) as (k, _, _):
                        x = self.new(f"getelementptr double, ptr {source}, i64 {self.affine(start, [(k, 1)])}")
                        to = self.new(f"mul i64 {self.affine(place, [(k, 1)])}, {block}")
                        to = self.new(f"getelementptr double, ptr %rows, i64 {self.affine(to, [(lane, 1)])}")
                        self.do(f"store double {self.new(f'load double, ptr {x}')}, ptr {to}")
                place += width
            with self.loop(block) as (lane, _, _):
                inside = self.new(f"icmp ult i64 {self.affine(first, [(lane, 1)])}, %m")
                seed = self.new(f"select i1 {inside}, double %weight, double 0.0")
                to = self.new(f"getelementptr double, ptr %rows, i64 {self.affine(place * block, [(lane, 1)])}")
                self.do(f"store double {seed}, ptr {to}")
            for nest in program.nests:
                if not nest.uniform:
                    self.nest(nest)
        self.do("ret void")
        table = ", ".join(f"i64 {x}" for x in program.table) or "i64 0"
        return "\n".join(
            [
                f"@table = internal constant [{max(1, len(program.table))} x i64] [{table}]",
                *sorted(self.declared),
                "define void @kernel(ptr noalias %inputs, ptr noalias %scalars, ptr noalias %rows, ptr noalias %outputs, "
                "i64 %m, double %weight) {",
                "entry:",
                *self.lines,
                "}",
            ]
        )


def lower(program: Rolled, arguments: list[int], block: int, libm: dict[str, tuple[str, int]]) -> str:
    """The IR of `program`, of a function whose arguments hold so many numbers each, for blocks of so many samples."""
    return _Emitter(program, block, libm).kernel(arguments)
