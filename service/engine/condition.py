"""A condition on the rows of columns: `x > 2 and not (y == 0 or state == "treated")`.

    condition  = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation   = { "not" } comparison
    comparison = sum [ ("<" | "<=" | ">" | ">=" | "==" | "!=") sum ] | name ("==" | "!=") text

The sums are those of a formula (`engine.syntax`), of columns and numbers alone; a text in quotes is
compared with a column of text. It is parsed against a whitelist and never evaluated as Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from service.engine.kernel.types import Bools, Floats
from service.engine.names import CONSTANTS
from service.engine.operations import COMPARISONS, OPERATIONS
from service.engine.syntax import Call, Name, Number, Text, Tree, parse_condition
from service.errors import InvalidFormula, UnknownNameInFormula, nearest_hint

AT_ONCE = 2**16
"""Rows that are read at once."""
SIGNS = {operation: sign for sign, operation in COMPARISONS.items()}
LOGIC = ("and", "or", "not")


class Texts(NamedTuple):
    """A column of text: each row's text as an index into `names`, −1 where it is missing."""

    codes: np.ndarray[tuple[int], np.dtype[np.int32]]
    names: tuple[str, ...]


Columns = Mapping[str, Floats | Texts]


def rows_where(text: str, columns: Columns, rows: int) -> Bools:
    """Which rows satisfy a condition, (rows,). A row in which a value of it is missing does not,
    nor does it satisfy the negation. Raises InvalidFormula, with the column of the text."""
    tree = parse_condition(text)
    _check(tree, columns)
    used = [name for name in columns if name in _names(tree)]
    found = np.empty(rows, dtype=np.bool_)
    for first in range(0, rows, AT_ONCE):
        part = slice(first, min(first + AT_ONCE, rows))
        some: dict[str, Tensor] = {}
        for name in used:
            column = columns[name]
            values = column.codes[part] if isinstance(column, Texts) else column[part]
            some[name] = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))
        reader = _Reader(columns, some, part.stop - first)
        true, known = reader.read(tree)
        found[part] = (true & known).numpy()
    return found


def _check(tree: Tree, columns: Columns) -> None:
    """Raises InvalidFormula for what is no condition on these columns."""
    if not isinstance(tree, Call) or tree.operation not in (*LOGIC, *SIGNS):
        raise InvalidFormula("this is no condition; compare it, such as x > 2", column=tree.column)
    if tree.operation in LOGIC:
        for argument in tree.arguments:
            _check(argument, columns)
    elif any(isinstance(argument, Text) for argument in tree.arguments):
        _check_text(tree, columns)
    else:
        for argument in tree.arguments:
            _check_number(argument, columns)


def _check_text(tree: Call, columns: Columns) -> None:
    one, other = tree.arguments
    name, text = (other, one) if isinstance(one, Text) else (one, other)
    is_column = isinstance(name, Name) and not isinstance(name, Text)
    if not is_column or SIGNS[tree.operation] not in ("==", "!="):
        raise InvalidFormula(
            "a text is compared with a column, by == or !=, such as state == 'treated'",
            column=tree.column,
        )
    assert isinstance(name, Name)
    assert isinstance(text, Text)
    column = _column(name, columns)
    if not isinstance(column, Texts):
        raise InvalidFormula(
            f"column '{name.name}' has numbers; compare it with a number, without quotes",
            column=text.column,
        )
    if text.name not in column.names:
        hint = nearest_hint(text.name, column.names)
        raise InvalidFormula(f"column '{name.name}' has no '{text.name}'{hint}", column=text.column)


def _check_number(tree: Tree, columns: Columns) -> None:
    if isinstance(tree, Text):
        raise InvalidFormula("a text is only compared with a column", column=tree.column)
    if isinstance(tree, Name):
        if tree.name not in CONSTANTS and isinstance(_column(tree, columns), Texts):
            raise InvalidFormula(
                f"column '{tree.name}' is text; compare it with a text in quotes, by == or !=",
                column=tree.column,
            )
    elif isinstance(tree, Call):
        if tree.operation in (*LOGIC, *SIGNS):
            raise InvalidFormula("a comparison is no number", column=tree.column)
        condition, *rest = tree.arguments
        if tree.operation == "where":
            _check(condition, columns)
        for argument in rest if tree.operation == "where" else tree.arguments:
            _check_number(argument, columns)


def _column(name: Name, columns: Columns) -> Floats | Texts:
    if name.name not in columns:
        raise UnknownNameInFormula("column", name.name, columns, column=name.column)
    return columns[name.name]


def _names(tree: Tree) -> frozenset[str]:
    if isinstance(tree, Name):
        return frozenset([] if isinstance(tree, Text) else [tree.name])
    found = (_names(each) for each in tree.arguments) if isinstance(tree, Call) else ()
    return frozenset().union(*found)


class _Reader:
    """Reads a checked condition on some rows: the values of its columns, codes of text."""

    def __init__(self, columns: Columns, values: Mapping[str, Tensor], rows: int) -> None:
        self._columns, self._values, self._rows = columns, values, rows

    def read(self, tree: Tree) -> tuple[Tensor, Tensor]:
        """Where a condition is true, and where no value of it is missing."""
        assert isinstance(tree, Call)
        if tree.operation in SIGNS:
            return self._compared(tree)
        true, known = self.read(tree.arguments[0])
        if tree.operation == "not":
            return ~true, known
        other, others_known = self.read(tree.arguments[1])
        joined = true & other if tree.operation == "and" else true | other
        return joined, known & others_known

    def _compared(self, tree: Call) -> tuple[Tensor, Tensor]:
        compare = OPERATIONS[tree.operation].evaluate
        one, other = tree.arguments
        if isinstance(one, Text) or isinstance(other, Text):
            name, text = (other, one) if isinstance(one, Text) else (one, other)
            assert isinstance(name, Name)
            column, codes = self._columns[name.name], self._values[name.name]
            assert isinstance(column, Texts)
            assert isinstance(text, Text)
            code = torch.tensor(float(column.names.index(text.name)), dtype=torch.float64)
            return compare(codes, code), codes >= 0
        left, right = (self._number(each).expand(self._rows) for each in tree.arguments)
        return compare(left, right), ~(torch.isnan(left) | torch.isnan(right))

    def _number(self, tree: Tree) -> Tensor:
        if isinstance(tree, Number):
            return torch.tensor(tree.value, dtype=torch.float64)
        if isinstance(tree, Name):
            if tree.name in self._values:
                return self._values[tree.name]
            return torch.tensor(CONSTANTS[tree.name], dtype=torch.float64)
        assert isinstance(tree, Call)
        first, *rest = tree.arguments
        evaluate = OPERATIONS[tree.operation].evaluate
        if tree.operation != "where":
            return evaluate(self._number(first), *map(self._number, rest))
        true, known = self.read(first)
        return torch.where(known, evaluate(true, *map(self._number, rest)), torch.nan)
