"""Unknowns of global fits and of groups keyed by several columns, and conditions on rows."""

from __future__ import annotations

import csv
import io
from typing import Any

import httpx
import pytest

INTERCEPTS = {"P1": 0.1, "P2": 0.4, "P3": 0.0}
NOISE = (0.02, -0.01, 0.0, -0.02, 0.01, 0.01, -0.01, 0.0)
LEVELS = (0.5, 1.0, 2.0, 4.0) * 2
CURVE = {"model": "y = a + b*x", "params": {"a": 1.0, "b": 2.0}, "input_range": {"x": [0, 10]}}
ENDS = ("estimate", "stderr", "lower", "upper")


def standards() -> dict[str, list[Any]]:
    """Three plates with parallel lines, on two days."""
    rows = [
        (plate, day, x, a + day * (0.25 * x + e + 0.002 * ((3 * i) % 5)))
        for day in (1, 2)
        for plate, a in INTERCEPTS.items()
        for i, (x, e) in enumerate(zip(LEVELS, NOISE, strict=True))
    ]
    names = ("plate", "day", "conc", "od")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def of_day(day: int) -> dict[str, list[Any]]:
    data = standards()
    chosen = [i for i, each in enumerate(data["day"]) if each == day]
    return {name: [column[i] for i in chosen] for name, column in data.items()}


def asked(service: httpx.Client, path: str, **request: Any) -> Any:
    answer = service.post(path, json=request)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_groups_that_share_a_param_are_one_fit_with_indicators(service: httpx.Client) -> None:
    data = of_day(1)
    by = {"column": "plate", "shared": ["b"]}
    job = asked(service, "/fit", model="od = a + b*conc", data=data, group_by=by)["job_id"]
    unknown = {"plate": ["P1", "P3", "P2"], "od": [0.7, 0.61, 0.9]}
    found = asked(service, "/invert", job_id=job, data=unknown)

    whole = dict(data)
    for i, plate in enumerate(INTERCEPTS):
        whole[f"p{i}"] = [float(each == plate) for each in data["plate"]]
    del whole["plate"], whole["day"]
    model = "od = a0*p0 + a1*p1 + a2*p2 + b*conc"
    one = asked(service, "/fit", model=model, data=whole)["predict"]
    marks = {"p0": [1, 0, 0], "p1": [0, 0, 1], "p2": [0, 1, 0]}
    alone = asked(service, "/invert", **one, data={**marks, "od": unknown["od"]})
    assert found["status"] == ["ok"] * 3
    for name in ENDS:
        assert found[name] == pytest.approx(alone[name], rel=1e-6)


@pytest.fixture(scope="module")
def by_plate_and_day(service: httpx.Client) -> str:
    by = {"column": ["plate", "day"], "covariance": True}
    found = asked(service, "/fit", model="od = a + b*conc", data=standards(), group_by=by)
    return str(found["job_id"])


def test_a_key_of_several_columns(service: httpx.Client, by_plate_and_day: str) -> None:
    data = {"plate": ["P1", "P2"], "day": [2, 1], "od": [0.9, 0.7]}
    found = asked(service, "/invert", job_id=by_plate_and_day, data=data)
    assert found["group_by"] == ["plate", "day"]
    assert found["group"] == [["P1", 2], ["P2", 1]]
    day = of_day(2)
    first = {name: column[:8] for name, column in day.items() if name not in ("plate", "day")}
    alone = asked(service, "/fit", model="od = a + b*conc", data=first)["predict"]
    one = asked(service, "/invert", **alone, data={"od": [0.9]})
    for name in ENDS:
        assert found[name][0] == pytest.approx(one[name][0], rel=1e-6)


def test_a_key_of_several_columns_in_every_form(
    service: httpx.Client, by_plate_and_day: str
) -> None:
    body = "plate;day;conc;od\nP1;1;;0.70\nP2;2;;0.9\nP2;2;2;1.4\n"
    made = {
        form: service.post(
            f"/invert?job_id={by_plate_and_day}&format={form}",
            content=body,
            headers={"Content-Type": "text/csv"},
        ).text
        for form in ("csv", "text", "oneline")
    }
    rows = list(csv.DictReader(io.StringIO(made["csv"])))
    assert [(row["plate"], float(row["day"]), row["row"]) for row in rows] == [
        ("P1", 1, "1"), ("P2", 2, "2"), ("P2", 2, "3"),
    ]  # fmt: skip
    assert [row["lloq"] for row in rows] == ["", "2.0", "2.0"]
    assert "P2, 2: Limits of quantification: 2 to 2." in made["text"]
    lines = made["oneline"].splitlines()
    assert lines[1].startswith("plate=P2 day=2 row=2 conc=")
    assert lines[2].startswith("plate=P2 day=2 row=3 nominal=2 read_back=")
    assert lines[3] == "plate=P2 day=2 lloq=2 uloq=2"


def test_intervals_of_several_columns_name_what_they_need(service: httpx.Client) -> None:
    by = {"column": ["plate", "day"]}
    job = asked(service, "/fit", model="od = a + b*conc", data=standards(), group_by=by)["job_id"]
    data = {"plate": ["P1"], "day": [2], "od": [0.9]}
    refused = service.post("/invert", json={"job_id": job, "data": data, "interval": "wald"})
    assert refused.status_code == 422
    assert '"column": ["plate", "day"], "covariance": true' in refused.json()["errors"][0]["detail"]


def test_rows_that_a_condition_leaves_keep_their_numbers(service: httpx.Client) -> None:
    data = {"y": [5, 7, 9, 3], "plate": ["a", "b", "a", "b"]}
    found = asked(service, "/invert", **CURVE, data=data, rows="plate == 'b'")
    assert found["estimate"] == [3, 1]
    assert found["key"] == [2, 4]
    assert found["rows"] == {"used": 2, "of": 4}
    table = service.post(
        "/invert",
        params={
            **{"format": "csv", "rows": "y>6", "model": "y=a+b*x", "range": "[0,10]"},
            **{"params.a": "1", "params.b": "2"},
        },
        content="y\n5\n7\n9\n",
        headers={"Content-Type": "text/csv"},
    )
    assert table.status_code == 200, table.text
    assert [line.split(",")[0] for line in table.text.splitlines()] == ["row", "2", "3"]


def test_rows_without_a_reading_are_dropped_with_their_sigma(service: httpx.Client) -> None:
    request: dict[str, Any] = {**CURVE, "data": {"y": [5, None, 9]}, "missing": "drop"}
    found = asked(service, "/invert", **request, sigma=[0.1, 0.2, 0.3], sigma_scale=1)
    assert found["estimate"] == [2, 4]
    assert found["key"] == [1, 3]


def test_calibrators_only_in_one_line_each(service: httpx.Client) -> None:
    request = {**CURVE, "data": {"x": [1, 2, 0], "y": [3.1, 5, 1]}}
    lines = service.post("/invert?format=oneline", json=request).text.splitlines()
    assert lines == [
        "row=1 nominal=1 read_back=1.05 recovery_percent=105 status=ok",
        "row=2 nominal=2 read_back=2 recovery_percent=100 status=ok",
        "row=3 nominal=0 read_back=0 status=ok",
        "lloq=1 uloq=2",
    ]
