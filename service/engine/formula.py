"""Parses a formula: text -> syntax tree -> tape, with its names resolved to columns and params."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from torch import Tensor

from service.engine.derivatives import differentiate
from service.engine.expressions import (
    Derived,
    Texts,
    Ties,
    lower_expression,
    lower_ties,
    read_expression,
)
from service.engine.expressions import pointer as pointer_of
from service.engine.kernel import operators
from service.engine.kernel.program import Program
from service.engine.left_side import hidden, left_side, target_columns, written
from service.engine.names import CONSTANTS, Names, leaves
from service.engine.objectives.bound import BoundFormula, stacked
from service.engine.operations import OPERATIONS
from service.engine.syntax import Tree, parse
from service.engine.tape import Builder, Tape
from service.errors import InvalidFormula, InvalidRequest

MAX_PARAMS = 64
NODES = 8
"""Nodes of the integral over a bin."""


@dataclass(frozen=True)
class Formula:
    """A model y = f(x; θ) as tapes.

    `tape` has the outputs prediction and ∂prediction/∂param, in the order of `params`; `left`
    computes the left side from the target's columns.
    """

    text: str
    target: str
    """The left side as text: the scale of the loss, the statistics and the predictions."""
    target_columns: tuple[str, ...]
    inputs: tuple[str, ...]
    params: tuple[str, ...]
    left: Tape
    prediction: Tape
    tape: Tape
    ties: Texts = ()
    """The tied params with their expressions."""
    tied_tape: Tape | None = None
    """The values of the tied params, in the order of `ties`."""
    binned: tuple[str, str] | None = None
    """Of an integral over bins, the variable and the input with their widths: see `over_bins`."""

    has_standard_errors = True
    """Whether its params are identifiable, and so have standard errors."""

    @cached_property
    def operations(self) -> int:
        """Operations per row of the prediction and its gradient."""
        return max(1, self.tape.operations)

    @cached_property
    def forward_operations(self) -> int:
        """Operations per row of the prediction."""
        return max(1, self.prediction.operations)

    @property
    def size(self) -> int:
        """Number of params."""
        return len(self.params)

    @cached_property
    def tied(self) -> Derived | None:
        """The tied params, as quantities derived from the others."""
        if self.tied_tape is None:
            return None
        return Derived(tuple(name for name, _ in self.ties), self.params, self.tied_tape)

    def derived(self, texts: Texts) -> Derived:
        """Quantities derived from the params, the tied ones too, by name. Raises InvalidFormula,
        at `/name/expr`."""
        if texts not in self._derived:
            trees = {}
            for name, text in texts:
                try:
                    trees[name] = read_expression(text)
                except InvalidRequest as error:
                    raise error.at(pointer_of(name)) from None
            self._derived[texts] = self.derived_trees(trees)
        return self._derived[texts]

    def derived_trees(self, trees: Mapping[str, Tree]) -> Derived:
        """The same of expressions that are parsed."""
        builder, nodes = Builder(), []
        used = [name for name, _ in self.ties]
        ties = {name: read_expression(text) for name, text in self.ties}
        known = frozenset(self.params)
        tied = lower_ties(ties, used, known, frozenset(), builder) if ties else Ties({}, {})
        for name, tree in trees.items():
            try:
                nodes.append(lower_expression(tree, known, tied, frozenset(self.inputs), builder))
            except InvalidRequest as error:
                raise error.at(pointer_of(name)) from None
        return Derived(tuple(trees), self.params, builder.tape(nodes))

    @cached_property
    def _derived(self) -> dict[Texts, Derived]:
        return {}

    def bind(self, columns: Mapping[str, Tensor], rows: int, like: Tensor) -> BoundFormula:
        """The formula bound to columns."""
        inputs = stacked(self.inputs, columns, rows, like)
        return BoundFormula(self.forward, self.full, inputs)

    @cached_property
    def forward(self) -> Program:
        """The program of f."""
        return Program.of(self.prediction, self.params, self.inputs, ())

    @cached_property
    def full(self) -> Program:
        """The program of f and ∂f/∂θ."""
        return self.program(range(len(self.params)))

    def program(self, free: Iterable[int]) -> Program:
        """The program of f and of its derivatives by the params at those positions."""
        chosen = tuple(free)
        if chosen not in self._programs:
            builder, outputs = Builder.of(self.tape), self.tape.outputs
            tape = builder.tape([outputs[0], *(outputs[1 + i] for i in chosen)])
            self._programs[chosen] = Program.of(tape, self.params, self.inputs, chosen)
        return self._programs[chosen]

    @cached_property
    def second_programs(self) -> dict[tuple[int, ...], Program]:
        """The programs of second derivatives that were made: see `inference.covariance`."""
        return {}

    @cached_property
    def input_programs(self) -> dict[tuple[str, ...], Program]:
        """The programs of derivatives by inputs that were made: see `objectives.orthogonal`."""
        return {}

    @cached_property
    def extended(self) -> dict[tuple[str, ...], Formula]:
        """The formulas with rows of a prior that were made: see `engine.prior`."""
        return {}

    @cached_property
    def _programs(self) -> dict[tuple[int, ...], Program]:
        return {}

    def linear_among(self, free: Sequence[str]) -> tuple[bool, ...]:
        """A set of those params in which the prediction is jointly linear, chosen greedily in their
        order; as a mask."""
        asked = tuple(free)
        if asked not in self._linear:
            chosen: set[str] = set()
            for name in asked:
                if self.is_linear_in(chosen | {name}):
                    chosen.add(name)
            self._linear[asked] = tuple(name in chosen for name in asked)
        return self._linear[asked]

    @cached_property
    def _linear(self) -> dict[tuple[str, ...], tuple[bool, ...]]:
        return {}

    def is_linear_in(self, free: Collection[str]) -> bool:
        """Whether the prediction is jointly linear in those params: no ∂/∂free depends on one of
        them, and none occurs in a condition, a step or a sign."""
        if self.switches & set(free):
            return False
        return not any(self._slope_params[name] & set(free) for name in self.params if name in free)

    @cached_property
    def switches(self) -> frozenset[str]:
        """The params on which a condition, a step or a sign depends."""
        nodes, found = self.prediction.nodes, set()
        for name in self.params:
            leaf = [i for i, n in enumerate(nodes) if n.kind == "param" and n.name == name]
            depends = Builder.of(self.prediction).depends_on(leaf)
            found |= {
                name
                for node in nodes
                if node.kind == "operation"
                for argument, rule in zip(node.arguments, OPERATIONS[node.name].rules, strict=True)
                if rule is None and depends[argument]
            }
        return frozenset(found)

    @cached_property
    def _slope_params(self) -> Mapping[str, frozenset[str]]:
        """The params on which the derivative by each param depends."""
        builder = Builder.of(self.tape)
        slopes = zip(self.params, self.tape.outputs[1:], strict=True)
        return {name: frozenset(builder.tape([at]).names("param")) for name, at in slopes}

    def explained(self, columns: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """The values of the left side, (rows,)."""
        output = self.left.nodes[self.left.outputs[0]]
        if output.kind == "column":
            return columns[output.name]
        return read_columns(self.left, columns, like)


def over_bins(formula: Formula, variable: str, width: str) -> Formula:
    """The integral of a formula over a bin of the variable: the variable is then the bin's middle,
    and `width` a new input. By Gauss's and Legendre's rule with `NODES` nodes, which is exact for
    polynomials of degree 2·NODES − 1; of a Lorentzian as wide as the bin 7 digits are right, of one
    three times as wide 13."""
    builder = Builder()
    middle, wide = builder.column(variable), builder.column(width)
    total = builder.constant(0.0)
    for node, weight in zip(*np.polynomial.legendre.leggauss(NODES), strict=True):
        apart = builder.apply("multiply", wide, builder.constant(float(node) / 2))
        at = builder.apply("add", middle, apart)
        (value,) = builder.copy(formula.prediction, {variable: at})
        part = builder.apply("multiply", builder.constant(float(weight) / 2), value)
        total = builder.apply("add", total, part)
    output = builder.apply("multiply", wide, total)
    slopes = differentiate(builder, output, formula.params)
    return replace(
        formula,
        binned=(variable, width),
        inputs=(*formula.inputs, width),
        prediction=builder.tape([output]),
        tape=builder.tape([output, *(slopes[name] for name in formula.params)]),
    )


def read_columns(tape: Tape, columns: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """The output of a tape without params, (rows,)."""
    names = tape.names("column")
    program = Program.of(tape, (), names, ())
    rows = len(next(iter(columns.values())))
    inputs = stacked(names, columns, rows, like)
    found: Tensor = operators.read(program.tensors, inputs, like.new_empty((1, 0)))[0, 0]
    return found


@lru_cache(maxsize=256)
def read_formula(
    text: str,
    columns: frozenset[str],
    params: frozenset[str] | None = None,
    ties: Texts = (),
    given: frozenset[str] = frozenset(),
) -> Formula:
    """Parses a formula, given the names of the data's columns.

    Names that are columns are inputs, all others are params. With `params` (for a prediction, which
    has no target) any other name is an error. Without a left side the target is column `y`. `ties`
    are expressions for some of the params, which may use the names `given` too.

    Raises InvalidFormula, with the column of the text; for an expression, at its pointer.
    """
    trees = {}
    for name, expression in ties:
        try:
            trees[name] = read_expression(expression)
        except InvalidRequest as error:
            raise error.at(f"/params{pointer_of(name)}") from None
    return _read(text, columns, params, ties, trees, given)


def with_tie(formula: Formula, name: str, tree: Tree, new: str) -> Formula:
    """The formula with one more param tied, by a tree that uses a `new` param."""
    trees = {each: read_expression(text) for each, text in formula.ties}
    columns = frozenset((*formula.inputs, *formula.target_columns))
    given = frozenset((new, *formula.params))
    tied = _read(formula.text, columns, None, (), {**trees, name: tree}, given)
    return tied if formula.binned is None else over_bins(tied, *formula.binned)


def _read(
    text: str, columns: frozenset[str], params: frozenset[str] | None, ties: Texts,
    trees: Mapping[str, Tree], given: frozenset[str],
) -> Formula:  # fmt: skip
    left, right = parse(text)
    builder = Builder()
    used = [leaf.name for leaf in leaves(right)]
    own = [name for name in used if name not in columns and name not in CONSTANTS]
    tied = Ties({}, {})
    if trees:
        known = given if params is None else params
        tied = lower_ties(trees, own, known, columns, builder)
    names = Names(columns, params, tied.nodes)
    columns_of_target = target_columns(left, columns, needed=params is None)
    output = names.lower(right, builder, hidden=hidden(columns_of_target, right))
    order = tied.expanded(own) if trees else tuple(names.params)
    if params is None and not names.inputs and not order:
        raise InvalidFormula("the right side has no column and no param")
    if len(order) > MAX_PARAMS:
        raise InvalidFormula(
            f"a formula has at most {MAX_PARAMS} params; this one has {len(order)}"
        )
    derivatives = differentiate(builder, output, order)
    left_tape, target = left_side(left, columns, params)
    return Formula(
        text=written(text, left),
        target=target,
        target_columns=columns_of_target,
        inputs=tuple(names.inputs),
        params=order,
        left=left_tape,
        prediction=builder.tape([output]),
        tape=builder.tape([output, *(derivatives[name] for name in order)]),
        ties=ties,
        tied_tape=builder.tape([tied.nodes[name] for name, _ in ties]) if ties else None,
    )


def formula_names(text: str) -> frozenset[str]:
    """All names of columns and params in the text, on either side."""
    return frozenset(name.name for side in parse(text) if side for name in leaves(side))


def right_names(text: str) -> frozenset[str]:
    """The names on the right side of a formula. Raises InvalidFormula."""
    return frozenset(name.name for name in leaves(parse(text)[1]))
