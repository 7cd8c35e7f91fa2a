"""GET /certify over HTTP on a real socket: every case passes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from service.certification import cases
from service.certification.strd import FORMULAS


@pytest.fixture(scope="module")
def found(service: httpx.Client) -> Any:
    answer = service.get("/certify", params={"detail": "true"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_case_passes(found: Any) -> None:
    wrong = {case["name"]: case["reason"] for case in found["cases"] if not case["passed"]}
    assert wrong == {}
    assert [case["name"] for case in found["cases"]] == [case.name for case in cases()]
    count = len(found["cases"])
    assert (found["summary"]["cases"], found["summary"]["passed"]) == (count, count)


def test_nist_is_reached_to_most_of_its_digits(found: Any) -> None:
    """To 8 digits or more, all but Lanczos1, as docs/explanation/accuracy.md says."""
    nist = {case["name"]: case for case in found["cases"]}
    for name in FORMULAS:
        for start in (1, 2):
            case = nist[f"{name}-{start}"]
            assert case["certified"] == 11
            assert case["digits"] >= (2 if name == "Lanczos1" else 8), case["name"]


def test_a_figure_is_found_where_its_pointer_says(found: Any) -> None:
    (case,) = [case for case in found["cases"] if case["name"] == "ryegrass-observed"]
    (figure,) = [each for each in case["values"] if each["at"] == "/report/ec90/stderr"]
    assert figure["certified"] == "0.845098"
    assert figure["found"] == pytest.approx(0.845098, abs=1e-6)
    assert 5.5 < figure["digits"] <= 6
    assert "observed" in case["note"]
    assert "drc" in case["source"]["citation"]


def test_no_job_is_left(service: httpx.Client, found: Any) -> None:
    """The service of these tests has jobs of other tests, but none of a certification."""
    listed = service.get("/jobs", params={"limit": 1000}).json()["jobs"]
    assert "job_certification" not in [job["job_id"] for job in listed]


def test_as_text(service: httpx.Client, found: Any) -> None:
    answer = service.get("/certify", headers={"accept": "text/plain"})
    assert answer.status_code == 200, answer.text
    count = len(found["cases"])
    assert f"{count} of {count} certified cases, " in answer.text.splitlines()[-1]
    assert "Misra1a-2" in answer.text
