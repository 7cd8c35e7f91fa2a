"""The table of operations: how each is evaluated, differentiated and written.

A rule for a derivative is an expression in the operation's arguments and its value, written with
`Term`s. Sources: Abramowitz and Stegun,
Handbook of Mathematical Functions, 4.1-4.6 (elementary), 6.3 (gamma), 7.1 (error function).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from service.engine.terms import Term

Rule = Callable[..., "Term | float"]


@dataclass(frozen=True, slots=True)
class Operation:
    """An entry of the table.

    `rules[i](*arguments, value)` is the partial derivative by the i-th argument; None is zero.
    `text` and `latex` are templates for the written arguments; `binding` is the precedence, from 0
    (a comparison) to 9 (no parentheses needed).
    """

    name: str
    evaluate: Callable[..., Tensor]
    rules: tuple[Rule | None, ...]
    text: str
    latex: str
    binding: int = 9
    evaluate_safe: Callable[..., Tensor] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.evaluate_safe is None:
            object.__setattr__(self, "evaluate_safe", self.evaluate)

    @property
    def arity(self) -> int:
        return len(self.rules)


def _chain_safe(x: Tensor, y: Tensor) -> Tensor:
    """A product of the chain rule, with 0·∞ = 0."""
    return torch.where((x == 0) | (y == 0), torch.zeros((), dtype=x.dtype, device=x.device), x * y)


def _gamma(x: Tensor) -> Tensor:
    magnitude = torch.exp(torch.lgamma(x))
    negative = (x < 0) & (torch.remainder(torch.floor(x), 2) == 1)
    return torch.where(negative, -magnitude, magnitude)


def _softplus(x: Tensor) -> Tensor:
    return torch.logaddexp(x, torch.zeros((), dtype=x.dtype, device=x.device))


def _step(x: Tensor) -> Tensor:
    one = torch.ones((), dtype=x.dtype, device=x.device)
    return torch.where(x >= 0, one, 0 * one)


def _half_step(x: Tensor) -> Tensor:
    return torch.heaviside(x, torch.full((), 0.5, dtype=x.dtype, device=x.device))


def _clip(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return torch.minimum(torch.maximum(x, low), high)


def _trigamma(x: Tensor) -> Tensor:
    """torch's trigamma, to about nine digits, with infinity at the poles."""
    pole = (x <= 0) & torch.isfinite(x) & (x == torch.floor(x))
    return torch.where(pole, torch.inf, torch.polygamma(1, x))


def _function(
    name: str, evaluate: Callable[..., Tensor], *rules: Rule | None, latex: str | None = None
) -> Operation:
    """An operation that is written as a call."""
    arguments = ", ".join(f"{{{i}}}" for i in range(len(rules)))
    plain = f"\\operatorname{{{{{name}}}}}\\left({arguments}\\right)"
    return Operation(name, evaluate, rules, f"{name}({arguments})", latex or plain)


def _latex(command: str) -> str:
    return f"\\{command}\\left({{0}}\\right)"


_ARITHMETIC = [
    Operation(
        "add", torch.add, (lambda x, y, v: 1.0, lambda x, y, v: 1.0), "{0} + {1}", "{0} + {1}", 1
    ),
    Operation(
        "subtract",
        torch.sub,
        (lambda x, y, v: 1.0, lambda x, y, v: -1.0),
        "{0} - {1}",
        "{0} - {1}",
        1,
    ),
    Operation(
        "multiply",
        torch.mul,
        (lambda x, y, v: y, lambda x, y, v: x),
        "{0} * {1}",
        "{0} \\, {1}",
        2,
    ),
    Operation(
        "chain",
        torch.mul,
        (lambda x, y, v: y, lambda x, y, v: x),
        "{0} * {1}",
        "{0} \\, {1}",
        2,
        evaluate_safe=_chain_safe,
    ),
    Operation(
        "divide",
        torch.div,
        (lambda x, y, v: 1.0 / y, lambda x, y, v: -(v / y)),
        "{0} / {1}",
        "\\frac{{{0}}}{{{1}}}",
        2,
    ),
    Operation("negative", torch.neg, (lambda x, v: -1.0,), "-{0}", "-{0}", 3),
    Operation("square", torch.square, (lambda x, v: 2.0 * x,), "{0}**2", "{0}^{{2}}", 4),
    Operation(
        "power",
        torch.pow,
        (lambda x, y, v: y * x ** (y - 1.0), lambda x, y, v: v * x.to("log")),
        "{0}**{1}",
        "{0}^{{{1}}}",
        4,
    ),
]

_ELEMENTARY = [
    _function("exp", torch.exp, lambda x, v: v, latex="e^{{{0}}}"),
    _function("expm1", torch.expm1, lambda x, v: v + 1.0),
    _function("log", torch.log, lambda x, v: 1.0 / x, latex=_latex("ln")),
    _function("log1p", torch.log1p, lambda x, v: 1.0 / (1.0 + x)),
    _function(
        "log10",
        torch.log10,
        lambda x, v: (1 / math.log(10)) / x,
        latex="\\log_{{10}}\\left({0}\\right)",
    ),
    _function(
        "log2",
        torch.log2,
        lambda x, v: (1 / math.log(2)) / x,
        latex="\\log_{{2}}\\left({0}\\right)",
    ),
    _function("sqrt", torch.sqrt, lambda x, v: 0.5 / v, latex="\\sqrt{{{0}}}"),
    _function("abs", torch.abs, lambda x, v: x.to("sign"), latex="\\left|{0}\\right|"),
    _function("sign", torch.sign, None),
    _function("sin", torch.sin, lambda x, v: x.to("cos"), latex=_latex("sin")),
    _function("cos", torch.cos, lambda x, v: -x.to("sin"), latex=_latex("cos")),
    _function("tan", torch.tan, lambda x, v: 1.0 + v.to("square"), latex=_latex("tan")),
    _function(
        "asin",
        torch.asin,
        lambda x, v: 1.0 / (1.0 - x.to("square")).to("sqrt"),
        latex=_latex("arcsin"),
    ),
    _function(
        "acos",
        torch.acos,
        lambda x, v: -1.0 / (1.0 - x.to("square")).to("sqrt"),
        latex=_latex("arccos"),
    ),
    _function(
        "atan", torch.atan, lambda x, v: 1.0 / (1.0 + x.to("square")), latex=_latex("arctan")
    ),
    _function(
        "atan2",
        torch.atan2,
        lambda y, x, v: x / (x.to("square") + y.to("square")),
        lambda y, x, v: -(y / (x.to("square") + y.to("square"))),
    ),
    _function("sinh", torch.sinh, lambda x, v: x.to("cosh"), latex=_latex("sinh")),
    _function("cosh", torch.cosh, lambda x, v: x.to("sinh"), latex=_latex("cosh")),
    _function("tanh", torch.tanh, lambda x, v: 1.0 - v.to("square"), latex=_latex("tanh")),
    _function("asinh", torch.asinh, lambda x, v: 1.0 / (x.to("square") + 1.0).to("sqrt")),
    _function("acosh", torch.acosh, lambda x, v: 1.0 / (x.to("square") - 1.0).to("sqrt")),
    _function("atanh", torch.atanh, lambda x, v: 1.0 / (1.0 - x.to("square"))),
]

_SPECIAL = [
    _function("sigmoid", torch.sigmoid, lambda x, v: v * (1.0 - v)),
    _function("softplus", _softplus, lambda x, v: x.to("sigmoid")),
    _function("relu", torch.relu, lambda x, v: 1.0 - (-x).to("step")),
    _function(
        "erf", torch.erf, lambda x, v: (2 / math.sqrt(math.pi)) * (-x.to("square")).to("exp")
    ),
    _function(
        "erfc", torch.erfc, lambda x, v: (-2 / math.sqrt(math.pi)) * (-x.to("square")).to("exp")
    ),
    _function("gamma", _gamma, lambda x, v: v * x.to("digamma"), latex="\\Gamma\\left({0}\\right)"),
    _function("lgamma", torch.lgamma, lambda x, v: x.to("digamma")),
    _function("digamma", torch.digamma, lambda x, v: x.to("trigamma")),
    _function("trigamma", _trigamma, None),
]

_PIECEWISE = [
    _function(
        "min",
        torch.minimum,
        lambda x, y, v: (y - x).to("half_step"),
        lambda x, y, v: (x - y).to("half_step"),
        latex="\\min\\left({0}, {1}\\right)",
    ),
    _function(
        "max",
        torch.maximum,
        lambda x, y, v: (x - y).to("half_step"),
        lambda x, y, v: (y - x).to("half_step"),
        latex="\\max\\left({0}, {1}\\right)",
    ),
    _function(
        "clip",
        _clip,
        lambda x, low, high, v: (x - low).to("half_step") * (high - x).to("half_step"),
        lambda x, low, high, v: (low - x).to("half_step"),
        lambda x, low, high, v: (x - high).to("half_step"),
    ),
    _function("step", _step, None),
    _function("half_step", _half_step, None),
    Operation(
        "where",
        torch.where,
        (
            None,
            lambda c, x, y, v: c.to("where", 1.0, 0.0),
            lambda c, x, y, v: c.to("where", 0.0, 1.0),
        ),
        "where({0}, {1}, {2})",
        "\\begin{{cases}} {1} & {0} \\\\ {2} & \\text{{otherwise}} \\end{{cases}}",
    ),
    *(
        Operation(name, evaluate, (None, None), f"{{0}} {sign} {{1}}", f"{{0}} {latex} {{1}}", 0)
        for name, evaluate, sign, latex in (
            ("less", torch.lt, "<", "<"),
            ("less_equal", torch.le, "<=", "\\le"),
            ("greater", torch.gt, ">", ">"),
            ("greater_equal", torch.ge, ">=", "\\ge"),
            ("equal", torch.eq, "==", "="),
            ("not_equal", torch.ne, "!=", "\\ne"),
        )
    ),
]

OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation for operation in (*_ARITHMETIC, *_ELEMENTARY, *_SPECIAL, *_PIECEWISE)
}
"""Every operation of a tape, by name."""

COMPARISONS: Mapping[str, str] = {
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
    "==": "equal",
    "!=": "not_equal",
}
"""The operation of each comparison operator. Their values are conditions, not numbers."""

_INTERNAL = {"chain", "half_step", "square", "trigamma"}
CALLABLE: Mapping[str, Operation] = {
    operation.name: operation
    for operation in (*_ELEMENTARY, *_SPECIAL, *_PIECEWISE)
    if operation.name not in _INTERNAL and operation.binding == 9
}
"""The functions that a formula may call, by name."""
