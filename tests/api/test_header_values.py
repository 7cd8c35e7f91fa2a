"""Header values that are lists, and the long ones that were made to take long."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from service.api import head
from service.api.forms import FORMS
from service.api.head import LONGEST, Head, Preference, accepted, media_type
from service.api.http_errors import MalformedBody
from service.errors import InvalidRequest


def read(*headers: tuple[str, str], keyed: bool = True) -> Head:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": "http", "query_string": b"", "headers": raw}
    return head.read(Request(scope), body=True, keyed=keyed)


def test_separators_in_quotes_separate_nothing() -> None:
    assert read(("prefer", 'a="x, respond-async", wait=3')).prefer == Preference(wait_s=3)
    found = media_type('Text/CSV; Header="a;\\"b";;x')
    assert (found.name, found.params) == ("text/csv", {"header": 'a;"b'})


def test_ranges_have_qualities_and_no_parameters() -> None:
    found = dict(accepted("TEXT/csv;header=present; q=0.5, */*;q=0,nonsense"))
    assert found == {"text/csv": 0.5, "*/*": 0.0}


@pytest.mark.parametrize("long", ["a" * 30_000, "b/c," + " " * 30_000 + ";", "a/b;q=0" * 9000])
def test_long_headers_count_as_absent(long: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("parse_accept_header", "parse_list_header"):
        monkeypatch.delattr(head, name)  # neither sees them
    assert len(long) > LONGEST
    found = read(("accept", long), ("prefer", long))
    assert (found.form, found.prefer) == (FORMS["json"], Preference())


def test_an_idempotency_key_is_sent_once_and_only_where_it_counts() -> None:
    assert read(("idempotency-key", "a,b")).idempotency_key == "a,b"
    twice = [("idempotency-key", ""), ("idempotency-key", "b")]
    with pytest.raises(InvalidRequest, match="must be sent once"):
        read(*twice)
    assert read(*twice, keyed=False).idempotency_key is None


def test_the_parameters_of_json_are_ignored() -> None:
    found = read(("content-type", "application/JSON; charset*=x")).content
    assert found.is_json
    assert read(("content-type", "application/merge-patch+json")).content.is_json


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ('text/csv;"' + ";" * 30_000, "longer than 1024"),
        ("text/csv; a*" + "9" * 5000 + "=x", "longer than 1024"),
        ("text/csv; a*" + "9" * 900 + "=x", "write `a=…`"),
        ("text/csv; charset*=utf-8''utf-8", "write `charset=…`"),
        ("text/csv; header*=utf-8''present", "write `header=…`"),
        ("multipart/form-data; boundary*=utf-8''x", "write `boundary=…`"),
        ("multipart/form-data; boundary*0=x", "write `boundary=…`"),
    ],
)
def test_a_content_type_as_mail_would_have_it_is_refused(header: str, said: str) -> None:
    with pytest.raises(MalformedBody, match=said):
        media_type(header)
