"""Symbolic derivatives of a tape, as further nodes of the same tape.

Reverse accumulation over elementwise operations (Griewank and Walther, Evaluating Derivatives, 2nd
ed., ch. 3): a row's prediction is one number, so one sweep from it back to the leaves gives
∂prediction/∂param for all params at about the cost of a few predictions, with no graph kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from service.engine.operations import OPERATIONS
from service.engine.tape import Builder
from service.engine.terms import Term


def differentiate(builder: Builder, output: int, params: Sequence[str]) -> Mapping[str, int]:
    """The nodes of ∂output/∂param by param, added to the same builder."""
    leaves = {name: builder.param(name) for name in params}
    return dict(zip(leaves, slopes(builder, output, list(leaves.values())), strict=True))


def slopes(builder: Builder, output: int, leaves: Sequence[int]) -> list[int]:
    """The nodes of ∂output/∂leaf for each leaf, a param or a column, added to the same builder."""
    count = len(builder.nodes)
    depends = builder.depends_on(leaves)
    adjoints: dict[int, Term] = {output: Term(builder, builder.constant(1.0))}
    for i in range(min(output, count - 1), -1, -1):
        if i not in adjoints or not depends[i] or builder.nodes[i].kind != "operation":
            continue
        for argument, partial in _partials(builder, i, depends):
            contribution = adjoints[i] * partial
            known = adjoints.get(argument)
            adjoints[argument] = contribution if known is None else known + contribution
    zero = Term(builder, builder.constant(0.0))
    return [adjoints.get(leaf, zero).node for leaf in leaves]


def _partials(builder: Builder, i: int, depends: Sequence[bool]) -> list[tuple[int, Term]]:
    """∂node/∂argument for each argument that depends on a leaf."""
    node = builder.nodes[i]
    operands = [Term(builder, a) for a in node.arguments]
    value = Term(builder, i)
    partials = []
    for argument, rule in zip(node.arguments, OPERATIONS[node.name].rules, strict=True):
        if rule is None or not depends[argument]:
            continue
        partial = rule(*operands, value)
        if not isinstance(partial, Term):
            partial = Term(builder, builder.constant(partial))
        partials.append((argument, partial))
    return partials
