"""Columns are counted by what can be nothing else."""

from __future__ import annotations

import json

import pytest

from service.api.bodies.json import OTHERS, excess_columns

MANY = OTHERS + 11


@pytest.mark.parametrize("space", ["", " ", "\r\n\t"])
def test_very_many_columns_are_counted(space: str) -> None:
    columns = ",".join(f'"k{n}"{space}:{space}[1]' for n in range(MANY))
    body = f'{{"data": {{{columns}}}}}'.encode()
    assert excess_columns(body, 10) == MANY
    assert excess_columns(body, 11) == 0


@pytest.mark.parametrize(
    "data",
    [
        {"g": ["["] * MANY},
        {"g": ['"k":['] * MANY},
        {"g": ["\\"] * MANY, "h": ["[\\"] * MANY},
        {"g": [[1]] * MANY},
    ],
)
def test_brackets_that_are_no_columns_are_not(data: object) -> None:
    assert excess_columns(json.dumps({"data": data}).encode(), 10) == 0


def test_a_string_without_an_end_is_read_once() -> None:
    """Were it begun anew at each of its quotes, this would take an hour."""
    assert excess_columns(b"[" * MANY + b'"' + b'\\"' * 2**20, 10) == 0
    assert excess_columns(b"[" * MANY + b'"' + b'\\"' * 2**20 + b"\\", 10) == 0
