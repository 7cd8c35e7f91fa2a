"""A flat tape of elementwise operations, and the builder that writes it.

The builder keeps one node for each distinct expression, folds constants and removes operations
without effect (x·1, x+0). A tape is data: operations by name (of `operations.OPERATIONS`),
arguments by position. `bind` makes a function of tensors of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from service.engine.operations import OPERATIONS

Kind = Literal["constant", "column", "param", "operation"]


@dataclass(frozen=True, slots=True)
class Node:
    """One entry of a tape: a constant, a column, a param, or an operation on earlier nodes."""

    kind: Kind
    name: str = ""
    value: float = 0.0
    arguments: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Tape:
    """Nodes in topological order, arguments first, and the positions of the outputs."""

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]

    def names(self, kind: Kind) -> tuple[str, ...]:
        """The names of the leaves of one kind, in order of appearance."""
        return tuple(node.name for node in self.nodes if node.kind == kind)

    @property
    def operations(self) -> int:
        """Number of operations per row."""
        return sum(node.kind == "operation" for node in self.nodes)

    def bind(self, columns: Mapping[str, Tensor], params: Sequence[str], like: Tensor) -> Reader:
        """The tape on the given columns; nodes that depend on no param are computed now.

        `params` is the order of the reader's params; `like` gives dtype and device.
        """
        return Reader(self, columns, params, like)


class Reader:
    """A tape bound to columns. Called with one tensor per param, it returns one per output.

    Shapes broadcast: columns (rows,) or (groups, rows); params () or (groups, 1). An output has the
    broadcast shape of its leaves, so a constant derivative is 0-dimensional.
    """

    def __init__(
        self, tape: Tape, columns: Mapping[str, Tensor], params: Sequence[str], like: Tensor
    ) -> None:
        position = {name: i for i, name in enumerate(params)}
        self._slots: list[Tensor | None] = [None] * len(tape.nodes)
        self._params: list[tuple[int, int]] = []
        self._program: list[tuple[int, tuple[int, ...], str]] = []
        self._outputs = tape.outputs
        for i, node in enumerate(tape.nodes):
            if node.kind == "constant":
                self._slots[i] = torch.tensor(node.value, dtype=like.dtype, device=like.device)
            elif node.kind == "column":
                self._slots[i] = columns[node.name]
            elif node.kind == "param":
                self._params.append((i, position[node.name]))
            elif all(self._slots[a] is not None for a in node.arguments):
                known = (self._slots[a] for a in node.arguments)
                self._slots[i] = OPERATIONS[node.name].evaluate_safe(*known)
            else:
                self._program.append((i, node.arguments, node.name))
        self._fast = self._compiled(safe=False)
        self._safe = self._compiled(safe=True)

    def on(self, rows: Tensor | slice) -> Reader:
        """The reader on some of the rows."""
        part = object.__new__(Reader)
        part.__dict__.update(self.__dict__)
        part._slots = [s if s is None or not s.dim() else s[..., rows] for s in self._slots]
        return part

    def of(self, groups: Tensor) -> Reader:
        """The reader on some of the groups, for columns (groups, rows)."""
        part = object.__new__(Reader)
        part.__dict__.update(self.__dict__)
        part._slots = [s if s is None or s.dim() < 2 else s[groups] for s in self._slots]
        return part

    def _compiled(self, *, safe: bool) -> list[tuple[Callable[..., Tensor], int, tuple[int, ...]]]:
        def function(name: str) -> Callable[..., Tensor]:
            operation = OPERATIONS[name]
            return operation.evaluate_safe if safe else operation.evaluate

        return [(function(name), i, arguments) for i, arguments, name in self._program]

    def __call__(self, params: Sequence[Tensor], *, safe: bool = False) -> list[Tensor]:
        """One tensor per output. `safe`: products of the chain rule have 0·∞ = 0."""
        slots = self._slots.copy()
        for slot, position in self._params:
            slots[slot] = params[position]
        for function, slot, arguments in self._safe if safe else self._fast:
            if len(arguments) == 2:
                slots[slot] = function(slots[arguments[0]], slots[arguments[1]])
            else:
                slots[slot] = function(*[slots[a] for a in arguments])
        return [slots[output] for output in self._outputs]  # type: ignore[misc]


class Builder:
    """Builds tapes. Nodes are addressed by their position."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._known: dict[Node, int] = {}

    @classmethod
    def of(cls, tape: Tape) -> Builder:
        """A builder that starts with the nodes of a tape."""
        builder = cls()
        for node in tape.nodes:
            builder.add(node)
        return builder

    def add(self, node: Node) -> int:
        """The position of that node, new or not."""
        if node not in self._known:
            self._known[node] = len(self.nodes)
            self.nodes.append(node)
        return self._known[node]

    def constant(self, value: float) -> int:
        return self.add(Node("constant", value=float(value)))

    def column(self, name: str) -> int:
        return self.add(Node("column", name))

    def param(self, name: str) -> int:
        return self.add(Node("param", name))

    def apply(self, name: str, *arguments: int) -> int:
        """The node of an operation on nodes, folded or simplified where that is exact."""
        values = [self.value(a) for a in arguments]
        if all(value is not None for value in values):
            return self.constant(_fold(name, [v for v in values if v is not None]))
        simpler = self._simplified(name, arguments, values)
        if simpler is not None:
            return simpler
        return self.add(Node("operation", name, arguments=arguments))

    def copy(
        self, tape: Tape, columns: Mapping[str, int], params: Mapping[str, int] | None = None
    ) -> list[int]:
        """The outputs of a tape, with the nodes that take the place of some of its columns, and of
        some of its params."""
        found: list[int] = []
        for node in tape.nodes:
            if node.kind == "column" and node.name in columns:
                found.append(columns[node.name])
            elif node.kind == "param" and params is not None and node.name in params:
                found.append(params[node.name])
            elif node.kind == "operation":
                found.append(self.apply(node.name, *(found[at] for at in node.arguments)))
            else:
                found.append(self.add(node))
        return [found[at] for at in tape.outputs]

    def value(self, position: int) -> float | None:
        """The value of a constant node, else None."""
        node = self.nodes[position]
        return node.value if node.kind == "constant" else None

    def _simplified(
        self, name: str, arguments: tuple[int, ...], values: list[float | None]
    ) -> int | None:
        match name, values:
            case "add", [0.0, _]:
                return arguments[1]
            case (("add" | "subtract"), [_, 0.0]):
                return arguments[0]
            case "subtract", [0.0, _]:
                return self.apply("negative", arguments[1])
            case (("multiply" | "chain"), [1.0, _]):
                return arguments[1]
            case (("multiply" | "divide" | "chain" | "power"), [_, 1.0]):
                return arguments[0]
            case (("multiply" | "chain"), [-1.0, _]):
                return self.apply("negative", arguments[1])
            case (("multiply" | "chain"), [_, -1.0]):
                return self.apply("negative", arguments[0])
            case "chain", [0.0, _] | [_, 0.0]:
                return self.constant(0.0)
            case "where", [float(condition), _, _]:
                return arguments[1 if condition else 2]
            case "power", [_, 2.0]:
                return self.apply("square", arguments[0])
            case "power", [_, 0.5]:
                return self.apply("sqrt", arguments[0])
            case "power", [_, -1.0]:
                return self.apply("divide", self.constant(1.0), arguments[0])
            case "negative", [None]:
                node = self.nodes[arguments[0]]
                # A param may have this name; it has no arguments.
                return node.arguments[0] if node.arguments and node.name == "negative" else None
            case _:
                return None

    def depends_on(self, leaves: Iterable[int]) -> list[bool]:
        """For each node, whether it depends on one of the leaves."""
        marked = set(leaves)
        depends = [False] * len(self.nodes)
        for i, node in enumerate(self.nodes):
            depends[i] = i in marked or any(depends[a] for a in node.arguments)
        return depends

    def tape(self, outputs: Sequence[int]) -> Tape:
        """The tape with those outputs, without unneeded nodes."""
        needed = set(outputs)
        for i in range(len(self.nodes) - 1, -1, -1):
            if i in needed:
                needed.update(self.nodes[i].arguments)
        order = {old: new for new, old in enumerate(sorted(needed))}
        nodes = tuple(
            Node(n.kind, n.name, n.value, tuple(order[a] for a in n.arguments))
            for n in (self.nodes[old] for old in order)
        )
        return Tape(nodes, tuple(order[output] for output in outputs))


def _fold(name: str, values: list[float]) -> float:
    """An operation on constants, in float64."""
    arguments = [torch.tensor(value, dtype=torch.float64) for value in values]
    if name == "where":
        arguments[0] = arguments[0].bool()
    return float(OPERATIONS[name].evaluate_safe(*arguments))
