"""Steps: the loop around the kernels of a gradient and of an optimiser's rule, in native code as well.

run(fields), eight bytes for each of FIELDS, takes steps until one would leave the finite numbers. That one is not
taken: the parameters are as before it, `taken` says how many were, and its cost is written as well.
"""

from __future__ import annotations

from functools import cache

from tinygrad_sq.compiler.native import Native

POINTERS = (
    "gradient",  # the kernels
    "update",
    "gradient_call",  # their calls, in which what changes is written here
    "update_call",
    "into",  # where the update's kernel reads the settings
    "sums",  # where the gradient's kernel writes J, and the gradient behind it
    "now",  # the parameters, behind the other scalars of the gradient's kernel, and what is remembered of them
    "then",  # the same after the first step: these two change places at each step
    "now_inputs",  # the update's inputs when `now` is before the step
    "then_inputs",
    "settings",  # a row for each step
    "penalised",  # 1 for each parameter that the penalty is on, and 0 for the others
    "bounds",  # for each step, the first of its samples and the one behind its last
    "costs",  # for each step, J before it (E3): to be written
)
NUMBERS = (
    "parameters",  # how many
    "others",  # how many scalars there are before them
    "kept",  # how many samples the gradient's kernel has room for: those of the step before it need not load again
    "width",  # of a row of settings
    "steps",  # how many to take, at least 1
)
FIELDS = (*POINTERS, *NUMBERS, "lam", "taken")


@cache
def steps(real: str) -> Native:
    """The loop for numbers of LLVM's type `real`."""
    loads = [f"  %{name}.at = getelementptr i64, ptr %fields, i64 {k}" for k, name in enumerate(FIELDS)]
    loads += [f"  %{name} = load ptr, ptr %{name}.at" for name in POINTERS]
    loads += [f"  %{name} = load i64, ptr %{name}.at" for name in NUMBERS]
    loaded = "\n".join(loads)
    size = 8 if real == "double" else 4
    return Native(
        f"""
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
define void @run(ptr noalias %fields) {{
entry:
{loaded}
  %lam = load {real}, ptr %lam.at
  %penalty = fcmp ogt {real} %lam, 0.0
  %gradients = getelementptr {real}, ptr %sums, i64 1
  %order.at = getelementptr i64, ptr %gradient_call, i64 1
  %order = load ptr, ptr %order.at
  %scalars.at = getelementptr i64, ptr %gradient_call, i64 2
  %first.at = getelementptr i64, ptr %gradient_call, i64 5
  %last.at = getelementptr i64, ptr %gradient_call, i64 6
  %weight.at = getelementptr i64, ptr %gradient_call, i64 7
  %outputs.at = getelementptr i64, ptr %update_call, i64 4
  %to.scalars = sub i64 0, %others
  %settings.bytes = mul i64 %width, {size}
  br label %step

step:
  %k = phi i64 [ 0, %entry ], [ %k.next, %good ]
  %p = phi ptr [ %now, %entry ], [ %q, %good ]
  %q = phi ptr [ %then, %entry ], [ %p, %good ]
  %p.inputs = phi ptr [ %now_inputs, %entry ], [ %q.inputs, %good ]
  %q.inputs = phi ptr [ %then_inputs, %entry ], [ %p.inputs, %good ]
  %first.before = phi i64 [ -1, %entry ], [ %first, %good ]
  %last.before = phi i64 [ -1, %entry ], [ %last, %good ]
  %twice = mul i64 %k, 2
  %bound.at = getelementptr i64, ptr %bounds, i64 %twice
  %end.at = getelementptr i64, ptr %bound.at, i64 1
  %first = load i64, ptr %bound.at
  %last = load i64, ptr %end.at
  %m = sub i64 %last, %first
  %m.real = sitofp i64 %m to {real}
  %weight = fdiv {real} 1.0, %m.real
  %same.first = icmp eq i64 %first, %first.before
  %same.last = icmp eq i64 %last, %last.before
  %same = and i1 %same.first, %same.last
  %few = icmp ule i64 %m, %kept
  %loaded = and i1 %same, %few
  %order.now = select i1 %loaded, ptr null, ptr %order
  store ptr %order.now, ptr %order.at
  store i64 %first, ptr %first.at
  store i64 %last, ptr %last.at
  store {real} %weight, ptr %weight.at
  %scalars = getelementptr {real}, ptr %p, i64 %to.scalars
  store ptr %scalars, ptr %scalars.at
  call void %gradient(ptr %gradient_call)
  %mean = load {real}, ptr %sums
  br i1 %penalty, label %penalise, label %penalised.all

penalise:
  %i = phi i64 [ 0, %step ], [ %i.next, %penalise ]
  %squares = phi {real} [ 0.0, %step ], [ %squares.next, %penalise ]
  %p.at = getelementptr {real}, ptr %p, i64 %i
  %on.at = getelementptr {real}, ptr %penalised, i64 %i
  %g.at = getelementptr {real}, ptr %gradients, i64 %i
  %p.i = load {real}, ptr %p.at
  %on = load {real}, ptr %on.at
  %g = load {real}, ptr %g.at
  %w = fmul {real} %p.i, %on
  %square = fmul {real} %w, %w
  %squares.next = fadd reassoc {real} %squares, %square
  %pull = fmul {real} %lam, %w
  %g.more = fadd {real} %g, %pull
  store {real} %g.more, ptr %g.at
  %i.next = add i64 %i, 1
  %i.done = icmp eq i64 %i.next, %parameters
  br i1 %i.done, label %add, label %penalise

add:
  %half = fmul {real} 0.5, %lam
  %added = fmul {real} %half, %squares.next
  %with = fadd {real} %mean, %added
  br label %penalised.all

penalised.all:
  %J = phi {real} [ %mean, %step ], [ %with, %add ]
  %row = mul i64 %k, %width
  %row.at = getelementptr {real}, ptr %settings, i64 %row
  call void @llvm.memcpy.p0.p0.i64(ptr %into, ptr %row.at, i64 %settings.bytes, i1 false)
  store ptr %p.inputs, ptr %update_call
  store ptr %q, ptr %outputs.at
  call void %update(ptr %update_call)
  %cost.at = getelementptr {real}, ptr %costs, i64 %k
  store {real} %J, ptr %cost.at
  %zero = fmul {real} 0.0, %J
  br label %check

check:
  %c = phi i64 [ 0, %penalised.all ], [ %c.next, %check ]
  %sum = phi {real} [ %zero, %penalised.all ], [ %sum.next, %check ]
  %q.at = getelementptr {real}, ptr %q, i64 %c
  %q.c = load {real}, ptr %q.at
  %zero.c = fmul {real} 0.0, %q.c
  %sum.next = fadd reassoc {real} %sum, %zero.c
  %c.next = add i64 %c, 1
  %c.done = icmp eq i64 %c.next, %parameters
  br i1 %c.done, label %checked, label %check

checked:
  %finite = fcmp oeq {real} %sum.next, 0.0
  br i1 %finite, label %good, label %end

good:
  %k.next = add i64 %k, 1
  %k.done = icmp eq i64 %k.next, %steps
  br i1 %k.done, label %end, label %step

end:
  %taken = phi i64 [ %k, %checked ], [ %k.next, %good ]
  store i64 %taken, ptr %taken.at
  ret void
}}""",
        level=2,
    )
