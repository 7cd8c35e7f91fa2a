"""Expressions of params: params that are tied to others, and quantities derived from params.

A tied param is replaced by its expression in the syntax tree, before names are resolved, so a
formula with ties is the formula with the expressions written out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

import numpy as np
from torch import Tensor

from service.engine.derivatives import differentiate
from service.engine.kernel import operators
from service.engine.kernel.program import Program
from service.engine.kernel.types import Bools, Floats
from service.engine.names import CONSTANTS, Names, leaves
from service.engine.operations import CALLABLE
from service.engine.syntax import MAX_NODES, Call, Name, Tree, parse
from service.engine.tape import Builder, Tape
from service.errors import (
    InvalidFormula,
    InvalidRequest,
    UnknownName,
    UnknownNameInFormula,
    token,
)

Texts = tuple[tuple[str, str], ...]
"""Expressions by name."""


@dataclass(frozen=True, eq=False)
class Derived:
    """Quantities computed from the params of a formula; `tape` has one output each."""

    names: tuple[str, ...]
    params: tuple[str, ...]
    """Of the formula."""
    tape: Tape

    def __len__(self) -> int:
        return len(self.names)

    def read(self, theta: Tensor) -> tuple[Floats, Floats]:
        """The values (fits, quantities) and their derivatives by the params (fits, quantities,
        params) at θ (fits, params)."""
        at, many = theta.double().cpu().contiguous(), len(self)
        found = operators.read(self._program.tensors, at.new_empty((0, 1)), at)[:, :, 0].numpy()
        slopes = found[many:].reshape(many, len(self.params), len(at))
        return found[:many].T.copy(), slopes.transpose(2, 0, 1).copy()

    @cached_property
    def depends(self) -> Bools:
        """Which quantity depends on which param, (quantities, params)."""
        builder = Builder.of(self.tape)
        rows = []
        for output in self.tape.outputs:
            own = set(builder.tape([output]).names("param"))
            rows.append([name in own for name in self.params])
        return np.array(rows, dtype=np.bool_).reshape(len(self), len(self.params))

    @cached_property
    def _program(self) -> Program:
        builder, outputs = Builder.of(self.tape), list(self.tape.outputs)
        for output in self.tape.outputs:
            slopes = differentiate(builder, output, self.params)
            outputs += [slopes[name] for name in self.params]
        # Every output after the first counts as a slope; here the param of a slope is not used.
        return Program.of(builder.tape(outputs), self.params, (), [0] * (len(outputs) - 1))


def read_expression(text: str) -> Tree:
    """The tree of an expression. Raises InvalidFormula."""
    left, right = parse(text)
    if left is not None:
        raise InvalidFormula("an expression has no '='; write only what the quantity equals")
    return right


@dataclass(frozen=True)
class Ties:
    """Tied params as nodes of a builder."""

    nodes: Mapping[str, int]
    bases: Mapping[str, tuple[str, ...]]
    """The params that each depends on, which are not tied."""

    def expanded(self, names: Sequence[str]) -> tuple[str, ...]:
        """The params without ties among those names and among the bases of the tied ones."""
        found: dict[str, None] = {}
        for name in names:
            found.update(dict.fromkeys(self.bases.get(name, (name,))))
        return tuple(found)


def pointer(name: str) -> str:
    """The JSON Pointer to the expression of a name, within the object that has it."""
    return f"/{token(name)}/expr"


def lower_expression(
    tree: Tree, known: frozenset[str], ties: Ties, columns: frozenset[str], builder: Builder,
    own: str | None = None,
) -> int:  # fmt: skip
    """The node of an expression of the params `known` and the tied ones, for the tied param `own`.
    Raises InvalidFormula."""
    allowed = known | ties.nodes.keys()
    for leaf in leaves(tree):
        _check_name(leaf, columns, allowed, own)
    return Names(frozenset(), allowed, ties.nodes).lower(tree, builder, frozenset())


def lower_ties(
    trees: Mapping[str, Tree], used: Sequence[str], known: frozenset[str],
    columns: frozenset[str], builder: Builder,
) -> Ties:  # fmt: skip
    """The expressions of tied params as nodes.

    `used` are the names that the formula uses, `known` those that may be params besides. Raises
    InvalidFormula, at `/params/name/expr`, for a cycle, a column, or a name that is no param; and
    UnknownName for a tied param that nothing uses.
    """
    own = {name: [leaf.name for leaf in leaves(tree)] for name, tree in trees.items()}
    _check_uses(trees, own, used)
    size = sum(map(_size, trees.values()))
    if size > MAX_NODES:
        raise InvalidFormula(
            f"the expressions of tied params have {size} operations and names together, more than "
            f"the {MAX_NODES} allowed",
            pointer=f"/params{pointer(next(iter(trees)))}",
        )
    allowed = frozenset(used) | known | trees.keys()
    nodes: dict[str, int] = {}
    bases: dict[str, tuple[str, ...]] = {}
    for name in _ordered(own):
        tree = trees[name]
        try:
            nodes[name] = lower_expression(
                tree, allowed, Ties(nodes, bases), columns, builder, name
            )
        except InvalidRequest as error:
            raise error.at(f"/params{pointer(name)}") from None
        below = [leaf for leaf in own[name] if leaf not in CONSTANTS]
        bases[name] = Ties(nodes, bases).expanded(below)
    return Ties(nodes, bases)


def _check_name(
    leaf: Name, columns: frozenset[str], allowed: frozenset[str], own: str | None
) -> None:
    """Raises InvalidFormula for a column, and UnknownNameInFormula for a name that is no param."""
    name = leaf.name
    if name in columns:
        raise InvalidFormula(
            f"'{name}' is a column; this expression has only params", column=leaf.column
        )
    if name not in allowed and name not in CONSTANTS and name not in CALLABLE:
        value = f'; a param of expressions alone needs a value, "params": {{"{name}": 1}}'
        raise UnknownNameInFormula("param", name, allowed - {own}, column=leaf.column, note=value)


def _check_uses(
    trees: Mapping[str, Tree], own: Mapping[str, Sequence[str]], used: Sequence[str]
) -> None:
    """Raises UnknownName for a tied param that neither the formula nor an expression uses."""
    reached, left = set[str](), list(used)
    while left:
        name = left.pop()
        if name not in reached:
            reached.add(name)
            left += own.get(name, ())
    for name in trees:
        if name not in reached:
            at = f"/params{pointer(name)}".removesuffix("/expr")
            raise UnknownName("param", name, used, pointer=at)


def _size(tree: Tree) -> int:
    return 1 + (sum(map(_size, tree.arguments)) if isinstance(tree, Call) else 0)


def _ordered(own: Mapping[str, Sequence[str]]) -> list[str]:
    """The tied params, each after those that it depends on. Raises InvalidFormula for a cycle."""
    graph = {name: [leaf for leaf in used if leaf in own] for name, used in own.items()}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        cycle = error.args[1]
        raise InvalidFormula(
            f"the expressions form a cycle, {' → '.join(reversed(cycle))}; give one of these "
            "params a value",
            pointer=f"/params{pointer(cycle[0])}",
        ) from None
