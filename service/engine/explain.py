"""The chain rule of a loss, factor by factor, as text and as LaTeX.

The factors are those that reverse accumulation multiplies: for t_c = w·t_u + b and the mean square,
dloss/dw = mean(dloss/dt_p · dt_p/dw) = mean(2·(t_p − t_c) · t_u), t_p the prediction. Functions of
params and their arguments are intermediate variables (u1, u2, …), so that each factor is one rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from service.engine.derivatives import differentiate
from service.engine.formula import Formula
from service.engine.losses import Loss
from service.engine.operations import OPERATIONS
from service.engine.tape import Builder, Node
from service.engine.writing import latex_name, write_latex, write_text

MAX_PATHS = 16
"""A rule with more paths than this is written as one factor, the whole derivative."""


@dataclass(frozen=True, slots=True)
class Factor:
    """∂of/∂by."""

    of: str
    by: str
    text: str
    latex: str


@dataclass(frozen=True, slots=True)
class ParamRule:
    """∂loss/∂param: the sum over the paths of their factors' products, averaged over the rows."""

    text: str
    latex: str
    paths: tuple[tuple[Factor, ...], ...]


@dataclass(frozen=True, slots=True)
class ChainRule:
    """The whole explanation; `steps` are the intermediate variables with their expressions, the
    prediction last."""

    text: str
    latex: str
    steps: Mapping[str, str]
    params: Mapping[str, ParamRule]


def explain(formula: Formula, loss: Loss, *, weighted: bool = False) -> ChainRule:
    """The chain rule of ∂loss/∂param for each param; `weighted`: residuals are divided by σ."""
    regions = _Regions(formula)
    slope = _slope(formula, loss, regions.top, weighted=weighted)
    rules = {name: _rule(slope, regions, name) for name in formula.params}
    r = f"({regions.top} - {formula.target})" + (" / sigma" if weighted else "")
    text = [
        *(f"{name} = {written}" for name, written in regions.texts.items()),
        f"loss = {loss.function.formula}, r = {r if weighted else r[1:-1]}",
        *(rule.text for rule in rules.values()),
    ]
    latex = [
        *(f"{latex_name(name)} &= {written}" for name, written in regions.latex.items()),
        *(rule.latex.replace(" = ", " &= ", 1) for rule in rules.values()),
    ]
    return ChainRule(
        "\n".join(text),
        "\\begin{aligned}\n" + " \\\\\n".join(latex) + "\n\\end{aligned}",
        regions.texts,
        rules,
    )


class _Regions:
    """The prediction, split into an expression for each intermediate variable."""

    def __init__(self, formula: Formula) -> None:
        self.nodes = formula.prediction.nodes
        self.top = _prediction_name(formula)
        output = formula.prediction.outputs[0]
        cuts = [i for i in _cuts(self.nodes) if i != output]
        taken = {*formula.inputs, *formula.params, self.top}
        letter = next(c for c in ("u", "v", "h", "step") if not any(t.startswith(c) for t in taken))
        self.names = {i: f"{letter}{k}" for k, i in enumerate(cuts, 1)} | {output: self.top}
        self.derivatives: dict[str, Mapping[str, tuple[str, str]]] = {}
        self.texts: dict[str, str] = {}
        self.latex: dict[str, str] = {}
        for i, name in self.names.items():
            self._region(i, name, formula.params)

    def _region(self, i: int, name: str, params: tuple[str, ...]) -> None:
        builder = Builder()
        node = self._copy(builder, i, top=True)
        self.texts[name] = write_text(builder, node)
        self.latex[name] = write_latex(builder, node)
        leaves = {n.name for n in builder.nodes if n.kind == "param"}
        inner = [step for step in self.names.values() if step in leaves]
        by = [*inner, *(param for param in params if param in leaves)]
        slopes = differentiate(builder, node, by)
        self.derivatives[name] = {
            leaf: (write_text(builder, slopes[leaf]), write_latex(builder, slopes[leaf]))
            for leaf in by
        }

    def _copy(self, builder: Builder, i: int, *, top: bool = False) -> int:
        node = self.nodes[i]
        if i in self.names and not top:
            return builder.param(self.names[i])
        if node.kind != "operation":
            return builder.add(node)
        return builder.apply(node.name, *(self._copy(builder, a) for a in node.arguments))

    def paths(self, of: str, param: str) -> Iterator[tuple[Factor, ...]]:
        """The paths from a variable to a param, as factors."""
        for by, (text, latex) in self.derivatives[of].items():
            factor = Factor(of, by, text, latex)
            if by == param:
                yield (factor,)
            elif by in self.derivatives:
                for rest in self.paths(by, param):
                    yield (factor, *rest)


def _cuts(nodes: tuple[Node, ...]) -> list[int]:
    """The nodes that become intermediate variables: functions of params, and their arguments."""
    depends: list[bool] = []
    cuts = set()
    for i, node in enumerate(nodes):
        depends.append(node.kind == "param" or any(depends[a] for a in node.arguments))
        if node.kind != "operation" or not depends[i]:
            continue
        operation = OPERATIONS[node.name]
        if operation.binding == 9 or node.name in ("power", "square"):
            cuts.add(i)
            cuts.update(a for a in node.arguments if depends[a] and nodes[a].kind == "operation")
    return sorted(i for i in cuts if OPERATIONS[nodes[i].name].binding != 0)


def _rule(slope: Factor, regions: _Regions, name: str) -> ParamRule:
    paths: list[tuple[Factor, ...]] = []
    for path in regions.paths(regions.top, name):
        paths.append((slope, *path))
        if len(paths) > MAX_PATHS:
            break
    many = len(paths) > 1
    symbols = " + ".join(" * ".join(f"d{f.of}/d{f.by}" for f in path[1:]) for path in paths)
    values = " + ".join(" * ".join(_grouped(f.text) for f in path[1:]) for path in paths)
    latex_symbols = " + ".join(" \\cdot ".join(_fraction(f) for f in path[1:]) for path in paths)
    latex_values = " + ".join(
        " \\cdot ".join(_latex_grouped(f) for f in path[1:]) for path in paths
    )
    opened, closed = ("(", ")") if many else ("", "")
    text = (
        f"dloss/d{name} = mean(dloss/d{slope.by} * {opened}{symbols}{closed}) = "
        f"mean({slope.text} * {opened}{values}{closed})"
    )
    lo, lc = ("\\left(", "\\right)") if many else ("", "")
    latex = (
        f"{_partial('L', latex_name(name))} = \\operatorname{{mean}}\\left({_fraction(slope)} "
        f"\\cdot {lo}{latex_symbols}{lc}\\right) = "
        f"\\operatorname{{mean}}\\left({slope.latex} \\cdot {lo}{latex_values}{lc}\\right)"
    )
    return ParamRule(text, latex, tuple(paths))


def _partial(of: str, by: str) -> str:
    return f"\\frac{{\\partial {of}}}{{\\partial {by}}}"


def _fraction(factor: Factor) -> str:
    of = "L" if factor.of == "loss" else latex_name(factor.of)
    return _partial(of, latex_name(factor.by))


def _grouped(text: str) -> str:
    return f"({text})" if text.startswith("-") or " + " in text or " - " in text else text


def _latex_grouped(factor: Factor) -> str:
    loose = _grouped(factor.text) != factor.text
    return f"\\left({factor.latex}\\right)" if loose else factor.latex


def _slope(formula: Formula, loss: Loss, prediction: str, *, weighted: bool) -> Factor:
    """∂ρ/∂prediction of one row."""
    plain = f"{prediction} - {formula.target}"
    residual = f"({plain}) / sigma" if weighted else plain
    text = loss.function.slope.format(r=residual, d=loss.delta)
    if weighted:
        text += " / sigma"
    symbol = "2" if loss.is_least_squares else "\\psi"
    latex = f"{symbol} \\left({latex_name(prediction)} - {_target_latex(formula)}\\right)"
    return Factor("loss", prediction, text, latex + (" / \\sigma^{2}" if weighted else ""))


def _target_latex(formula: Formula) -> str:
    return write_latex(Builder.of(formula.left), formula.left.outputs[0])


def _prediction_name(formula: Formula) -> str:
    """The target's name with `_p` as its last part: t_c -> t_p; `prediction` if that is taken."""
    stem = formula.target.rpartition("_")[0] or formula.target
    name = f"{stem}_p"
    taken = {*formula.inputs, *formula.params, *formula.target_columns}
    return name if name.isidentifier() and name not in taken else "prediction"
