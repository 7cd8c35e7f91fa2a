"""The chain rule of a loss, factor by factor, as text and as LaTeX.

The factors are those that reverse accumulation multiplies: for t_c = w·t_u + b and the mean square,
dloss/dw = mean(dloss/dt_p · dt_p/dw) = mean(2·(t_p − t_c) · t_u), t_p the prediction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.engine.derivatives import differentiate
from service.engine.formula import Formula
from service.engine.losses import Loss
from service.engine.tape import Builder
from service.engine.writing import latex_name, write_latex, write_text


@dataclass(frozen=True, slots=True)
class Factor:
    """∂of/∂by."""

    of: str
    by: str
    text: str
    latex: str


@dataclass(frozen=True, slots=True)
class ParamRule:
    """∂loss/∂param: the factors whose product, averaged over the rows, it is."""

    text: str
    latex: str
    factors: tuple[Factor, ...]


@dataclass(frozen=True, slots=True)
class ChainRule:
    """All of it."""

    text: str
    latex: str
    steps: Mapping[str, str]
    params: Mapping[str, ParamRule]


_SLOPES = {
    "mse": ("2 * ({p} - {t})", "2\\,({p} - {t})"),
    "mae": ("sign({p} - {t})", "\\operatorname{{sign}}({p} - {t})"),
    "huber": (
        "clip({p} - {t}, -{d:g}, {d:g})",
        "\\operatorname{{clip}}({p} - {t}, -{d:g}, {d:g})",
    ),
}


def explain(formula: Formula, loss: Loss) -> ChainRule:
    """The chain rule of ∂loss/∂param for each param of a formula."""
    prediction = _prediction_name(formula)
    slope = _slope(formula, loss, prediction)
    builder = Builder.of(formula.prediction)
    output = formula.prediction.outputs[0]
    derivatives = differentiate(builder, output, formula.params)
    rules = {}
    for name in formula.params:
        inner = Factor(
            prediction,
            name,
            write_text(builder, derivatives[name]),
            write_latex(builder, derivatives[name]),
        )
        rules[name] = _rule(slope, inner, name)
    written = write_text(builder, output)
    heading = [f"{prediction} = {written}", f"loss = {loss.function.formula}, r = {prediction} - {formula.target}"]
    latex = [
        f"{latex_name(prediction)} &= {write_latex(builder, output)}",
        *(rule.latex.replace(" = ", " &= ", 1) for rule in rules.values()),
    ]
    return ChainRule(
        "\n".join([*heading, *(rule.text for rule in rules.values())]),
        "\\begin{aligned}\n" + " \\\\\n".join(latex) + "\n\\end{aligned}",
        {prediction: written},
        rules,
    )


def _rule(slope: Factor, inner: Factor, name: str) -> ParamRule:
    p = slope.by
    text = (
        f"dloss/d{name} = mean(dloss/d{p} * d{p}/d{name}) = "
        f"mean({slope.text} * {_grouped(inner.text)})"
    )
    lp, ln = latex_name(p), latex_name(name)
    latex = (
        f"\\frac{{\\partial L}}{{\\partial {ln}}} = \\operatorname{{mean}}\\left("
        f"\\frac{{\\partial L}}{{\\partial {lp}}} \\cdot \\frac{{\\partial {lp}}}{{\\partial {ln}}}"
        f"\\right) = \\operatorname{{mean}}\\left({slope.latex} \\cdot {inner.latex}\\right)"
    )
    return ParamRule(text, latex, (slope, inner))


def _grouped(text: str) -> str:
    return f"({text})" if any(sign in text for sign in (" + ", " - ")) else text


def _slope(formula: Formula, loss: Loss, prediction: str) -> Factor:
    """∂ρ/∂prediction, a row's part of ∂loss/∂prediction."""
    text, latex = _SLOPES.get(loss.name, ("psi({p} - {t})", "\\psi({p} - {t})"))
    return Factor(
        "loss",
        prediction,
        text.format(p=prediction, t=formula.target, d=loss.delta),
        latex.format(p=latex_name(prediction), t=latex_name(formula.target), d=loss.delta),
    )


def _prediction_name(formula: Formula) -> str:
    """The target's name with `_p` for its last part: t_c -> t_p; else `prediction`."""
    stem = formula.target.rpartition("_")[0] or formula.target
    name = f"{stem}_p"
    taken = {*formula.inputs, *formula.params, *formula.target_columns}
    return name if name.isidentifier() and name not in taken else "prediction"
