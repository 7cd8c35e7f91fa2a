"""Search ranges of the params of a formula, derived from its structure and the data.

A param that is subtracted from a column, or compared with it, is within the column's values. A
factor of a column in the argument of a sine is a frequency, below the Nyquist frequency of the
rows; a summand there is a phase, within one period. For all others the magnitude is estimated: the
argument of an exponential is about 1, summands have the same magnitude, and the prediction has that
of the target. These are linear equations in the logarithms of the magnitudes, whatever the units of
the columns and the constants in the formula; they are solved by least squares.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.kernel.types import Floats
from service.engine.operations import COMPARISONS, OPERATIONS
from service.engine.problem import Problem
from service.engine.tape import Tape

TERMS = 12
"""Maximum number of terms of an expanded sum."""
WAVES = ("sin", "cos")
OF_ORDER_ONE = frozenset((
    "exp", "expm1", "log", "log1p", "log10", "log2", "tan", "asin", "acos", "atan", "sinh", "cosh",
    "tanh", "asinh", "acosh", "atanh", "sigmoid", "softplus", "erf", "erfc", "gamma", "lgamma",
))  # fmt: skip
"""Functions whose argument is of order 1."""
ALIKE = frozenset(("min", "max", "clip", "atan2", *COMPARISONS.values()))
"""Operations whose arguments have the same magnitude."""
WEAK = 0.05
"""The weight of the prior that a param has magnitude 1."""
NARROW, WIDE = 0.5, 1.2
"""Decades (standard deviations) that magnitudes are drawn over."""
MAGNITUDES = 0.3
"""Fraction of the values of a location that are drawn from its magnitude."""
BEYOND = 0.25
"""Fraction of the frequencies drawn above the Nyquist frequency of the median spacing, up to that
of its first decile: uneven rows determine such frequencies too."""
NEGATIVE = 0.3
"""Fraction of the magnitudes drawn with a negative sign."""


@dataclass(frozen=True)
class Range:
    """The search range of one param; fields that are None do not apply."""

    scale: float = 0.0
    """The logarithm to base 10 of its magnitude."""
    places: Floats | None = None
    """Values of a column, for a location in it."""
    frequency: tuple[float, float, float, int] | None = None
    """(low, middle, high, power): θ^power, with power 1 or −1, is mostly between low and middle,
    else between middle and high."""
    turn: float | None = None
    """The period of a phase."""
    logarithm: bool = False
    """Whether e^θ has that magnitude, rather than θ."""


Params = Mapping[str, int]


@dataclass(frozen=True)
class _Term:
    """A product of powers of params and a factor without params: a number, or an array (rows,)."""

    factor: Floats
    powers: tuple[tuple[str, int], ...] = ()

    @property
    def varies(self) -> bool:
        return self.factor.ndim > 0

    def times(self, other: _Term, sign: int = 1) -> _Term:
        powers = dict(self.powers)
        for name, power in other.powers:
            powers[name] = powers.get(name, 0) + sign * power
        factor = self.factor * other.factor if sign > 0 else self.factor / other.factor
        return _Term(factor, tuple((name, power) for name, power in powers.items() if power))


Terms = tuple[_Term, ...]


def ranges(problem: Problem) -> tuple[Range, ...]:
    """The search range of each param of a formula."""
    assert isinstance(problem.formula, Formula)
    with np.errstate(all="ignore"):
        return _Reader(problem.formula, problem).found()


class _Reader:
    """Derives the search ranges in one pass over a formula."""

    def __init__(self, formula: Formula, problem: Problem) -> None:
        self._params = formula.params
        self._tape = formula.prediction
        self._known = _known(self._tape, problem.columns)
        self._terms: list[Terms | None] = []
        self._sizes: list[Floats] = []
        """The logarithm of the magnitude of each node: coefficients of the params', and a
        constant."""
        self._equations: list[tuple[Floats, float]] = []
        self._places: dict[str, Floats] = {}
        self._frequencies: dict[str, tuple[float, float, float, int]] = {}
        self._turns: dict[str, float] = {}
        self._logarithms: set[str] = set()
        self._target = float(problem.target.double().square().mean().sqrt())

    def found(self) -> tuple[Range, ...]:
        for i in range(len(self._tape.nodes)):
            self._terms.append(self._taken_apart(i))
            self._sizes.append(self._sized(i))
        size = np.zeros(len(self._params) + 1)
        size[-1] = _magnitude(np.array(self._target))
        self._equal(self._sizes[self._tape.outputs[0]], size)
        scales = self._solved()
        return tuple(
            Range(
                scale=float(scales[i]),
                places=self._places.get(name),
                frequency=self._frequencies.get(name),
                turn=self._turns.get(name),
                logarithm=name in self._logarithms,
            )
            for i, name in enumerate(self._params)
        )

    def _solved(self) -> Floats:
        count = len(self._params)
        rows = [weight * each for each, weight in self._equations]
        matrix = np.array([*rows, *(WEAK * np.eye(count, count + 1))])
        matrix = np.where(np.isfinite(matrix), matrix, 0.0)
        found: Floats = np.linalg.lstsq(matrix[:, :-1], -matrix[:, -1], rcond=None)[0]
        return np.clip(found, -290, 290)

    def _equal(self, one: Floats, other: Floats, weight: float = 1.0) -> None:
        """Adds the equation that two nodes have the same magnitude."""
        self._equations.append((one - other, weight))

    # --- sums of products -------------------------------------------------------------------------

    def _taken_apart(self, i: int) -> Terms | None:
        node = self._tape.nodes[i]
        if self._known[i] is not None:
            return (_Term(self._known[i]),)  # type: ignore[arg-type]
        if node.kind == "param":
            return (_Term(np.array(1.0), ((node.name, 1),)),)
        parts = [self._terms[a] for a in node.arguments]
        if any(part is None for part in parts):
            return None
        made = _combined(node.name, [part for part in parts if part is not None])
        return made if made is not None and len(made) <= TERMS else None

    # --- magnitudes -------------------------------------------------------------------------------

    def _sized(self, i: int) -> Floats:
        size, node, known = np.zeros(len(self._params) + 1), self._tape.nodes[i], self._known[i]
        if known is not None:
            size[-1] = _magnitude(known)
            return size
        if node.kind == "param":
            size[self._params.index(node.name)] = 1.0
            return size
        name, of = node.name, [self._sizes[a] for a in node.arguments]
        match name:
            case "multiply" | "chain":
                return of[0] + of[1]
            case "divide":
                return of[0] - of[1]
            case "negative" | "abs" | "relu":
                return of[0]
            case "square":
                return 2 * of[0]
            case "sqrt":
                return 0.5 * of[0]
            case "add" | "subtract":
                return self._summed(i, of)
            case "power":
                return self._raised(node.arguments, of)
            case "where":
                self._equal(of[1], of[2])
                return 0.5 * (of[1] + of[2])
        if name in WAVES:
            self._wave(self._terms[node.arguments[0]])
        elif name == "exp" and self._is_param(node.arguments[0]):
            self._logarithms.add(self._tape.nodes[node.arguments[0]].name)
            return of[0]
        elif name in OF_ORDER_ONE:
            self._equal(of[0], size)
        elif name in ALIKE:
            self._place(self._difference(node.arguments))
            for other in of[1:]:
                self._equal(of[0], other)
            return of[0] if name in ("min", "max", "clip") else size
        return size

    def _is_param(self, i: int) -> bool:
        return self._tape.nodes[i].kind == "param"

    def _summed(self, i: int, of: Sequence[Floats]) -> Floats:
        """The magnitude of a sum. The sum of a column and a location has that of its spread."""
        spread = self._place(self._terms[i])
        self._equal(of[0], of[1])
        if spread is not None:
            size = np.zeros(len(self._params) + 1)
            size[-1] = spread
            return size
        return 0.5 * (of[0] + of[1])

    def _raised(self, arguments: tuple[int, ...], of: Sequence[Floats]) -> Floats:
        exponent = self._known[arguments[1]]
        if exponent is not None and exponent.ndim == 0:
            return float(exponent) * of[0]
        self._equal(of[1], np.zeros(len(self._params) + 1))
        return of[0]

    # --- places, frequencies and phases -----------------------------------------------------------

    def _difference(self, arguments: tuple[int, ...]) -> Terms | None:
        one, other = (self._terms[a] for a in arguments[:2])
        return None if one is None or other is None else _combined("subtract", [one, other])

    def _place(self, terms: Terms | None) -> float | None:
        """If a sum is that of a column and a param, records the param as a location in the column;
        returns the magnitude of the column's spread."""
        if terms is None or len(terms) != 2:
            return None
        column, other = sorted(terms, key=lambda term: bool(term.powers))
        if column.powers or not column.varies or other.varies or len(other.powers) != 1:
            return None
        (name, power), *_ = other.powers
        if power != 1:
            return None
        self._places[name] = -column.factor / other.factor
        return _magnitude(column.factor - column.factor.mean())

    def _wave(self, terms: Terms | None) -> None:
        """Records the frequencies and phases in the argument of a sine."""
        for term in terms or ():
            if not term.powers:
                continue
            (name, power), *others = term.powers
            if not term.varies and not others and power == 1:
                self._turns[name] = abs(2 * math.pi / float(term.factor))
            if term.varies and not others and abs(power) == 1:
                x = np.unique(term.factor)
                gaps, width = np.diff(x), float(x[-1] - x[0])
                if width > 0 and math.isfinite(1 / width):
                    most = [math.pi / float(np.quantile(gaps, part)) for part in (0.5, 0.1)]
                    highest = min(most[1], 4 * most[0])
                    self._frequencies[name] = (math.pi / 4 / width, most[0], highest, power)


def _combined(name: str, parts: Sequence[Terms]) -> Terms | None:
    """The expanded sum of products of an operation; None if it has none."""
    match name, parts:
        case "add", [one, other]:
            return (*one, *other)
        case "subtract", [one, other]:
            return (*one, *(_Term(-term.factor, term.powers) for term in other))
        case "negative", [one]:
            return tuple(_Term(-term.factor, term.powers) for term in one)
        case (("multiply" | "chain"), [one, other]):
            return tuple(a.times(b) for a in one for b in other)
        case "divide", [one, [single]]:
            return tuple(a.times(single, -1) for a in one)
        case "square", [[single]]:
            return (single.times(single),)
    return None


def _known(tape: Tape, columns: Mapping[str, Tensor]) -> list[Floats | None]:
    """The values of the nodes without params: a number, or (rows,)."""
    found: list[Tensor | None] = []
    for node in tape.nodes:
        if node.kind == "constant":
            found.append(torch.tensor(node.value, dtype=torch.float64))
        elif node.kind == "column":
            found.append(columns[node.name].double().cpu())
        elif node.kind == "param":
            found.append(None)
        else:
            arguments = [found[a] for a in node.arguments]
            known = [each for each in arguments if each is not None]
            whole = len(known) == len(arguments)
            found.append(OPERATIONS[node.name].evaluate_safe(*known) if whole else None)
    return [None if each is None else each.double().numpy() for each in found]


def _magnitude(values: Floats) -> float:
    """log10 of the root mean square, 0 where that is 0 or not finite."""
    largest = float(np.abs(values).max())
    if not 0.0 < largest < math.inf:
        return 0.0
    return math.log10(largest * math.sqrt(float(np.square(values / largest).mean())))


@np.errstate(all="ignore")
def drawn(of: Range, problem: Problem, count: int, rng: np.random.Generator) -> Floats:
    """Values of a param, drawn from its range, (count,)."""
    values = _magnitudes(of, count, rng)
    if of.frequency is not None:
        low, middle, high, power = of.frequency
        values = low + (middle - low) * rng.random(count)
        beyond = middle + (high - middle) * rng.random(count)
        values = np.where(rng.random(count) < BEYOND, beyond, values)
        values = values if power > 0 else 1 / values
    elif of.turn is not None:
        values = of.turn * (rng.random(count) - 0.5)
    elif of.places is not None:
        among = _among(of.places, problem, count, rng)
        values = np.where(rng.random(count) < MAGNITUDES, values, among)
    return values


def _magnitudes(of: Range, count: int, rng: np.random.Generator) -> Floats:
    spread = np.where(rng.random(count) < 0.5, NARROW, WIDE)
    powers = of.scale + spread * rng.standard_normal(count)
    sign = np.where(rng.random(count) < NEGATIVE, -1.0, 1.0)
    values: Floats = sign * 10.0 ** np.clip(powers, -300, 300)
    return math.log(10) * powers if of.logarithm else values


def _among(places: Floats, problem: Problem, count: int, rng: np.random.Generator) -> Floats:
    """Values within those of a column: half uniformly, half where the target is far from its
    median."""
    ordered = np.unique(places)
    even: Floats = ordered[0] + (ordered[-1] - ordered[0]) * rng.random(count)
    y = problem.target.double().cpu().numpy()
    weights = np.abs(y - np.median(y)) ** 2
    if places.shape != y.shape or not 0 < weights.sum() < math.inf:
        return even
    chances = np.cumsum(weights) / weights.sum()
    at = np.minimum(np.searchsorted(chances, rng.random(count)), len(y) - 1)
    gap = (ordered[-1] - ordered[0]) / max(len(ordered) - 1, 1)
    near = places[at] + gap * (rng.random(count) - 0.5)
    values: Floats = np.where(rng.random(count) < 0.5, even, near)
    return values
