"""`make mutants`: faults put into the package one at a time, to see whether its tests find each of them.

    python tests/mutants.py [MODULE ...] [--jobs 2] [--examples 25] [--lines LINE ...] [--sample N]

The faults are cosmic-ray's, one or two for each operator, comparison, number, condition and loop of a module, and one
more of our own: a statement that is left out. No file is changed. A process that has imported pytest and the oracles'
libraries forks for each mutant; the fork imports the mutated source in place of the module and runs the module's tests
up to the first that fails. Those that found the last mutants go first, Hypothesis draws few examples and does not
shrink. For a mutant within a row, the function called like one, or a helper of rows alone, the tests of other rows are
left out, which can only spare a mutant. Results go to out/mutants/MODULE.txt: a line of counts, then the mutants that
survived.
"""

from __future__ import annotations

import argparse
import ast
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import graphviz  # noqa: F401  # imported once here, and not in every fork
import hypothesis
import llvmlite.binding  # noqa: F401
import mpmath  # noqa: F401
import numpy  # noqa: F401
import pandas  # noqa: F401
import parso
import playwright.sync_api  # noqa: F401
import pytest
import scipy.optimize  # noqa: F401
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).parents[1]

# What compiles code, and is over in a few seconds.
QUICK = [
    f"test_compile.py::{test}"
    for test in (
        "test_long_code_calls_its_functions",
        "test_text_stats_and_code",
        "test_bound_to_one_point",
    )
]
FUSE = [
    f"test_fuse.py::{test}"
    for test in (
        "test_what_is_read_round_by_round_stays_in_registers",
        "test_what_needs_other_rounds_waits",
        "test_a_table_may_read_anything",
        "test_a_table_may_write_anything",
        "test_what_is_read_the_time_before_is_written",
        "test_series_are_fused_among_themselves",
        "test_terms_of_all_segments_are_read",
        "test_what_begins_behind_the_results_or_ends_before_them_shares_a_loop",
        "test_a_single_term_of_the_same_round_shares_a_loop",
        "test_results_per_sample_are_no_rows",
        "test_what_only_functions_read_is_computed_with_them",
        "test_sums_go_together_and_functions_one_by_one",
        "test_a_nest_goes_to_the_first_body_with_its_loops_after_what_it_reads",
        "test_loops_three_deep",
    )
]

# What of the tests exercises a module, the quickest first.
TESTS = {
    "deltas": ["test_deltas.py"],
    "graph": ["test_graph.py", "test_toy_row.py"],
    "losses": ["test_losses.py", "test_compile_fit.py::test_compiled_targets"],
    "checks": ["test_nn.py", "test_optim.py", "test_train.py"],
    "optim": ["test_optim.py"],
    "nn": ["test_nn.py", "test_micrograd.py", "test_detail.py::test_nets_show_themselves"],
    "value": ["test_value.py", "test_semantics.py", "test_graph.py", "test_toy_row.py", "test_interplay.py"]
    + [
        f"test_compile.py::{test}"
        for test in (
            "test_a_branch_on_a_traced_value",
            "test_the_branch_not_taken_gets_exactly_0",
            "test_a_constant_has_its_number",
        )
    ],
    "ieee": ["test_ieee.py", "test_semantics.py", "test_table.py"],
    "table": ["test_methods.py", "test_semantics.py", "test_table.py", "test_toy_row.py", "test_formula.py"]
    + [
        f"test_compile.py::{test}"
        for test in (
            "test_common_powers_are_multiplications",
            "test_rows_of_one_sample",
            "test_rows_at_awkward_points",
            "test_tails_of_the_normal_distribution",
        )
    ],
    "op": ["test_methods.py", "test_custom.py", "test_toy_row.py", "test_value.py"]
    + [
        f"test_table.py::{test}"
        for test in (
            "test_real_numbers_of_any_kind_are_operands",
            "test_what_is_no_real_number_is_no_operand",
            "test_integer_too_large",
            "test_real_inside_the_domain",
            "test_nan_outside_the_domain",
            "test_wrong_number_of_operands",
            "test_any_number_of_operands",
            "test_default_operands",
            "test_constants_take_no_part_in_the_gradient",
            "test_row_describes_itself",
            "test_methods_are_the_rows",
            "test_unknown_row",
            "test_no_name_twice",
            "test_formula_templates",
        )
    ]
    + ["test_formula.py::test_formula"],
    "study/collapse": [
        f"test_detail.py::{test}"
        for test in (
            "test_scopes_of_the_depth_are_parts",
            "test_what_is_many_is_elided",
            "test_eight_are_shown",
            "test_what_is_not_alike_is_not_elided",
            "test_few_loose_values_are_all_shown",
            "test_sixty_four_parts_are_not_too_many",
            "test_too_many_inner_scopes",
            "test_kinds_within_scopes",
            "test_a_few_of_a_kind_are_all_shown",
            "test_kinds",
            "test_kinds_of_one_value",
            "test_near_the_root",
            "test_loose_values_stand_in_order",
            "test_parts_of_any_expression",
            "test_bands",
            "test_each_value_is_in_one_part",
        )
    ],
    "study/overview": [
        f"test_detail.py::{test}"
        for test in (
            "test_arrows_between_neurons_are_weights",
            "test_neurons",
            "test_layers",
            "test_elided_neurons",
            "test_elided_layers",
            "test_any_scope",
            "test_results_of_a_scope",
            "test_taken_and_given_are_counted_over_all_parts",
            "test_weights",
            "test_before_backward",
            "test_no_gradient_flows",
            "test_a_step_has_no_slope",
            "test_words",
            "test_tooltips_of_parts",
            "test_parts_of_one_value_or_of_many_kinds",
            "test_neurons_stand_in_order",
            "test_loose_values_stand_in_order",
            "test_e6_is_visible",
            "test_structure",
            "test_structure_of_wide_nets",
            "test_parts_of_any_expression",
            "test_an_arrow_for_the_operands_between_two_parts",
        )
    ],
    "study/structure": [
        f"test_detail.py::{test}"
        for test in (
            "test_structure",
            "test_structure_of_a_neuron",
            "test_structure_of_a_layer",
            "test_largest_parameter",
            "test_structure_of_wide_nets",
            "test_arguments",
        )
    ],
    "study/picture": [
        f"test_draw.py::{test}"
        for test in (
            "test_steps_of_colour",
            "test_width_of_a_text",
            "test_a_box_has_room_for_its_words",
            "test_cells_of_a_box",
            "test_boxes_of_a_kind_line_up",
            "test_clusters_are_the_scopes_and_what_is_around_them",
            "test_tooltips",
            "test_words_on_arrows",
            "test_the_scale_is_that_of_the_largest",
            "test_numbers",
            "test_long_labels_are_cut",
            "test_shown_labels_are_printable",
            "test_constants_stand_in_the_glyph",
            "test_every_row_is_drawn_by_its_symbol",
            "test_a_box_for_each_value_an_arrow_for_each_operand",
            "test_wide_characters_get_room",
            "test_no_gradient_flows",
            "test_values_that_are_not_finite",
            "test_roles",
            "test_the_root_has_two_edges",
            "test_description",
            "test_before_backward",
            "test_arguments",
            "test_too_large_a_graph",
        )
    ],
    "study/explain": ["test_explain.py"],
    "study/paths": ["test_paths.py"],
    "study/delta_view": ["test_delta_view.py"],
    "study/names": ["test_explain.py", "test_paths.py"],
    "study/sheet": ["test_explain.py", "test_paths.py", "test_delta_view.py"],
    "context": ["test_value.py", "test_semantics.py", "test_compile_fit.py::test_anomalies_in_compiled_code"],
    "anomaly": ["test_value.py", "test_semantics.py", "test_calculus.py::test_under_no_grad_and_detect_anomaly"],
    "copying": ["test_value.py", "test_semantics.py"],
    "compiler/trace": [
        f"test_compile.py::{test}"
        for test in (
            "test_a_branch_on_a_traced_value",
            "test_a_traced_number_can_be_printed",
            "test_a_constant_has_its_number",
            "test_a_derivative_at_a_number_is_a_function_of_what_is_traced",
        )
    ],
    "compiler/tape": ["test_tape.py", "test_roll.py", *QUICK],
    "compiler/fuse": [*FUSE, "test_lower.py"],
    "compiler/bound": [
        f"test_compile.py::{test}"
        for test in (
            "test_bound_to_one_point",
            "test_inputs_of_a_bound_program",
            "test_a_bound_function_outlives_the_program",
        )
    ],
    "compiler/series": ["test_series.py", "test_roll.py"],
    "compiler/text": ["test_roll.py", "test_compile.py::test_text_stats_and_code"],
    "compiler/vector_math": ["test_vector_math.py"],
    "compiler/training": ["test_compile_fit.py"],
    "compiler/kernel": ["test_compile_fit.py", "test_native.py", "test_compile.py"],
    "compiler/program": ["test_compile_fit.py", "test_compile.py"],
    "compiler/native": ["test_native.py"],
    "compiler/roll": ["test_roll.py", "test_tape.py", "test_lower.py", *FUSE, *QUICK],
    "compiler/lower": [
        "test_lower.py",
        "test_fuse.py::test_loops_three_deep",
        "test_native.py::test_a_function_of_which_there_is_no_vector_form",
        *QUICK,
    ],
}

BINARY = ["Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_Mul", "Pow_Mul", "BitOr_BitAnd"]
COMPARISONS = ["Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is", "Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt"]
COMPARISONS += ["Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt"]
OPERATORS = [f"ReplaceBinaryOperator_{pair}" for pair in BINARY]
OPERATORS += [f"ReplaceComparisonOperator_{pair}" for pair in COMPARISONS]
OPERATORS += [f"ReplaceUnaryOperator_Delete_{sign}" for sign in ("USub", "Not")]
OPERATORS += ["ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd", "AddNot"]
OPERATORS += ["NumberReplacer", "ZeroIterationForLoop", "ExceptionReplacer", "RemoveDecorator"]
OPERATORS += ["ReplaceBreakWithContinue", "ReplaceContinueWithBreak"]


class LeaveOut(Operator):  # type: ignore[misc]
    """A statement of a function becomes `pass`: a return, a raise, a call, a change of an attribute or item."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        if node.type == "simple_stmt" and node.search_ancestor("funcdef"):
            (statement,) = ast.parse("def f():\n " + node.get_code().strip()).body[0].body
            if isinstance(statement, ast.Return | ast.Raise | ast.AugAssign) or (
                (isinstance(statement, ast.Expr) and not isinstance(statement.value, ast.Constant))
                or (
                    isinstance(statement, ast.Assign)
                    and isinstance(statement.targets[0], ast.Attribute | ast.Subscript)
                )
            ):
                yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        return parso.parse(node.get_first_leaf().prefix + "pass\n")  # type: ignore[no-untyped-call]

    @classmethod
    def examples(cls) -> Sequence[Any]:
        return ()


class Mutant(NamedTuple):
    """A mutated source, and what was done to which line of the original, in what function or row."""

    line: int
    where: str
    operator: str
    source: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.line}: {self.operator}\n  - {self.before}\n  + {self.after}"


def mutants(source: str, lines: Sequence[int] = (), sample: int = 0) -> list[Mutant]:
    """All of them, or those of some lines, or so many at random (always the same), by line; none in annotations,
    signatures' markers, what is for type checkers alone, and none that is the same program (1e154 + 1)."""
    original = ast.dump(ast.parse(source))
    typing = _for_type_checkers(ast.parse(source))
    places = _places(ast.parse(source))
    tree = get_ast(source)
    candidates = []
    for operator in [*[get_operator(f"core/{name}") for name in OPERATORS], LeaveOut]:
        positions = [(node, p) for node in ast_nodes(tree) for p in operator().mutation_positions(node)]
        for i, (node, (start, end)) in enumerate(positions):
            if lines and start[0] not in lines:
                continue
            if any(first <= start and end <= last for first, last in typing):
                continue
            if node.parent and node.parent.type == "parameters":
                continue
            candidates.append((operator, i, start[0]))
    if sample:
        random.Random(0).shuffle(candidates)
    found: list[Mutant] = []
    for operator, i, line in candidates:
        mutated = mutate_code(source, operator(), i)
        try:
            same = ast.dump(ast.parse(mutated)) == original
        except SyntaxError:
            continue
        if not same:
            found.append(_mutant(line, places.get(line, ""), operator.__name__, source, mutated))
        if sample and len(found) == sample:
            break
    return sorted(found, key=lambda mutant: mutant.line)


def _mutant(line: int, where: str, operator: str, source: str, mutated: str) -> Mutant:
    pairs = zip(source.splitlines(), mutated.splitlines())
    before, after = next((a, b) for a, b in pairs if a != b)
    return Mutant(line, where, operator, mutated, before.strip(), after.strip())


def _places(tree: ast.Module) -> dict[int, str]:
    """What each line of a module defines: a function, class or variable."""
    places = {}
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", node)
        name = getattr(target, "id", getattr(target, "name", ""))
        places.update(dict.fromkeys(range(node.lineno, (node.end_lineno or node.lineno) + 1), name))
    return places


def _for_type_checkers(tree: ast.Module) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where the source says nothing about what runs."""
    spans: list[Any] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            overloads = [d for d in node.decorator_list if ast.unparse(d) == "overload"]
            spans += [node.returns, *[((d.lineno, 0), (d.lineno + 1, 0)) for d in overloads]]
            spans += [argument.annotation for argument in ast.walk(node.args) if isinstance(argument, ast.arg)]
        elif isinstance(node, ast.AnnAssign):
            spans.append(node.annotation)
            if ast.unparse(node.annotation) == "TypeAlias":
                spans.append(node)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            spans.append(node)
    return [span if isinstance(span, tuple) else _span(span) for span in spans if span is not None]


def _span(node: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


# --- in the fork ---


class _Loader(SourceFileLoader):
    source = ""

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.source, self.path, "exec")


class _Finder:
    """Imports `source` as the module `name`."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self.name, self.path, self.source = name, str(path), source

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != self.name:
            return None
        loader = _Loader(name, self.path)
        loader.source = self.source
        return spec_from_file_location(name, self.path, loader=loader)


class _Plugin:
    """Runs the tests that found the latest mutants first, each with few examples, and remembers the first to fail."""

    def __init__(self, mutant: Mutant, first: list[str], examples: int) -> None:
        self.mutant, self.first, self.examples = mutant, first, examples
        self.failed = ""

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "xdist_group: known to xdist alone, which is left out")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        ranks = {test: rank for rank, test in enumerate(reversed(self.first))}
        items.sort(key=lambda item: ranks.get(item.nodeid, len(ranks)))
        from tinygrad_sq.op import Op
        from tinygrad_sq.table import rows

        if own_rows := _rows_of(self.mutant, set(rows)):
            items[:] = [item for item in items if _of_rows(item, Op) <= own_rows]
            items.sort(key=lambda item: not _of_rows(item, Op))  # the row's own tests first
        for item in items:
            test: Any = getattr(item, "obj", None)
            if getattr(test, "is_hypothesis_test", False):
                own: Any = getattr(test, "_hypothesis_internal_use_settings", None)
                present: Any = own or hypothesis.settings.default
                test._hypothesis_internal_use_settings = hypothesis.settings(
                    present,
                    max_examples=min(self.examples, present.max_examples),
                    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
                    derandomize=True,
                    database=None,
                    deadline=None,
                    suppress_health_check=list(hypothesis.HealthCheck),
                )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid


def _rows_of(mutant: Mutant, rows: set[str]) -> set[str]:
    """The row that the mutant is in, or the rows that mention the helper it is in; none where others mention it too."""
    if mutant.where in rows:
        return {mutant.where}
    tree = ast.parse(mutant.source)
    places = _places(tree)
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    users = {places[name.lineno] for name in names if name.id == mutant.where}
    return users if users <= rows else set()


def _of_rows(item: Any, op: Any) -> set[str]:
    """The rows for which a parametrized test is run."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return {p.name for p in parameters if isinstance(p, op)}


def _run(module: str, mutant: Mutant, first: list[str], examples: int, pipe: Connection) -> None:
    """Run the tests of `module` on a mutant; sends the first test that fails, or ""."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))  # a loop that never ends may fill the memory first
    sys.dont_write_bytecode = True
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    path = ROOT / "tinygrad_sq" / f"{module}.py"
    name = f"tinygrad_sq.{module}".replace("/", ".")
    sys.meta_path.insert(0, _Finder(name, path, mutant.source))
    plugin = _Plugin(mutant, first, examples)
    # Asserts as they are: to rewrite them takes longer than most tests. What runs in a process of its own, to see
    # whether its bytes are the same, is not mutated.
    options = ["-x", "-q", "--assert=plain", "-k", "not same_bytes"]
    options += [f"-pno:{plugin}" for plugin in ("cacheprovider", "xdist", "pytest_cov", "unraisableexception")]
    with open(os.devnull, "w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        code = pytest.main([*options, *[f"tests/{test}" for test in TESTS[module]]], [plugin])
    if not (source_file := sys.modules[name].__file__) or Path(source_file) != path:
        raise RuntimeError(f"the tests imported {source_file}, not {path}")
    pipe.send(plugin.failed or ("" if code == 0 else f"{code!r} of pytest"))


# --- in the parent ---


class _Fork(NamedTuple):
    mutant: Mutant
    process: Any
    pipe: Connection
    deadline: float


def _fork(module: str, mutant: Mutant, first: list[str], examples: int, limit: float) -> _Fork:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_run, args=(module, mutant, first, examples, sender), daemon=True)
    process.start()
    sender.close()
    return _Fork(mutant, process, receiver, time.monotonic() + limit)


def _finished(fork: _Fork) -> str | None:
    """None while it runs; then the test that failed, "" if none did, or what else became of it."""
    if fork.pipe.poll():
        try:
            result: str = fork.pipe.recv()
        except EOFError:
            result = "its death"
    elif time.monotonic() > fork.deadline:
        result = "time"
        os.killpg(fork.process.pid, signal.SIGKILL)
    else:
        return None
    fork.process.join()
    fork.pipe.close()
    return result


def run(module: str, jobs: int, examples: int, lines: list[int], sample: int) -> None:
    """Try all mutants of a module, or those of some lines, or so many of them at random (always the same), and write
    out/mutants/MODULE.txt."""
    source = (ROOT / "tinygrad_sq" / f"{module}.py").read_text(encoding="utf-8")
    unchanged = Mutant(0, "", "unchanged", source, "", "")
    start = time.monotonic()
    fork = _fork(module, unchanged, [], examples, 600.0)
    while (result := _finished(fork)) is None:
        time.sleep(0.02)
    if result:
        raise SystemExit(f"{module}: the tests fail without a mutant: {result}")
    limit = 30.0 + 5.0 * (time.monotonic() - start)

    waiting = mutants(source, lines, sample)[::-1]
    total = len(waiting)
    if not total:
        raise SystemExit(f"{module}: no mutants in lines {lines}")
    running: list[_Fork] = []
    first: list[str] = []  # the tests that found mutants, the latest last
    survivors: list[Mutant] = []
    causes = Counter[str]()
    while waiting or running:
        while waiting and len(running) < jobs:
            running.append(_fork(module, waiting.pop(), first, examples, limit))
        time.sleep(0.01)
        for fork in list(running):
            result = _finished(fork)
            if result is None:
                continue
            running.remove(fork)
            causes["a test" if "::" in result else "an import" if result.endswith(".py") else result] += 1
            if not result:
                survivors.append(fork.mutant)
                print(f"{module}.py:{fork.mutant}", flush=True)
            elif "::" in result:
                first = [test for test in first if test != result] + [result]
    killed = total - len(survivors)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    share = f"{killed} of {total} killed, {killed / total:.1%}"
    share += " of a sample" if sample else ""
    by = ", ".join(f"{n} by {cause}" for cause, n in causes.most_common() if cause)
    counts = f"{module}.py at {commit.strip()}: {share} ({by})"
    seconds = time.monotonic() - start
    print(f"{counts}; {seconds:.0f} s", flush=True)
    file = ROOT / "out" / "mutants" / f"{module}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    report = [counts, *[str(mutant) for mutant in sorted(survivors, key=lambda mutant: mutant.line)]]
    file.write_text("\n".join(report) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Mutation run over the package.")
    parser.add_argument("modules", nargs="*", default=list(TESTS), help="default: all")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--examples", type=int, default=25, help="of each Hypothesis test")
    parser.add_argument("--lines", nargs="+", type=int, default=[], help="of one module; default: all")
    parser.add_argument("--sample", type=int, default=0, help="so many mutants of each module at random; default: all")
    parser.add_argument("--list", action="store_true", help="list the mutants, run nothing")
    options = parser.parse_args()
    for module in options.modules:
        if options.list:
            found = mutants((ROOT / "tinygrad_sq" / f"{module}.py").read_text(encoding="utf-8"))
            print(*found, f"{module}.py: {len(found)} mutants", sep="\n")
        else:
            run(module, options.jobs, options.examples, options.lines, options.sample)


if __name__ == "__main__":
    main()
