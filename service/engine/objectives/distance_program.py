"""The program of a row's distance to a curve: its sum at trial errors of its inputs, and a step.

With t_k = δ_k/σ_k, ρ = (f(x + σt) − y)/σ_y, G = ∂ρ/∂t and B = ∂²ρ/∂t², a row's sum is ρ² + Σt². The
step is to the minimum of the sum with ρ to second order, ρ + Gs + sᵀBs/2: Newton's step, corrected
twice within that model, so that its error is of third order.
"""

from __future__ import annotations

from collections.abc import Mapping

from service.engine.derivatives import slopes
from service.engine.formula import Formula
from service.engine.kernel.program import Program
from service.engine.tape import Builder
from service.engine.terms import Term

CORRECTIONS = 1
DEFINITE = 0.05
"""Smallest pivot of a row's Hessian that counts as positive; else the diagonal without ρB is."""

Matrix = Mapping[tuple[int, int], Term]
"""The upper triangle of a symmetric matrix."""


def distance_program(formula: Formula, noisy: tuple[str, ...]) -> Program:
    """Columns: those of `formula.inputs`, `formula.params`, then σ_k and t_k of the `noisy` inputs,
    and y, σ_y and the damping. Outputs: ρ² + Σt², ρ, 1 + ΣG², ‖s‖² in the norm of 1 + GGᵀ, and
    t + s."""
    if noisy not in formula.input_programs:
        formula.input_programs[noisy] = _program(formula, noisy)
    return formula.input_programs[noisy]


def _program(formula: Formula, noisy: tuple[str, ...]) -> Program:
    # No name of a formula has a space.
    spreads, trials = ([f"{kind} {name}" for name in noisy] for kind in ("sigma", "error"))
    others = ["target ", "sigma ", "damping "]
    builder = Builder()
    columns = {name: Term(builder, builder.column(name)) for name in (*spreads, *trials, *others)}
    y, sigma, damping = (columns[name] for name in others)
    at = [columns[name] for name in trials]
    moved = {
        name: Term(builder, builder.column(name)) + columns[spread] * t
        for name, spread, t in zip(noisy, spreads, at, strict=True)
    }
    rho = (_prediction(formula, builder, moved) - y) / sigma
    leaves, k = [t.node for t in at], len(noisy)
    first = slopes(builder, rho.node, leaves)
    slope = [Term(builder, node) for node in first]
    curvature = {}
    for i, node in enumerate(first):
        for j, second in enumerate(slopes(builder, node, leaves[i:]), start=i):
            curvature[i, j] = Term(builder, second)
    steep = 1.0 + _dot(slope, slope)
    weight = [damping * (1.0 + each * each) for each in slope]
    nothing = [Term(builder, builder.constant(0.0))] * k
    step = _step(rho, slope, curvature, at, nothing, weight)
    for _ in range(CORRECTIONS):
        slope_there = [
            slope[i] + _dot([curvature[min(i, j), max(i, j)] for j in range(k)], step)
            for i in range(k)
        ]
        ahead = rho + 0.5 * _dot([a + b for a, b in zip(slope, slope_there, strict=True)], step)
        there = [t + s for t, s in zip(at, step, strict=True)]
        more = _step(ahead, slope_there, curvature, there, step, weight)
        step = [s + m for s, m in zip(step, more, strict=True)]
    along = _dot(slope, step)
    value, size = rho * rho + _dot(at, at), _dot(step, step) + along * along
    ends = [t + s for t, s in zip(at, step, strict=True)]
    tape = builder.tape([each.node for each in (value, rho, steep, size, *ends)])
    names = (*formula.inputs, *formula.params, *spreads, *trials, *others)
    return Program.of(tape, (), names, [0] * (len(tape.outputs) - 1))


def _prediction(formula: Formula, builder: Builder, moved: Mapping[str, Term]) -> Term:
    """f with the `moved` inputs, and with its params as columns, so that each row has its own."""
    nodes: list[int] = []
    for node in formula.prediction.nodes:
        if node.kind == "operation":
            nodes.append(builder.apply(node.name, *(nodes[a] for a in node.arguments)))
        elif node.kind == "constant":
            nodes.append(builder.constant(node.value))
        elif node.name in moved:
            nodes.append(moved[node.name].node)
        else:
            nodes.append(builder.column(node.name))
    return Term(builder, nodes[formula.prediction.outputs[0]])


def _dot(one: list[Term], other: list[Term]) -> Term:
    total = one[0] * other[0]
    for a, b in zip(one[1:], other[1:], strict=True):
        total = total + a * b
    return total


def _step(
    rho: Term, slope: list[Term], curvature: Matrix, at: list[Term], so_far: list[Term],
    weight: list[Term],
) -> list[Term]:  # fmt: skip
    """−(1 + GGᵀ + ρB + W)⁻¹ (ρG + t + W·so_far)."""
    k = len(slope)
    plain = {
        (i, j): slope[i] * slope[j] + (1.0 + weight[i] if i == j else 0.0)
        for i in range(k)
        for j in range(i, k)
    }
    whole = {place: plain[place] + rho * curvature[place] for place in plain}
    right = [-(rho * g + t + w * s) for g, t, w, s in zip(slope, at, weight, so_far, strict=True)]
    return _solved(whole, [plain[i, i] for i in range(k)], right)


def _solved(matrix: Matrix, instead: list[Term], right: list[Term]) -> list[Term]:
    """The solution of a symmetric system by Cholesky's factors L·D·Lᵀ, with other pivots D where
    these are not positive: the step then leads down."""
    k, found = len(right), list(right)
    upper: dict[tuple[int, int], Term] = {}
    pivots: list[Term] = []
    for j in range(k):
        pivot = matrix[j, j]
        for m in range(j):
            pivot = pivot - upper[m, j] * upper[m, j] * pivots[m]
        pivots.append(pivot.to("greater", DEFINITE).to("where", pivot, instead[j]))
        for i in range(j + 1, k):
            entry = matrix[j, i]
            for m in range(j):
                entry = entry - upper[m, i] * upper[m, j] * pivots[m]
            upper[j, i] = entry / pivots[j]
            found[i] = found[i] - upper[j, i] * found[j]
    for j in reversed(range(k)):
        found[j] = found[j] / pivots[j]
        for i in range(j + 1, k):
            found[j] = found[j] - upper[j, i] * found[i]
    return found
