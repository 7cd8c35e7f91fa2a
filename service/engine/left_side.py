"""The left side of a formula: the target, a column or an expression of columns."""

from __future__ import annotations

from collections.abc import Sequence

from service.engine.names import CONSTANTS, Names, leaves
from service.engine.syntax import Tree
from service.engine.tape import Builder, Tape
from service.engine.writing import write_text
from service.errors import InvalidFormula, UnknownNameInFormula

DEFAULT_TARGET = "y"


def left_side(
    left: Tree | None, columns: frozenset[str], params: frozenset[str] | None
) -> tuple[Tape, str]:
    """The tape of the left side, and its text."""
    builder = Builder()
    if left is None:
        return builder.tape([builder.column(DEFAULT_TARGET)]), DEFAULT_TARGET
    known = columns if params is None else frozenset(name.name for name in leaves(left))
    output = Names(known - CONSTANTS.keys(), frozenset()).lower(left, builder, hidden=frozenset())
    return builder.tape([output]), write_text(builder, output)


def written(text: str, left: Tree | None) -> str:
    """The formula as given, with single spaces and an explicit left side."""
    spaced = " ".join(text.replace("~", " = ").split())
    return spaced if left is not None else f"{DEFAULT_TARGET} = {spaced}"


def target_columns(left: Tree | None, columns: frozenset[str], *, needed: bool) -> tuple[str, ...]:
    """The columns of the left side, which must exist where they are needed. Raises
    InvalidFormula."""
    if left is None:
        if needed and DEFAULT_TARGET not in columns:
            raise InvalidFormula(
                f"the target of a formula without a left side is column '{DEFAULT_TARGET}', which "
                "is not in the data; write the target on the left: 'target = ...'"
            )
        return (DEFAULT_TARGET,)
    names = [name for name in leaves(left) if name.name not in CONSTANTS]
    for name in names:
        if needed and name.name not in columns:
            raise UnknownNameInFormula(
                "column", name.name, columns, column=name.column, where=" on the left side"
            )
    if not names:
        raise InvalidFormula("the left side has no column", column=1)
    return tuple(dict.fromkeys(name.name for name in names))


def hidden(target_columns: Sequence[str], right: Tree) -> frozenset[str]:
    """The target columns, if the right side uses all of them; they must not be used there."""
    used = {name.name for name in leaves(right)}
    return frozenset(target_columns) if set(target_columns) <= used else frozenset()
