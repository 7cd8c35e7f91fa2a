"""Converts syntax trees to nodes of a tape, with their names resolved."""

from __future__ import annotations

import math
from collections.abc import Mapping

from service.engine.operations import CALLABLE, COMPARISONS
from service.engine.syntax import Call, Name, Number, Tree
from service.engine.tape import Builder
from service.errors import InvalidFormula, UnknownNameInFormula

CONSTANTS: Mapping[str, float] = {"pi": math.pi}

_CONDITIONS = frozenset(COMPARISONS.values())


def leaves(tree: Tree) -> list[Name]:
    """The names in a tree, in order of appearance, each as often as it appears."""
    if isinstance(tree, Name):
        return [tree]
    if isinstance(tree, Call):
        return [name for argument in tree.arguments for name in leaves(argument)]
    return []


class Names:
    """Converts a tree to nodes, resolving its names to columns, params and constants."""

    def __init__(
        self,
        columns: frozenset[str],
        params: frozenset[str] | None,
        nodes: Mapping[str, int] | None = None,
    ) -> None:
        """`params` are the names that may be params; None: any. `nodes` are the nodes of names that
        are expressions."""
        self._columns = columns
        self._allowed = params
        self._nodes = nodes or {}
        self.inputs: dict[str, None] = {}
        self.params: dict[str, None] = {}

    def lower(self, tree: Tree, builder: Builder, hidden: frozenset[str]) -> int:
        """The node of a tree with a numeric value; names in `hidden` must not be used."""
        node = self._node(tree, builder, hidden)
        if isinstance(tree, Call) and tree.operation in _CONDITIONS:
            raise InvalidFormula(
                "a comparison is a condition, not a number; use it in where(condition, a, b)",
                column=tree.column,
            )
        return node

    def _node(self, tree: Tree, builder: Builder, hidden: frozenset[str]) -> int:
        if isinstance(tree, Number):
            return self._finite(builder.constant(tree.value), builder, tree)
        if isinstance(tree, Name):
            return self._name(tree, builder, hidden)
        if tree.operation == "where":
            condition, *branches = tree.arguments
            if not (isinstance(condition, Call) and condition.operation in _CONDITIONS):
                raise InvalidFormula(
                    "where() takes a comparison first, such as where(x < k, a, b)",
                    column=condition.column,
                )
            arguments = [self._node(condition, builder, hidden)]
            arguments += [self.lower(branch, builder, hidden) for branch in branches]
        else:
            arguments = [self.lower(argument, builder, hidden) for argument in tree.arguments]
        return self._finite(builder.apply(tree.operation, *arguments), builder, tree)

    def _finite(self, node: int, builder: Builder, tree: Tree) -> int:
        value = builder.value(node)
        if value is not None and not math.isfinite(value):
            raise InvalidFormula("this constant is not a finite number", column=tree.column)
        return node

    def _name(self, name: Name, builder: Builder, hidden: frozenset[str]) -> int:
        if name.name in CONSTANTS:
            if name.name in self._columns:
                raise InvalidFormula(
                    f"'{name.name}' is a constant; rename that column", column=name.column
                )
            return builder.constant(CONSTANTS[name.name])
        if name.name in hidden:
            raise InvalidFormula(
                f"'{name.name}' is the target; it cannot be on the right side as well",
                column=name.column,
            )
        if name.name in self._columns:
            self.inputs[name.name] = None
            return builder.column(name.name)
        if name.name in self._nodes:
            return self._nodes[name.name]
        if name.name in CALLABLE:
            raise InvalidFormula(
                f"'{name.name}' is a function; write {name.name}(...)", column=name.column
            )
        if self._allowed is not None and name.name not in self._allowed:
            raise UnknownNameInFormula(
                "name", name.name, self._columns | self._allowed | self._nodes.keys(),
                column=name.column, where=", neither a column of the data nor one of the params",
            )  # fmt: skip
        self.params[name.name] = None
        return builder.param(name.name)
