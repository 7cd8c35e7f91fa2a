"""The fast way with long columns is the plain way: the same request, bit for bit, or none."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.bodies import json_numbers
from service.api.bodies.json import parse
from service.api.bodies.json_numbers import parse_numbers
from service.errors import DescentError
from service.schemas.columns import Labels
from service.schemas.compute import PredictRequest
from service.schemas.fit import FitRequest


@pytest.fixture(autouse=True, scope="module")
def _short():
    """Everything is long, and slices are short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_numbers, "LONG", 8)
        patch.setattr(json_numbers, "SLICE", 16)
        yield


def same(found: Any, plain: Any) -> bool:
    """Whether two requests are one, their columns bit for bit."""
    if list(found.data) != list(plain.data):
        return False
    for a, b in zip(found.data.values(), plain.data.values(), strict=True):
        if type(a) is not type(b) or len(a) != len(b):
            return False
        if isinstance(a, Labels):
            if a.tolist() != b.tolist():
                return False
        elif a.dtype != b.dtype or a.tobytes() != b.tobytes():
            return False
    empty: dict[str, Any] = {"data": {}}
    return bool(found.model_copy(update=empty) == plain.model_copy(update=empty))


def check(body: bytes, schema: Any = FitRequest) -> Any:
    """The request by the fast way, which is that of the plain one; None where it declines."""
    found = parse_numbers(body, schema)
    if found is not None:
        assert same(found, parse(body, schema))
    return found


def test_columns_of_numbers_are_cut_out() -> None:
    body = b'{"model": "y = a*x", "data": {"x": [1, 2.5, -3e2, 0.1], "y": [4, 5, 6, 1e-320]}}'
    found = check(body)
    assert found.data["x"].tolist() == [1.0, 2.5, -300.0, 0.1]
    assert check(body.replace(b'"data"', b'"background": true, "data"')).background


def test_the_other_requests_too() -> None:
    body = b'{"model": "a*x", "params": {"a": 2.0}, "data": {"x": [1.5, 2.5, 3.5, 4.5]}}'
    assert check(body, PredictRequest).params == {"a": 2.0}


def test_text_beside_numbers_stays() -> None:
    found = check(b'{"data": {"g": ["a"], "x": [1.5, 2.5, 3.5, 4.5]}}')
    assert found.data["g"].tolist() == ["a"]


NUMBERS = b"1.5, 2.5, 3.5"


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": {"x": [1.5, null, 2.5]}}',
        b'{"data": {"x": [true, 1.5, 2.5]}}',
        b'{"data": {"x": [false, 1.5, 2.5]}}',
        b'{"data": {"x": [1.5, "2.5", 3.5]}}',
        b'{"data": {"x": ["abc", "def"]}}',
        b'{"data": {"x": [1.5, [2.5], 3.5]}}',
        b'{"data": {"x": [1.5, {}, 3.5]}}',
        b'{"data": {"x": [1.5, NaN, 3.5]}}',
        b'{"data": {"x": [1.5, Infinity]}}',
        b'{"data": {"x": [1.5,, 2.5, 3.5]}}',
        b'{"data": {"x": [1.5, 2.5, 3.5,]}}',
        b'{"data": {"x": [,1.5, 2.5, 3.5]}}',
        b'{"data": {"x": [1.5 2.5 3.5 4.5]}}',
        b'{"data": {"x": [01.5, 2.5, 3.5]}}',
        b'{"data": {"x": [+1.5, 2.5, 3.5]}}',
        b'{"data": {"x": [         ]}}',
        b'{"data": {"x": [' + NUMBERS + b'], "x": [4.5, 5.5, 6.5]}}',
        b'{"data": {"x": [' + NUMBERS + b'], "x": [1]}}',
        '{"data": {"x": [1.5, 2.5, 3.5], "ｘ": [4.5, 5.5, 6.5]}}'.encode(),
        b'{"data": {"x": [' + NUMBERS + b'], "x": 3}}',
        b'{"data": {"x": [' + NUMBERS + b']}, "sigma": [' + NUMBERS + b"]}",
        b'{"data": {"x": [' + NUMBERS + b']}, "model": "[' + NUMBERS + b']"}',
        b'{"data": {"x": [' + NUMBERS + b']}, "unknown": [' + NUMBERS + b"]}",
        b'{"data": {"x": [' + NUMBERS + b']}, "epochs": 0}',
        b'{"data": {"x": [' + NUMBERS + b"]}",
        b'{"data": {"x": [' + NUMBERS,
        b'{"data": {"x": [' + NUMBERS + b"]}} x",
        b"[" + NUMBERS + b"]",
        b"\xff[" + NUMBERS + b"]",
        b"",
        b'{"data": {"x": [1, 2]}}',
        b'{"data": {"x": [1e999, 2.5, 3.5]}}',
        b'{"data": {"x": [1' + b"0" * 400 + b", 2.5, 3.5]}}",
    ],
)
def test_what_is_not_as_expected_is_left_to_the_plain_way(body: bytes) -> None:
    check(body)
    try:
        parse(body, FitRequest)
    except DescentError:
        assert parse_numbers(body, FitRequest) is None


def test_a_rest_that_is_long_is_left_too(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"data": {"x": [' + NUMBERS + b"]}}"
    assert check(body) is not None
    monkeypatch.setattr(json_numbers, "QUICK", 10)
    assert parse_numbers(body, FitRequest) is None
    monkeypatch.undo()
    monkeypatch.setattr(json_numbers, "MOST_LISTS", 1)
    assert parse_numbers(body, FitRequest) is None


_NUMBER = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(["-0", "0", "-0.0", "1E5", "1e-400", "2.5e+3", "9007199254740993"]),
    st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
)
_SPACE = st.sampled_from(["", " ", "\n", "\t  "])
_ODD = st.sampled_from(["null", "true", '"a"', "[]", "NaN", "", "1_0", "0x1"])


@st.composite
def _list(draw: st.DrawFn, cell: st.SearchStrategy[str]) -> str:
    cells = draw(st.lists(cell, min_size=1, max_size=30))
    return "[" + ",".join(draw(_SPACE) + each + draw(_SPACE) for each in cells) + "]"


@given(st.dictionaries(st.text(max_size=3), _list(_NUMBER), max_size=4), st.booleans())
def test_on_random_numbers_it_is_the_plain_way(columns: dict[str, str], background: bool) -> None:
    data = ",".join(f"{json.dumps(name)}: {numbers}" for name, numbers in columns.items())
    check(f'{{"data": {{{data}}}, "background": {json.dumps(background)}}}'.encode())


@given(st.lists(_list(st.one_of(_NUMBER, _ODD)), max_size=4))
def test_on_random_bodies_it_is_the_plain_way_or_declines(columns: list[str]) -> None:
    data = ",".join(f'"c{i}": {cells}' for i, cells in enumerate(columns))
    body = f'{{"data": {{{data}}}}}'.encode()
    try:
        plain = parse(body, FitRequest)
    except DescentError:
        assert parse_numbers(body, FitRequest) is None
        return
    found = parse_numbers(body, FitRequest)
    assert found is None or same(found, plain)


@given(st.binary(max_size=60), st.integers(0, 200))
def test_garbage_within_a_body_raises_nothing(garbage: bytes, at: int) -> None:
    body = b'{"model": "y = a*x", "data": {"x": [1.5, 2.5, 3.5], "y": [1.5, 2.5, 3.5]}}'
    check_or_decline = body[: at % len(body)] + garbage + body[at % len(body) :]
    found = parse_numbers(check_or_decline, FitRequest)
    assert found is None or same(found, parse(check_or_decline, FitRequest))


def test_most_are_taken() -> None:
    """Or the tests above would prove nothing."""
    column = json.dumps((np.arange(1000) / 7).tolist()).encode()
    assert check(b'{"data": {"x": %b, "y": %b}}' % (column, column)) is not None
