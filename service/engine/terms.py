"""Nodes under construction with arithmetic operators, for the rules of derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Writer(Protocol):
    """The part of a tape's builder that a rule uses."""

    def apply(self, name: str, *arguments: int) -> int: ...
    def constant(self, value: float) -> int: ...


@dataclass(frozen=True, slots=True)
class Term:
    """A node under construction, with arithmetic operators."""

    writer: Writer
    node: int

    def _of(self, other: Term | float) -> int:
        return other.node if isinstance(other, Term) else self.writer.constant(other)

    def _apply(self, name: str, *arguments: int) -> Term:
        return Term(self.writer, self.writer.apply(name, *arguments))

    def __add__(self, other: Term | float) -> Term:
        return self._apply("add", self.node, self._of(other))

    def __radd__(self, other: float) -> Term:
        return self._apply("add", self._of(other), self.node)

    def __sub__(self, other: Term | float) -> Term:
        return self._apply("subtract", self.node, self._of(other))

    def __rsub__(self, other: float) -> Term:
        return self._apply("subtract", self._of(other), self.node)

    def __mul__(self, other: Term | float) -> Term:
        return self._apply("chain", self.node, self._of(other))

    def __rmul__(self, other: float) -> Term:
        return self._apply("chain", self._of(other), self.node)

    def __truediv__(self, other: Term | float) -> Term:
        return self._apply("divide", self.node, self._of(other))

    def __rtruediv__(self, other: float) -> Term:
        return self._apply("divide", self._of(other), self.node)

    def __neg__(self) -> Term:
        return self._apply("negative", self.node)

    def __pow__(self, other: Term | float) -> Term:
        return self._apply("power", self.node, self._of(other))

    def to(self, name: str, *others: Term | float) -> Term:
        """Another operation of the table with this term as its first argument."""
        return self._apply(name, self.node, *(self._of(other) for other in others))
