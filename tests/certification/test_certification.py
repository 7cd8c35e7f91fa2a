"""Certified cases: their records, how digits are counted, and cases that do not pass."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from typing import Any

import pytest

from service.certification import Case, Figure, Source, cases, certification, certified
from service.certification.agreement import agreement, digits_of, digits_printed
from service.render.oneline import oneline
from service.render.report import report
from service.render.tables import arrow_stream, csv_text, table

LINE: dict[str, Any] = {"data": {"x": [1, 2, 3, 4, 5], "y": [2.1, 3.9, 6.2, 7.8, 10.1]}}
CASE = Case(
    name="line",
    title="A line through five points",
    source=Source("Descent's README"),
    route="/fit",
    body=LINE,
    certified=(Figure("/params/w", "1.99"), Figure("/statistics/stderr/w", "0.059721576")),
)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("1.252251", 7),
        ("0.043041", 5),
        ("-0.0083", 2),
        ("3.8e-6", 2),
        ("1.5687892471E-04", 11),
        ("166.604097", 9),
        ("0.000000000000000", 15),
        ("0.796230", 6),
    ],
)
def test_the_printed_digits_are_counted(text: str, digits: int) -> None:
    assert digits_printed(text) == digits


@pytest.mark.parametrize(
    ("found", "text", "needed", "passed", "digits"),
    [
        (1.2522505, "1.252251", None, True, 7.0),
        (1.252252, "1.252251", None, True, 6.1),
        (1.252253, "1.252251", None, False, 5.8),
        (1.252253, "1.252251", 5.0, True, 5.8),
        (1.3, "1.252251", 5.0, False, 1.4),
        (1e-9, "0.000000000000000", 6.0, True, 9.0),
        (9.9995, "10.000", None, True, 5.0),
        ("NaN", "1.252251", None, False, 0.0),
        (None, "1.252251", None, False, 0.0),
        (True, "1.0", None, False, 0.0),
        (math.inf, "1.0", 0.5, False, 0.0),
    ],
)
def test_digits_that_agree(
    found: Any, text: str, needed: float | None, passed: bool, digits: float
) -> None:
    each = agreement(found, Figure("/a", text, needed))
    assert (each.passed, round(each.digits or 0.0, 1)) == (passed, digits)


@pytest.mark.parametrize(
    ("found", "text", "passed"),
    [
        (17, "17", True),
        (18, "17", False),
        ("ok", "ok", True),
        ("NaN", "NaN", True),
        (None, "null", True),
        (1.0, "null", False),
        (None, "ok", False),
    ],
)
def test_words_and_counts_are_compared_as_they_are(found: Any, text: str, passed: bool) -> None:
    each = agreement(found, Figure("/a", text))
    assert (each.passed, each.digits) == (passed, None)


def test_digits_have_no_upper_limit_of_their_own() -> None:
    assert digits_of(2.5, 2.5) == math.inf
    assert digits_of(1e3, 1.0) == 0.0


def test_a_case_passes_with_all_its_figures() -> None:
    found = certified(CASE)
    assert found.passed
    assert found.reason is None
    assert (found.digits, found.certified) == (3.0, 3)
    assert found.values is not None
    assert [figure.at for figure in found.values] == ["/params/w", "/statistics/stderr/w"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"certified": (Figure("/params/w", "2.99"),)}, "/params/w is 1.9"),
        ({"certified": (Figure("/params/nonesuch", "null"),)}, "/params/nonesuch is None"),
        ({"certified": (Figure("/history/epoch/99", "1.0"),)}, "/history/epoch/99 is None"),
        ({"body": {**LINE, "model": "y = a*x +"}}, "found the end"),
        ({"body": {**LINE, "modle": "linear"}}, "modle"),
        ({"body": {"data": "nonesuch.csv"}}, "internal error"),
        ({"route": "/predict", "body": LINE}, "params"),
        ({"body": {**LINE, "model": "y = a/(x - x)"}}, ""),
    ],
)
def test_a_case_that_does_not_pass_says_why(changes: dict[str, Any], said: str) -> None:
    found = certified(replace(CASE, **changes))
    assert not found.passed
    assert said in (found.reason or "")
    assert found.certified > 0


def test_a_certification_has_a_summary_and_its_figures_on_request() -> None:
    wrong = replace(CASE, name="wrong", certified=(Figure("/params/w", "2.99"),))
    results = [certified(case) for case in (CASE, wrong)]
    brief = certification(results, detail=False)
    total = brief.summary
    assert (total.cases, total.passed, total.least) == (2, 1, "wrong")
    assert total.mean_digits == pytest.approx((3 + results[1].digits) / 2, abs=0.01)
    assert not brief.passed
    assert brief.cases[0].values is None
    text = report(brief)
    assert "wrong: /params/w is 1.9" in text
    assert "1 of 2 certified cases, " in text.splitlines()[-1]
    assert oneline(brief).endswith("least=wrong failed=wrong\n")
    whole = certification(results, detail=True)
    assert "0.059721576" in report(whole)
    rows = list(csv.DictReader(io.StringIO(csv_text(table(whole)))))
    assert [row["certified"] for row in rows] == ["1.99", "0.059721576", "2.99"]
    for made in (brief, whole):
        assert arrow_stream(table(made))


def test_every_case_is_one_of_its_own() -> None:
    names = [case.name for case in cases()]
    assert len(set(names)) == len(names)
    for case in cases():
        assert case.certified, case.name
        assert len({figure.at for figure in case.certified}) == len(case.certified), case.name


def test_the_same_case_has_the_same_answer() -> None:
    (case,) = [case for case in cases() if case.name == "MGH09-1"]
    assert certified(case) == certified(case)
