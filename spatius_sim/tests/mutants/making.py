"""Makes the mutants of a module: cosmic-ray changes its source; a cell of a table takes every other value."""

import ast
import difflib
import inspect
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from importlib import import_module
from typing import Any, get_args, get_type_hints

from spatius_sim.tests.mutants.mutant import MODULES, Mutant

TABLES = {"conversation_states", "playback_states"}
"""The modules that hold nothing but tables."""


def make_mutants(module: str) -> list[Mutant]:
    """Return all mutants of the module with this short name, by line."""
    made = _mutate_tables(module) if module in TABLES else _mutate_source(module)
    counted: Counter[tuple[str, str, str]] = Counter()
    mutants = []
    for mutant in sorted(made, key=lambda mutant: mutant.line):
        counted[mutant.key] += 1
        times = counted[mutant.key]
        change = mutant.change if times == 1 else f"{mutant.change} (number {times})"
        mutants.append(replace(mutant, change=change))
    return mutants


def _mutate_source(module: str) -> Iterator[Mutant]:
    """Yield a mutant for each place of each operator, but none of a decorator, and none that means the same
    as another."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code

    from spatius_sim.tests.mutants.operators import all_operators

    source = MODULES[module].path.read_text()
    tree = get_ast(source)
    definitions = _find_definitions(ast.parse(source))
    meanings = {_meaning(source)}
    for operator in all_operators():
        places = sum(1 for node in ast_nodes(tree) for _ in operator.mutation_positions(node))
        for place in range(places):
            mutated = mutate_code(source, operator, place)
            try:
                meaning = _meaning(mutated)
            except SyntaxError:
                continue  # parso has taken a star among parameters for a multiplication.
            line, change = _describe_change(source, mutated)
            if meaning not in meanings and not change.startswith("@"):
                meanings.add(meaning)
                yield Mutant(module, line, _where(definitions, line), change, source=mutated)


def _mutate_tables(module: str) -> Iterator[Mutant]:
    """Yield a mutant for each cell of each table, and each other value that the table's type allows."""
    mutated = MODULES[module]
    loaded = import_module(mutated.name)
    lines = _find_cells(ast.parse(mutated.path.read_text()))
    for name, hint in get_type_hints(loaded).items():
        table: dict[tuple[Any, ...], Any] = getattr(loaded, name)
        values = _all_values(get_args(hint)[1])
        for number, (key, value) in enumerate(table.items()):
            for other in values:
                if other is not value:
                    cell = ", ".join(map(_named, key))
                    change = f"({cell}): {_named(value)} -> {_named(other)}"
                    yield Mutant(module, lines[name][number], name, change, cell=(number, other))


def _all_values(type_: Any) -> list[Any]:
    """Return all values of a type: of bool, of an enumeration, or of a union of such."""
    if type_ is bool:
        return [True, False]
    if inspect.isclass(type_) and issubclass(type_, Enum):
        return list(type_)
    return [value for part in get_args(type_) for value in _all_values(part)]


def _named(value: object) -> str:
    return value.name if isinstance(value, Enum) else str(value)


def _find_cells(tree: ast.Module) -> dict[str, list[int]]:
    """Return the line of each cell of each table."""
    return {
        node.target.id: [key.lineno for key in node.value.keys if key is not None]
        for node in tree.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(node.value, ast.Dict)
    }


def _find_definitions(tree: ast.AST, inside: str = "") -> dict[tuple[int, int], str]:
    """Return the qualified name of each class and function, by its first and last line."""
    found: dict[tuple[int, int], str] = {}
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            found[first, node.end_lineno or first] = f"{inside}{node.name}"
            found |= _find_definitions(node, f"{inside}{node.name}.")
    return found


def _where(definitions: dict[tuple[int, int], str], line: int) -> str:
    """Return the name of the innermost definition around a line; "module" if there is none."""
    around = [(last - first, name) for (first, last), name in definitions.items() if first <= line <= last]
    return min(around)[1] if around else "module"


def _describe_change(source: str, mutated: str) -> tuple[int, str]:
    """Return the first changed line's number, and the change in one line."""
    before, after = source.splitlines(), mutated.splitlines()
    matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
    _, first, last, start, end = next(op for op in matcher.get_opcodes() if op[0] != "equal")
    old, new = (" ".join(map(str.strip, lines)) for lines in (before[first:last], after[start:end]))
    return first + 1, f"{old} -> {new}"


class _Plainer(ast.NodeTransformer):
    """Writes `not a is b` as `a is not b`, `not not a` as `a`, and parameters without their types."""

    _opposites = ((ast.Is, ast.IsNot), (ast.Eq, ast.NotEq), (ast.Lt, ast.GtE), (ast.Gt, ast.LtE))

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Return the parameter without its type."""
        return ast.arg(node.arg)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        """Return the plainer form of a negation."""
        self.generic_visit(node)
        if not isinstance(node.op, ast.Not):
            return node
        inner = node.operand
        if isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.Not):
            return inner.operand
        if isinstance(inner, ast.Compare) and len(inner.ops) == 1:
            for one, other in self._opposites:
                for had, gets in ((one, other), (other, one)):
                    if isinstance(inner.ops[0], had):
                        return ast.Compare(inner.left, [gets()], inner.comparators)
        return node


def _meaning(source: str) -> str:
    """Return a text that is the same for two sources that mean the same at first sight."""
    return ast.dump(_Plainer().visit(ast.parse(source)))
