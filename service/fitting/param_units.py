"""Units of params, derived from those of the columns: in `y = a*exp(-b*t) + c` with V and s those
of a and c are V, and that of b is 1/s.

Each sum, exponent and argument of a function gives an equation between exponents of units. A param
has a unit where these equations determine it; none has one where they contradict each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from service.engine.formula import Formula
from service.engine.syntax import Call, Name, Number, Tree, parse
from service.errors import InvalidFormula

Exponents = dict[str, Fraction]
"""Of units, and of names whose units are not known, which begin with `?`."""

_SAME = frozenset({"negative", "abs"})
_MOST_PARAMS = 16
_MOST_EQUATIONS = 64
_LONGEST = 40


def units_of_params(formula: object, units: Mapping[str, str]) -> dict[str, str]:
    """The units of the params that have one, by name. `units` are those of columns, and perhaps
    of params."""
    if not isinstance(formula, Formula) or not units or len(formula.params) > _MOST_PARAMS:
        return {}
    try:
        left, right = parse(formula.text)
    except InvalidFormula:
        return {}
    walk = _Walk(units)
    target = Name(formula.target, 1) if left is None else left
    walk.equal(walk.of(target), walk.of(right))
    if len(walk.equations) > _MOST_EQUATIONS:
        return {}
    solved = _solved(walk.equations)
    found = {name: _written(solved.get(f"?{name}", {})) for name in formula.params}
    return {name: unit for name, unit in found.items() if unit and name not in units}


class _Walk:
    """The equations of a tree; each is 0."""

    def __init__(self, units: Mapping[str, str]) -> None:
        self._units = units
        self.equations: list[Exponents] = []

    def equal(self, one: Exponents, other: Exponents) -> None:
        self.equations.append(_sum(one, other, -1))

    def of(self, tree: Tree) -> Exponents:
        """The exponents of a tree's value."""
        if isinstance(tree, Number) or (isinstance(tree, Name) and tree.name == "pi"):
            return {}
        if isinstance(tree, Name):
            unit = self._units.get(tree.name)
            return {unit or f"?{tree.name}": Fraction(1)}
        return self._of_call(tree)

    def _of_call(self, call: Call) -> Exponents:
        each = [self.of(argument) for argument in call.arguments]
        match call.operation:
            case "add" | "subtract":
                self.equal(each[0], each[1])
                return each[0]
            case "multiply":
                return _sum(each[0], each[1], 1)
            case "divide":
                return _sum(each[0], each[1], -1)
            case "sqrt":
                return _times(each[0], Fraction(1, 2))
            case "power" if (exponent := _literal(call.arguments[1])) is not None:
                return _times(each[0], exponent)
            case operation if operation in _SAME:
                return each[0]
        for exponents in each:  # exp, log, sin, a power that is a param
            self.equal(exponents, {})
        return {}


def _literal(tree: Tree) -> Fraction | None:
    """A number in a formula as a fraction; None for what is not a number."""
    if isinstance(tree, Number):
        return Fraction(tree.value).limit_denominator(12)
    if isinstance(tree, Call) and tree.operation == "negative":
        inner = _literal(tree.arguments[0])
        return None if inner is None else -inner
    return None


def _sum(one: Exponents, other: Exponents, sign: int) -> Exponents:
    made = dict(one)
    for name, exponent in other.items():
        made[name] = made.get(name, Fraction(0)) + sign * exponent
    return {name: exponent for name, exponent in made.items() if exponent}


def _times(exponents: Exponents, factor: Fraction) -> Exponents:
    return {name: factor * exponent for name, exponent in exponents.items() if factor}


def _solved(equations: Iterable[Exponents]) -> dict[str, Exponents]:
    """The unknowns in terms of units, by Gauss-Jordan elimination; none where there is no
    solution."""
    rows: dict[str, Exponents] = {}
    for equation in equations:
        for pivot, row in rows.items():
            if pivot in equation:
                equation = _sum(equation, _times(row, equation[pivot]), -1)
        pivot_found = next((name for name in equation if name.startswith("?")), None)
        if pivot_found is None:
            if equation:
                return {}
            continue
        equation = _times(equation, 1 / equation[pivot_found])
        for pivot, row in rows.items():
            if pivot_found in row:
                rows[pivot] = _sum(row, _times(equation, row[pivot_found]), -1)
        rows[pivot_found] = equation
    return {
        pivot: {name: -exponent for name, exponent in row.items() if name != pivot}
        for pivot, row in rows.items()
        if not any(name.startswith("?") for name in row if name != pivot)
    }


def _written(exponents: Exponents) -> str:
    """A product of powers as text: `V/s`, `1/s`, `m/s^2`; empty for none, or for a long one."""
    above = [_power(unit, exponent) for unit, exponent in exponents.items() if exponent > 0]
    below = [_power(unit, -exponent) for unit, exponent in exponents.items() if exponent < 0]
    if not above and not below:
        return ""
    if len(exponents) == 1 and above and next(iter(exponents.values())) == 1:
        return next(iter(exponents))
    divisor = "·".join(below)
    text = "·".join(above) or "1"
    if below:
        text += f"/({divisor})" if len(below) > 1 else f"/{divisor}"
    return text if len(text) <= _LONGEST else ""


def _power(unit: str, exponent: Fraction) -> str:
    bare = unit if unit.isalnum() or unit.startswith(("°", "%")) else f"({unit})"
    if exponent == 1:
        return bare
    return f"{bare}^{exponent}" if exponent.denominator == 1 else f"{bare}^({exponent})"
