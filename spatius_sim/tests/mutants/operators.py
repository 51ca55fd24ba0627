"""What is changed in a source: the operators of cosmic-ray that fit these brains, and two of our own."""

from typing import Any

from cosmic_ray.operators.operator import Example, Operator
from cosmic_ray.operators.provider import OperatorProvider
from parso.python.tree import Keyword
from parso.tree import search_ancestor

Position = tuple[tuple[int, int], tuple[int, int]]


class RemoveStatement(Operator):
    """Puts `pass` in the place of a call, an assignment to an attribute, or a `return` inside an `if`.

    Other statements stay, and so does every `__init__`: without them a function only raises, or returns None.
    """

    def mutation_positions(self, node: Any) -> list[Position]:
        """Return the statement's position if it can be left out."""
        if node.type != "simple_stmt" or not _can_be_left_out(node.children[0]):
            return []
        return [(node.children[0].start_pos, node.children[0].end_pos)]

    def mutate(self, node: Any, index: int) -> Any:
        """Return the line with `pass` instead of its statement."""
        statement = node.children[0]
        prefix = statement.get_first_leaf().prefix
        node.children[0] = Keyword("pass", statement.start_pos, prefix)
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Return what it does to a line of code."""
        return (Example("def f():\n    g()\n", "def f():\n    pass\n"),)


def _can_be_left_out(statement: Any) -> bool:
    suite = statement.parent.parent
    function = search_ancestor(statement, "funcdef")
    if function is None or function.name.value == "__init__":
        return False
    match statement.type:
        case "atom_expr":
            return True
        case "expr_stmt":
            return any(child.type in ("atom_expr", "trailer") for child in _targets(statement))
        case "return_stmt":
            return bool(suite.parent.type == "if_stmt")
    return False


def _targets(statement: Any) -> list[Any]:
    """Return what an assignment assigns to, in parts."""
    target = statement.children[0]
    return list(target.children) if target.type == "testlist_star_expr" else [target]


class RemovePart(Operator):
    """Leaves out one element of a list, or one summand: what a brain returns is a list of commands."""

    def mutation_positions(self, node: Any) -> list[Position]:
        """Return a position for each part that can be left out."""
        parts = [node.children[number] for number in _parts(node)]
        return [(part.start_pos, part.end_pos) for part in parts]

    def mutate(self, node: Any, index: int) -> Any:
        """Return the list or sum without this part, and without the comma or plus beside it."""
        number = _parts(node)[index]
        if node.type == "atom":
            del node.children[number]
        else:
            del node.children[max(0, number - 1) : max(2, number + 1)]
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Return what it does to a line of code."""
        return (
            Example("x = [a, b]", "x = [ b]"),
            Example("x = [a, b]", "x = [a]", occurrence=1),
            Example("x = [a]", "x = []"),
            Example("x = a + b", "x = b"),
        )


def _parts(node: Any) -> list[int]:
    """Return which children of a list or a sum are its parts."""
    children: list[Any] = getattr(node, "children", [])
    separators = {child.type == "operator" and child.value for child in children[1::2]}
    match node.type:
        case "arith_expr" if separators == {"+"}:
            return list(range(0, len(children), 2))
        case "testlist_comp" if separators == {","} and node.parent.children[0] == "[":
            return list(range(0, len(children), 2))
        case "atom" if len(children) == 3 and children[0] == "[" and children[1].type != "testlist_comp":
            return [1]
    return []


_CHOSEN = (
    "AddNot",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ExceptionReplacer",
    "NumberReplacer",
    "ZeroIterationForLoop",
    "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_Delete_USub",
    "ReplaceBinaryOperator_Add_Sub",
    "ReplaceBinaryOperator_Sub_Add",
    "ReplaceBinaryOperator_Mul_FloorDiv",
    "ReplaceBinaryOperator_Div_Mul",
    "ReplaceBinaryOperator_FloorDiv_Mul",
    "ReplaceBinaryOperator_Mod_FloorDiv",
    "ReplaceComparisonOperator_Eq_NotEq",
    "ReplaceComparisonOperator_Is_IsNot",
    "ReplaceComparisonOperator_IsNot_Is",
    "ReplaceComparisonOperator_Lt_LtE",
    "ReplaceComparisonOperator_Lt_GtE",
    "ReplaceComparisonOperator_Gt_GtE",
    "ReplaceComparisonOperator_Gt_LtE",
    "ReplaceComparisonOperator_LtE_Lt",
    "ReplaceComparisonOperator_LtE_Gt",
    "ReplaceComparisonOperator_GtE_Gt",
    "ReplaceComparisonOperator_GtE_Lt",
)
"""Left out: what changes only annotations and decorators, and what replaces an operator by one that fits no
value there, such as `is` by `<`."""


def all_operators() -> list[Operator]:
    """Return every operator that is applied."""
    provider = OperatorProvider()
    return [*(provider[name]() for name in _CHOSEN), RemoveStatement(), RemovePart()]
