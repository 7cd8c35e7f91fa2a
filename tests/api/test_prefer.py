from __future__ import annotations

import pytest
from starlette.requests import Request

from service.api.head import Preference
from service.api.head import read as read_head


def read(*lines: str) -> Preference:
    headers = [(b"prefer", line.encode("latin-1")) for line in lines]
    scope = {"type": "http", "query_string": b"", "headers": headers}
    return read_head(Request(scope), keyed=True).prefer


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), Preference()),
        (("respond-async",), Preference(respond_async=True)),
        (("Respond-Async, wait=10",), Preference(respond_async=True, wait_s=10)),
        (("respond-async", "wait=10"), Preference(respond_async=True, wait_s=10)),
        (('wait = "7"; x=1, handling=lenient',), Preference(wait_s=7)),
        (("wait=3, wait=9",), Preference(wait_s=3)),
        (("wait=0",), Preference(wait_s=0)),
        (("wait=soon, return=minimal",), Preference()),
        (("wait=-1",), Preference()),
        (("wait=²",), Preference()),
        (("wait=99999999999999",), Preference()),
        ((",;=,", 'wait="'), Preference()),
    ],
)
def test_reads_what_rfc_7240_allows_and_ignores_the_rest(
    lines: tuple[str, ...], expected: Preference
) -> None:
    assert read(*lines) == expected


def test_wait_is_the_callers_up_to_the_servers_limit() -> None:
    assert Preference().wait(60) == 60
    assert Preference(wait_s=5).wait(60) == 5
    assert Preference(wait_s=500).wait(60) == 60
    assert Preference(respond_async=True).wait(60) == 0
    assert Preference(respond_async=True, wait_s=5).wait(60) == 5


def test_applied_names_what_was_honoured() -> None:
    both = Preference(respond_async=True, wait_s=5)
    assert both.applied(finished=True) == {"Preference-Applied": "wait=5"}
    assert both.applied(finished=False) == {"Preference-Applied": "respond-async, wait=5"}
    assert Preference().applied(finished=False) == {}
