"""Writes the nodes of a tape as text and as LaTeX."""

from __future__ import annotations

from collections.abc import Mapping

from service.engine.operations import OPERATIONS
from service.engine.tape import Builder

_ATOM = 9
_ASSOCIATIVE = {"add", "multiply", "chain"}


def write_text(builder: Builder, node: int, names: Mapping[int, str] | None = None) -> str:
    """The expression of a node as a formula; `names` replace nodes by names."""
    return _Text(builder, names or {}).write(node)[0]


def write_latex(builder: Builder, node: int, names: Mapping[int, str] | None = None) -> str:
    """The expression of a node in LaTeX's math mode."""
    return _Latex(builder, names or {}).write(node)[0]


def latex_name(name: str) -> str:
    """A name in math mode: `t_u` -> t_{u}; several letters upright."""
    stem, *subscripts = [part for part in name.split("_") if part] or [name]
    upright = stem if len(stem) == 1 else f"\\mathrm{{{stem}}}"
    subscript = ",".join(part if len(part) == 1 else f"\\mathrm{{{part}}}" for part in subscripts)
    return f"{upright}_{{{subscript}}}" if subscripts else upright


class _Text:
    """Writes nodes with the fewest parentheses."""

    def __init__(self, builder: Builder, names: Mapping[int, str]) -> None:
        self.builder = builder
        self.names = names

    def write(self, i: int) -> tuple[str, int]:
        """The text of a node, and its precedence."""
        node = self.builder.nodes[i]
        if i in self.names:
            return self.name(self.names[i]), _ATOM
        if node.kind == "constant":
            return self.number(node.value)
        if node.kind != "operation":
            return self.name(node.name), _ATOM
        operation = OPERATIONS[node.name]
        written = [
            self.argument(node.name, position, *self.write(argument))
            for position, argument in enumerate(node.arguments)
        ]
        return self.template(node.name).format(*written), operation.binding

    def argument(self, name: str, position: int, text: str, binding: int) -> str:
        """An argument, in parentheses where its precedence requires them."""
        needed = OPERATIONS[name].binding
        if needed == _ATOM:
            return text
        loose = binding < needed
        if name in ("square", "power"):
            loose = binding < _ATOM
        elif (position == 1 and binding == needed and name not in _ASSOCIATIVE) or (
            position == 1 and text.startswith("-")
        ):
            loose = True
        return self.group(text) if loose else text

    def template(self, name: str) -> str:
        return OPERATIONS[name].text

    def name(self, name: str) -> str:
        return name

    def group(self, text: str) -> str:
        return f"({text})"

    def number(self, value: float) -> tuple[str, int]:
        text = f"{value:.17g}" if float(f"{value:.15g}") != value else f"{value:.15g}"
        return text, (3 if value < 0 else _ATOM)


class _Latex(_Text):
    """Writes nodes as LaTeX."""

    def template(self, name: str) -> str:
        return OPERATIONS[name].latex

    def name(self, name: str) -> str:
        return latex_name(name)

    def group(self, text: str) -> str:
        return f"\\left({text}\\right)"

    def argument(self, name: str, position: int, text: str, binding: int) -> str:
        if name == "divide" or (name == "power" and position == 1):
            return text
        return super().argument(name, position, text, binding)

    def number(self, value: float) -> tuple[str, int]:
        text, binding = super().number(value)
        mantissa, exponent, power = text.partition("e")
        return (f"{mantissa} \\cdot 10^{{{int(power)}}}", 2) if exponent else (text, binding)
