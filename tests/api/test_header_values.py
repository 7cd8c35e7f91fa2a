"""Header values that are lists, and the long ones that were made to take long."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from service.api.head import (
    LONGEST,
    Preference,
    media_type,
    parameters,
    preference,
    ranges,
    split,
    unquoted,
)
from service.api.http_errors import MalformedBody
from service.api.negotiation import MEDIA, choose


def test_separators_in_quotes_separate_nothing() -> None:
    assert split('a;b="c;\\";d";e', ";") == ["a", 'b="c;\\";d"', "e"]
    assert split('a;"b;c', ";") == ["a", '"b;c']
    assert split("", ";") == [""]
    assert [unquoted(each) for each in (' "a\\"b" ', '"', "a ", '"\\')] == ['a"b', "", "a", "\\"]
    assert parameters('Text/CSV; Header="absent";;x') == ("Text/CSV", {"header": "absent", "x": ""})
    assert preference(Headers({"prefer": 'a="x, respond-async", wait=3'})) == Preference(wait_s=3)


def test_ranges_have_qualities() -> None:
    found = ranges("text/csv;header=present; Q = 0.5, */*;q=0,nonsense, a/b;q=x")
    assert found == {"text/csv": 0.5, "*/*": 0.0, "a/b": 1.0}


@pytest.mark.parametrize("long", ["a" * 30_000, "b/c," + " " * 30_000 + ";", "a/b;q=0" * 9000])
def test_long_headers_count_as_absent(long: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.head._KIND", None)  # no pattern sees them
    monkeypatch.setattr("service.api.head._PREFERENCE", None)
    assert len(long) > LONGEST
    assert ranges(long) == {}
    assert choose(long.encode(), MEDIA) == "json"
    assert preference(Headers({"prefer": long})) == Preference()


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
