"""Notes which lines of the honest brain run, and finds out whether a mutant could be told from it."""

import ast
import sys
from collections.abc import Collection, Iterator, Set
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from spatius_sim.tests.mutants.mutant import MODULES, Mutant

Lines = Set[tuple[str, int]]
"""Lines of sources: the path of a source, and the line's number."""


@contextmanager
def note_lines(paths: Collection[Path]) -> Iterator[Lines]:
    """Note which lines of these sources run, in functions that are called while the block runs."""
    names = set(map(str, paths))
    lines: set[tuple[str, int]] = set()

    def note(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            lines.add((frame.f_code.co_filename, frame.f_lineno))
        return note

    def enter(frame: FrameType, event: str, _: Any) -> Any:
        return note if frame.f_code.co_filename in names else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield lines
    finally:
        sys.settrace(before)


def runs_mutated(mutant: Mutant, lines: Lines) -> bool:
    """Return whether what is mutated runs when the honest brain runs these lines. If not, a run of the mutant
    is the same as that of the honest brain."""
    path = MODULES[mutant.module].path
    statement = find_statement(path.read_text(), mutant.line)
    return statement is None or any((str(path), line) in lines for line in statement)


@cache
def find_statement(source: str, line: int) -> frozenset[int] | None:
    """Return the lines of the innermost statement of a function that stands on this line, without those of
    the statements in it. None if there is no such statement: the line runs when the module is loaded."""
    bodies = (node.body for node in ast.walk(ast.parse(source)) if isinstance(node, _FUNCTIONS))
    statements = {
        node for body in bodies for part in body for node in ast.walk(part) if isinstance(node, ast.stmt)
    }
    around = [node for node in statements if line in _lines_of(node)]
    if not around:
        return None
    innermost = min(around, key=lambda node: len(_lines_of(node)))
    inside = (node for node in ast.walk(innermost) if isinstance(node, ast.stmt) and node is not innermost)
    return frozenset(_lines_of(innermost)).difference(*map(_lines_of, inside))


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _lines_of(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)
