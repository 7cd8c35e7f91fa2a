"""Conditions on rows."""

from __future__ import annotations

import re

import numpy as np
import pytest

from service.engine.condition import Columns, Texts, rows_where
from service.errors import InvalidFormula

COLUMNS: Columns = {
    "x": np.array([1.0, 2.0, 3.0, np.nan, 5.0]),
    "y": np.array([0.0, 1.0, 0.0, 1.0, 0.0]),
    "s": Texts(np.array([0, 1, 0, -1, 1], dtype=np.int32), ("treated", "it's not")),
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x > 2", [0, 0, 1, 0, 1]),
        ("not x > 2", [1, 1, 0, 0, 0]),
        ("not not x > 2", [0, 0, 1, 0, 1]),
        ("x > 1 and (y == 0 or x*2 < 5)", [0, 1, 1, 0, 1]),
        ("y == 1 or x > 4 and y == 0", [0, 1, 0, 0, 1]),
        ("not (y == 1 and x > 0)", [1, 0, 1, 0, 1]),
        ("(x + 1)*2 >= 6", [0, 1, 1, 0, 1]),
        ("where(x > 2, y, 1) == 1", [1, 1, 0, 0, 0]),
        ("log(x - 2) > 0", [0, 0, 0, 0, 1]),
        ("x > pi", [0, 0, 0, 0, 1]),
        ("2 > 1", [1, 1, 1, 1, 1]),
        ("s == 'treated'", [1, 0, 1, 0, 0]),
        ("s != 'treated'", [0, 1, 0, 0, 1]),
        ('"it\'s not" == s and x < 5', [0, 1, 0, 0, 0]),
        ("-x < -2", [0, 0, 1, 0, 1]),
        ("x**2 > 4 and not y != 0", [0, 0, 1, 0, 1]),
    ],
)
def test_the_rows_of_a_condition(text: str, wanted: list[int]) -> None:
    assert rows_where(text, COLUMNS, 5).astype(int).tolist() == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x", "such as x > 2"),
        ("x + 1", "such as x > 2"),
        ("x > 1 and y", "such as x > 2"),
        ("1 < x < 3", "write x > 2 and x < 10"),
        ("x = 1", "equality is '=='"),
        ("z > 1", "unknown column 'z'"),
        ("s > 1", "text in quotes"),
        ("s > 'treated'", "by == or !="),
        ("s == 'trated'", "did you mean 'treated'"),
        ("x == 'a'", "without quotes"),
        ("x == 'a", "text is not part"),
        ("'a' == 'a'", "compared with a column"),
        ("(x > 1) + 1 > 0", "no number"),
        ("x > 1 and", "the end"),
        ("and", "found 'and'"),
        ("x > 1; y > 2", "';'"),
        ("__import__('os').system('ls') == 0", "underscores"),
        ("exec(x) > 1", "unknown function 'exec'"),
        ("x.y > 1", "attributes"),
        ("(" * 40 + "x" + ")" * 40 + " > 1", "nests at most"),
        (" or ".join(["x > 1"] * 100), "at most"),
        ("x > " + "1" * 600, "at most 512 characters"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidFormula, match=re.escape(words)):
        rows_where(text, COLUMNS, 5)


def test_long_columns_are_read_in_parts() -> None:
    x = np.arange(200_000.0)
    found = rows_where("x >= 65530 and x < 131080", {"x": x}, len(x))
    assert found.sum() == 131080 - 65530
    assert found[65530]
    assert not found[131080]
