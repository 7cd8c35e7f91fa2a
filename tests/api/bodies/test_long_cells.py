"""Texts that are nearly numbers: the patterns are linear, and see none that is too long."""

from __future__ import annotations

import pytest

from service.api.bodies import csv_cells, options
from service.schemas import headers, keys
from service.schemas.fit import FitRequest

LONG = ["1" * 15_000 + "x", "1" * 401, "9" * 10**6, "-" + "0." + "1" * 15_000]


class _Unused:
    def fullmatch(self, text: str) -> None:
        raise AssertionError(f"{len(text)} characters")


@pytest.mark.parametrize("text", LONG)
def test_no_pattern_sees_a_long_text(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (csv_cells, "_NUMBER"),
        (csv_cells, "_DECIMAL_COMMA"),
        (csv_cells, "_THOUSANDS"),
        (csv_cells, "_DATE"),
        (options, "_NUMBER"),
        (keys, "_PLAIN"),
    ):
        monkeypatch.setattr(module, name, _Unused())
    assert not csv_cells.is_value(text)
    assert not csv_cells.is_value(text, ",")
    assert not keys.is_plain(text)
    assert options.read_options(b"epochs=" + text.encode(), FitRequest) == {"epochs": text}


@pytest.mark.parametrize("text", ["1", "1.", "1.5", ".5", "+1e5", "1.E-3", "-0.0"])
def test_numbers_are_numbers_still(text: str) -> None:
    assert csv_cells.is_value(text)
    query = f"optimizer.learning_rate={text}".encode()
    assert options.read_options(query, FitRequest) == {"optimizer": {"learning_rate": float(text)}}


def test_a_unit_is_found_from_the_end() -> None:
    assert headers.split(" " * 30_000 + "x" + " " * 30_000 + "(s)") == ("x", "s")
    assert headers.split("(" * 30_000) == ("", "")
    assert headers.split("t (a) [b]") == ("t_a", "b")
    assert headers.split("log(dose)") == ("log_dose", "")
    assert headers.split("log (dose)") == ("log", "dose")
    assert headers.split("t (a[b])")[1] == ""
