"""Objects that name a thing twice are refused, wherever they stand and however long the body is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.bodies.json import refuse_repeats
from service.api.bodies.json_numbers import parse_numbers
from service.errors import InvalidRequest
from service.schemas.fit import FitRequest
from service.settings import Settings
from tests.api.fakes import FakeJobs, job
from tests.api.in_process import fake, real

TWICE = {
    b'{"data":{"x":[1],"y":[2],"x":[3]}}': "/data/x",
    b'{"data":{"x":[1],"y":[2],"\\u0078":[3]}}': "/data/x",
    '{"data":{"x2":[1],"y":[2],"x²":[3]}}'.encode(): "/data/x2",
    b'{"model":"y=a*x","data":{"x":[1],"y":[2]},"model" : "y=b*x"}': "/model",
    b'{"data":{"x":[1],"y":[2]},"params":{"a":1,"a":2}}': "/params/a",
    b'{"data":{"x":[1],"y":[2]},"tags":{"a":"v",":x":"1",":x":"2"}}': "/tags/:x",
    b'{"data":{"x":[1],"y":[2]},"params":{"a":{"value":1,"value":2}}}': "/params/a/value",
}
ONCE = (
    b'{"data":{"x":[1],"y":[2]},"tags":{"x":"y","say":"{\\"x\\": 1, \\"x\\": 2}"}}',
    b'{"model":"y = a*x","params":{"a":{"value":1},"b":{"value":1}},"data":{"x":[1],"y":[2]}}',
)
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("body", TWICE)
async def test_a_name_that_is_there_twice_is_pointed_at(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        refuse_repeats(body)
    assert refused.value.errors[0].pointer == TWICE[body]
    async with fake(FakeJobs(ended=job(result=b"{}"))) as client:
        answer = await client.post("/fit", content=body, headers=JSON)
    assert answer.status_code == 422
    detail = refused.value.errors[0].detail
    assert answer.json()["errors"] == [{"pointer": TWICE[body], "detail": detail}]


@pytest.mark.parametrize("body", ONCE)
def test_texts_are_no_names(body: bytes) -> None:
    refuse_repeats(body)


async def test_long_columns_are_refused_as_short_ones() -> None:
    column = json.dumps([i / 7 for i in range(100_000)])
    body = f'{{"data":{{"x":{column},"y":{column},"x":{column}}}}}'.encode()
    assert parse_numbers(body, FitRequest) is None
    async with real(Settings(workers=1)) as client:
        answer = await client.post("/fit", content=body, headers=JSON)
    assert answer.json()["errors"][0]["pointer"] == "/data/x"


async def test_so_is_the_request_beside_data() -> None:
    parts = {
        "request": (None, b'{"model": "y=a*x", "model": "y=b*x"}'),
        "data": ("a.csv", b"x,y\n1,2\n2,3\n"),
    }
    async with fake(FakeJobs()) as client:
        answer = await client.post("/fit", files=parts)
    assert answer.status_code == 422
    assert "'model' occurs twice" in answer.json()["detail"]


_TREES = st.recursive(
    st.none() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('abAB"\\{}: ', max_size=4), inner),
)


@given(_TREES, st.booleans())
def test_whatever_names_all_once_is_let_through(tree: object, ascii_only: bool) -> None:
    refuse_repeats(json.dumps(tree, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"))
