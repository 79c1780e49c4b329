"""`make mutation`: mistakes made on purpose in references, interval inference and quantizers; which go unnoticed?

Cosmic Ray makes the mistakes. They are tried here rather than by its own runner: everything that is slow to import is
imported once, and each mutant is a forked process in which one module has another source. Of the mistakes that one
operator can make at one place, one is drawn. Exit code 1 when a mutant survives that `EXPLAINED` does not know.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a script: `mutation` lies beside this folder's name, not in it
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import ast
import importlib.abc
import importlib.machinery
import importlib.util
import json
import random
import re
import resource
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from types import CodeType

# Slow, and not ours: imported once.
import hypothesis.extra.numpy  # noqa: F401
import numpy as np  # noqa: F401
import onnx.checker
import onnx.parser  # noqa: F401
import onnxruntime  # noqa: F401
import pytest
import qonnx.core.datatype
import qonnx.custom_op.base
import qonnx.custom_op.registry  # noqa: F401
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.plugins import get_operator, operator_names
from rich.progress import Progress

from mutation.explained import EXPLAINED

ROOT = Path(__file__).resolve().parents[2]
TESTS = (
    "tests/test_grid.py",
    "tests/test_proofs.py",
    "tests/test_proofs_quantizer.py",
    "tests/test_quantizer_call.py",
    "tests/test_ops.py",
)
FUNCTIONS: dict[str, str] = {
    "fixed": ".*",
    "grid": ".*",
    "ops._quantizer": ".*",
    "ops.fixed_point_quant": "compute|prove|output_.*|_at_pixels|_parameter|_of_one_sample|_quantized_grid|_live"
    "|_bits_on_the_way",
    "ops.input_reduce": "compute|prove|output_shapes",
    "ops.sparse_conv": "compute|prove|output_shapes|_.*",
    "ops.sparse_pool": "compute|prove|output_shapes|_.*",
    "ops.sparse_to_dense": "compute|prove|output_shapes|check_coords|_.*",
}
"""Modules of the package, and which of their functions: not those that write text (ONNX, C++)."""

NOT_USED = ("VariableReplacer", "VariableInserter", "ExceptionReplacer", "RemoveDecorator", "_Is_Eq", "_IsNot_NotEq")
"""The last two change nothing: what is compared with `is` here is None, or a member of an enumeration."""
SECONDS = 40
"""Of the processor; a mutant that still runs then counts as noticed, the tests take a few."""


@dataclass(frozen=True)
class Mutant:
    """A module with one mistake."""

    module: str
    function: str
    line: int
    before: str
    after: str
    source: str

    @property
    def key(self) -> str:
        return f"{self.module}:{self.function}: {self.before} -> {self.after}"


def mutants(module: str, rng: random.Random) -> list[Mutant]:
    """One mistake of each kind at each place in the module's chosen functions."""
    path = ROOT / "sparse_qonnx" / (module.replace(".", "/") + ".py")
    source = path.read_text(encoding="utf-8")
    nodes, functions, plain = list(ast_nodes(get_ast(source))), _functions(source), _meaning(source)
    places: dict[tuple[tuple[int, int], str], list[tuple[str, int]]] = defaultdict(list)
    for name in sorted(operator_names()):
        if not name.endswith(NOT_USED):
            operator = get_operator(name)()
            spots = [position for node in nodes for position in operator.mutation_positions(node)]
            for occurrence, (start, _) in enumerate(spots):
                places[start, name.split("_")[0]].append((name, occurrence))
    found = []
    for (start, _), choices in sorted(places.items()):
        function = functions.get(start[0])
        if function is not None and re.fullmatch(FUNCTIONS[module], function):
            rng.shuffle(choices)
            changes = (MutationVisitor.mutate_code(source, get_operator(n)(), o) for n, o in choices)
            changed = next((c for c in changes if c is not None and _meaning(c) not in (plain, None)), None)
            if changed is not None:
                line, before, after = _difference(source, changed)
                if not before.startswith("assert "):  # they tell the type checker what is never None
                    found.append(Mutant(module, function, line, before, after, changed))
    return found


def _difference(source: str, changed: str) -> tuple[int, str, str]:
    """The line that differs, before and after."""
    old, new = source.splitlines(), changed.splitlines()
    row = next(n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
    return row + 1, old[row].strip(), new[row].strip()


def _meaning(source: str) -> str | None:
    """The code without what does nothing, annotations and `strict` of `zip`; None if it is no code."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            for argument in (*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs, node.args.vararg):
                if argument is not None:
                    argument.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(0)
        elif isinstance(node, ast.Call):
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "strict"]
    return ast.dump(tree)


def _functions(source: str) -> dict[int, str]:
    """The innermost function of each line that belongs to one."""
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    lines: dict[int, str] = {}
    for node in sorted(found, key=lambda node: node.lineno):
        lines |= dict.fromkeys(range(node.lineno, (node.end_lineno or 0) + 1), node.name)
    return lines


class Finder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds one module with another source."""

    def __init__(self, mutant: Mutant) -> None:
        self.name, self.source = f"sparse_qonnx.{mutant.module}", mutant.source

    def find_spec(self, name: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def get_source(self, fullname: str) -> str:
        return self.source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.source, f"<mutant of {fullname}>", "exec", dont_inherit=True)


def survives(mutant: Mutant | None, files: Sequence[str]) -> bool:
    """Whether all tests pass, in a process of its own; None is the code as it is."""
    process = os.fork()
    if process == 0:
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        code = 1
        try:
            if mutant is not None:
                sys.meta_path.insert(0, Finder(mutant))
            tests = [str(ROOT / test) for test in files]
            code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests])
        finally:
            os._exit(int(code))
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modules", nargs="*", default=list(FUNCTIONS), choices=list(FUNCTIONS))
    parser.add_argument("--sample", type=float, default=1.0, help="part of the mutants that is tried")
    parser.add_argument("--tests", nargs="*", default=TESTS, help="files of tests, the quickest first")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="JSON file of the survivors")
    options = parser.parse_args()
    os.environ["HYPOTHESIS_PROFILE"] = "mutation"
    os.chdir(ROOT)
    if not survives(None, options.tests):
        print("the tests fail without any mutant")
        return 2
    begin, tried, alive = time.monotonic(), Counter[str](), []
    for module in options.modules:
        rng = random.Random(f"{options.seed} {module}")
        made = [m for m in mutants(module, rng) if rng.random() < options.sample]
        with Progress(disable=not sys.stderr.isatty(), transient=True) as bar:
            for mutant in bar.track(made, description=module):
                tried[module] += 1
                if survives(mutant, options.tests):
                    alive.append(mutant)
                    print(
                        f"{mutant.module}.py:{mutant.line} {mutant.function}\n  - {mutant.before}\n  + {mutant.after}",
                        flush=True,
                    )
        left = sum(m.module == module for m in alive)
        print(f"{module:24} {tried[module]:5} mutants {tried[module] - left:5} noticed {left:4} survive", flush=True)
    unknown = [m for m in alive if m.key not in EXPLAINED]
    total, noticed = tried.total(), tried.total() - len(alive)
    print(
        f"{total} mutants, {noticed} noticed ({noticed / max(total, 1):.1%}), {len(alive) - len(unknown)} explained, "
        f"{len(unknown)} not, {time.monotonic() - begin:.0f} s"
    )
    for mutant in unknown:
        print(f"not explained: {mutant.key}")
    if options.output is not None:
        options.output.write_text(json.dumps([m.key for m in alive], indent=1), encoding="utf-8")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
