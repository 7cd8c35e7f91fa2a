"""Unknowns from a standard curve over HTTP.

The figures of nasturtium are those of investr (Greenwell and Schubert Kabban 2014), on 39 degrees
of freedom for s² and t alike, which SciPy confirms; those of ryegrass are of drc and SciPy.
"""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import httpx
import pyarrow as pa
import pytest

from service.certification.case import LABORATORY

LINE = {
    "model": "y = a + b*x",
    "params": {"a": 1.0, "b": 2.0},
    "input_range": {"x": [0, 10]},
}
PLATES = {"P1": (0.1, 0.2), "P2": (0.4, 0.25), "P3": (0.0, 0.3)}
"""Intercept and slope of each plate's line."""
NOISE = (0.02, -0.01, 0.0, -0.02, 0.01, 0.01, -0.01, 0.0)
LEVELS = (0.5, 1.0, 2.0, 4.0) * 2


@pytest.fixture(scope="module")
def nasturtium(service: httpx.Client) -> Any:
    """Its `predict`. The weight at no dose is t1, since log(0) is −∞."""
    model = "weight = t1/(1 + exp(t2 + t3*log(conc)))"
    first = {"t1": 900, "t2": -1, "t3": 1}
    return fitted(service, model=model, data=columns("nasturtium.csv"), params=first)["predict"]


@pytest.fixture(scope="module")
def ryegrass(service: httpx.Client) -> Any:
    found = columns("ryegrass.csv")
    data = {"x": found["conc"], "y": found["rootl"]}
    return {**fitted(service, model="logistic4", data=data)["predict"], "data": data}


@pytest.fixture(scope="module")
def plates(service: httpx.Client) -> Any:
    by = {"column": "plate", "covariance": True}
    return fitted(service, model="od = a + b*conc", data=of_plates(), group_by=by)["job_id"]


def of_plates() -> dict[str, list[Any]]:
    rows = [
        (plate, x, a + b * x + e)
        for plate, (a, b) in PLATES.items()
        for x, e in zip(LEVELS, NOISE, strict=True)
    ]
    return dict(zip(("plate", "conc", "od"), map(list, zip(*rows, strict=True)), strict=True))


def columns(name: str) -> dict[str, list[float]]:
    with (LABORATORY / name).open() as file:
        rows = list(csv.DictReader(file))
    return {n: [float(row[n]) for row in rows] for n in rows[0]}


def fitted(service: httpx.Client, **request: Any) -> Any:
    answer = service.post("/fit", json=request)
    assert answer.status_code == 200, answer.text
    return answer.json()


def inverted(service: httpx.Client, request: dict[str, Any], **more: Any) -> Any:
    answer = service.post("/invert", json={**request, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def table(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


def refused(service: httpx.Client, request: dict[str, Any], **more: Any) -> tuple[str, str]:
    answer = service.post("/invert", json={**request, **more})
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    return error["pointer"], error["detail"]


# --- published figures ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "ends"), [("inversion", [1.7716, 2.9707]), ("wald", [1.6880, 2.8397])]
)
def test_nasturtium(service: httpx.Client, nasturtium: Any, kind: str, ends: list[float]) -> None:
    data = {"weight": [309, 296, 419], "sample": ["soil"] * 3}
    found = inverted(service, nasturtium, data=data, interval=kind)
    assert found["key"] == ["soil"]
    assert found["n"] == [3]
    assert found["estimate"] == pytest.approx([2.263851], abs=6e-7)
    assert found["stderr"] == pytest.approx([0.284702], abs=6e-7)
    assert [round(found[end][0], 4) for end in ("lower", "upper")] == ends
    assert found["status"] == ["ok"]
    assert found["interval"]["degrees_of_freedom"] == 39


def test_without_the_noise_of_the_readings(service: httpx.Client, nasturtium: Any) -> None:
    data = {"weight": [309, 296, 419], "sample": ["soil"] * 3}
    interval = {"kind": "inversion", "of": "mean"}
    found = inverted(service, nasturtium, data=data, interval=interval)
    assert [round(found[end][0], 3) for end in ("lower", "upper")] == [2.027, 2.553]


def test_ryegrass_is_read_back(service: httpx.Client, ryegrass: Any) -> None:
    found = inverted(service, ryegrass)
    known = found["calibrators"]
    assert known["nominal"] == [0, 0.94, 1.88, 3.75, 7.5, 15, 30]
    expected = [0.55007, 0.77438, 1.87443, 3.78305, 7.08118, 10.16676]
    # Printed from a fit of drc, which ends some 1e-5 beside the minimum.
    assert known["back_calculated"][:6] == pytest.approx(expected, abs=1e-4)
    assert known["back_calculated"][6] is None
    assert known["status"] == ["ok"] * 6 + ["above_curve"]
    assert known["recovery_percent"][0] is None
    assert known["recovery_percent"][2] == pytest.approx(100 * 1.87443 / 1.88, abs=1e-2)
    assert known["within"] == [None, True, True, True, True, False, False]
    assert (found["lloq"], found["uloq"]) == (0.94, 7.5)
    assert found["key"] == []


def test_limits_of_calibrators_are_those_asked_for(service: httpx.Client, ryegrass: Any) -> None:
    found = inverted(service, ryegrass, calibrators={"limit": 0.05, "limit_lloq": 0.05})
    assert found["calibrators"]["within"] == [None, False, True, True, False, False, False]
    assert (found["lloq"], found["uloq"]) == (1.88, 3.75)


# --- samples --------------------------------------------------------------------------------------


def test_readings_are_averaged_and_not_their_values(service: httpx.Client, ryegrass: Any) -> None:
    data = {"y": [6.5, 2.0], "sample": [1, 1]}
    found = inverted(service, ryegrass, data=data)
    (one,) = inverted(service, ryegrass, data={"y": [4.25]})["estimate"]
    assert found["mean"] == [4.25]
    assert found["estimate"] == [one]
    apart = inverted(service, ryegrass, data={"y": [6.5, 2.0]})["estimate"]
    assert abs(sum(apart) / 2 - one) > 0.1


def test_dilution_multiplies_estimate_and_ends(service: httpx.Client, nasturtium: Any) -> None:
    data = {"weight": [309, 309], "sample": ["a", "b"], "dilution": [1, 20]}
    found = inverted(service, nasturtium, data=data)
    for name in ("estimate", "stderr", "lower", "upper"):
        assert found[name][1] == pytest.approx(20 * found[name][0], rel=1e-12)
    assert found["dilution"] == [1, 20]
    whole = inverted(service, nasturtium, data={"weight": [309]}, dilution=20.0)
    assert whole["estimate"] == [found["estimate"][1]]
    at, why = refused(service, nasturtium, data={"weight": [309, 1], "dilution": [1, 0]})
    assert at == "/data/dilution/1"
    assert "above 0" in why


def test_replicates_by_another_column(service: httpx.Client) -> None:
    data = {"y": [5, 7, 9], "tube": ["007", "7", "007"]}
    found = inverted(service, LINE, data=data, replicates_by="tube")
    assert found["key"] == ["007", "7"]
    assert found["n"] == [2, 1]
    assert found["estimate"] == [3, 3]


def test_unknowns_and_calibrators_in_one_table(service: httpx.Client) -> None:
    data = {"x": [1, 1, 4, None], "y": [3.0, 3.2, 9.0, 7], "sample": [None, None, None, "u"]}
    found = inverted(service, LINE, data=data)
    assert found["key"] == ["u"]
    assert found["estimate"] == [3]
    known = found["calibrators"]
    assert known["nominal"] == [1, 4]
    assert known["n"] == [2, 1]
    assert known["back_calculated"] == pytest.approx([1.05, 4])
    sd = 0.1 / math.sqrt(2)
    assert known["cv_percent"][0] == pytest.approx(100 * sd / 1.05)
    assert known["cv_percent"][1] is None


# --- statuses -------------------------------------------------------------------------------------


def test_each_status_has_its_words(service: httpx.Client, ryegrass: Any) -> None:
    found = inverted(service, ryegrass, data={"y": [9.0, 0.1, 5.0]})
    assert found["status"] == ["below_curve", "above_curve", "ok"]
    assert found["estimate"][:2] == [None, None]
    assert "no x from 0 to 60 has this reading" in found["detail"][0]
    assert found["detail"][2] is None
    (far,) = inverted(service, LINE, data={"y": [31]})["status"]
    assert far == "extrapolated"


def test_all_roots_are_listed(service: httpx.Client) -> None:
    peak = {
        "model": "y = h*exp(-(x - m)**2/2)",
        "params": {"h": 2.0, "m": 5.0},
        "input_range": {"x": [0, 10]},
    }
    found = inverted(service, peak, data={"y": [1.0, 2.0], "dilution": [3.0, 1.0]})
    apart = math.sqrt(2 * math.log(2))
    assert found["status"] == ["not_monotone", "ok"]
    assert found["estimate"] == [None, pytest.approx(5)]
    assert found["roots"] == [pytest.approx([3 * (5 - apart), 3 * (5 + apart)]), None]
    one = inverted(service, peak, data={"y": [1.0]}, range=[5, 10])
    assert one["estimate"] == [pytest.approx(5 + apart)]
    assert one["status"] == ["ok"]


def test_an_interval_without_an_end_is_null(service: httpx.Client, ryegrass: Any) -> None:
    found = inverted(service, ryegrass, data={"y": [0.7]})
    assert found["status"] == ["unbounded"]
    assert found["lower"][0] < found["estimate"][0]
    assert found["upper"] == [None]
    assert "no upper end" in found["detail"][0]


# --- noise, scales, left sides --------------------------------------------------------------------


def test_a_weighted_fit_wants_the_sigma_of_a_reading(service: httpx.Client) -> None:
    data: Any = {"x": [1.0, 2, 3, 4, 5], "y": [2.1, 3.9, 6.2, 7.8, 10.1]}
    data["s"] = [0.1, 0.2, 0.2, 0.3, 0.3]
    found = fitted(service, model="y = a + b*x", data=data, sigma="s")["predict"]
    at, why = refused(service, found, data={"y": [5.0]}, interval="wald")
    assert at == "/sigma"
    assert "a reading has one too" in why
    errors = [
        inverted(service, found, data={"y": [5.0]}, sigma=sigma)["stderr"][0]
        for sigma in (1e-9, 0.2, 0.4)
    ]
    slope = found["params"]["b"]
    own = (found["sigma_scale"] * 0.2 / slope) ** 2
    assert errors[1] ** 2 - errors[0] ** 2 == pytest.approx(own, rel=1e-6)
    assert errors[2] ** 2 - errors[0] ** 2 == pytest.approx(4 * own, rel=1e-6)
    # Two readings, of which the better one weighs four times as much.
    both = inverted(
        service, found, data={"y": [5.0, 6.0], "sample": [1, 1], "sd": [0.1, 0.2]}, sigma="sd"
    )
    assert both["mean"] == [pytest.approx(5.2)]


def test_a_transformed_reading(service: httpx.Client) -> None:
    request = {
        "model": "log(y) = a - b*x",
        "params": {"a": 2.0, "b": 0.5},
        "input_range": {"x": [0, 10]},
    }
    found = inverted(service, request, data={"y": [math.exp(0.5)]})
    assert found["estimate"] == [pytest.approx(3)]
    assert found["target"] == "log(y)"


def test_scaling_and_other_inputs(service: httpx.Client) -> None:
    x = [float(i % 5) for i in range(15)]
    t = [10.0 * (i // 5) for i in range(15)]
    data = {
        "x": x,
        "t": t,
        "y": [1 + 2 * a + 0.1 * b + 0.05 * a * b for a, b in zip(x, t, strict=True)],
    }
    model = "y = p + q*x + r*t + s*x*t"
    plain = fitted(service, model=model, data=data)["predict"]
    scaled = fitted(service, model=model, data=data, scaling="standardize")["predict"]
    readings = {"y": [7.0, 7.0], "t": [0.0, 20.0]}
    for curve in (plain, scaled):
        found = inverted(service, curve, data=readings, solve_for="x", interval="none")
        assert found["estimate"] == [pytest.approx(3), pytest.approx(4 / 3)]
    at, why = refused(service, plain, data={"y": [7.0]})
    assert at == "/solve_for"
    assert "p" not in why.split("inputs")[1].split(":")[0]


def test_a_tied_param(service: httpx.Client) -> None:
    request = {**LINE, "params": {"a": {"expr": "b/2"}, "b": 2.0}}
    assert inverted(service, request, data={"y": [7]})["estimate"] == [3]
    data = {"x": [1.0, 2, 3, 4], "y": [3.1, 4.9, 7.05, 9.0]}
    fit = fitted(service, model="y = a + b*x", data=data, params={"a": {"expr": "b/2"}})
    one = inverted(service, {"job_id": fit["job_id"]}, data={"y": [7]})
    assert one["stderr"][0] > 0
    assert one == inverted(service, fit["predict"], data={"y": [7]})


# --- groups ---------------------------------------------------------------------------------------


def test_a_plate_each_in_one_request(service: httpx.Client, plates: str) -> None:
    data: Any = {"plate": ["P1", "P3", "P1", "P2"], "sample": ["u", "u", "u", "v"]}
    data |= {"od": [0.7, 0.75, 0.72, 9.0]}
    found = inverted(service, {"job_id": plates}, data=data)
    assert found["group_by"] == "plate"
    assert list(zip(found["group"], found["key"], found["n"], strict=True)) == [
        ("P1", "u", 2), ("P3", "u", 1), ("P2", "v", 1),
    ]  # fmt: skip
    assert found["status"] == ["ok", "ok", "above_curve"]
    for i, (plate, readings) in enumerate((("P1", [0.7, 0.72]), ("P3", [0.75]))):
        own = {n: [v for v, of in zip(column, of_plates()["plate"], strict=True) if of == plate]
               for n, column in of_plates().items() if n != "plate"}  # fmt: skip
        alone = fitted(service, model="od = a + b*conc", data=own)["predict"]
        one = inverted(service, alone, data={"od": readings, "sample": ["u"] * len(readings)})
        for name in ("estimate", "stderr", "lower", "upper"):
            assert found[name][i] == pytest.approx(one[name][0], rel=1e-6)


def test_the_noise_of_grouped_fits_with_sigma(service: httpx.Client) -> None:
    data = of_plates()
    data["s"] = [0.01 + 0.01 * x for x in data["conc"]]
    by = {"column": "plate", "covariance": True}
    own = {name: column[:8] for name, column in data.items() if name != "plate"}
    for absolute in (False, True):
        asked = {"model": "od = a + b*conc", "sigma": "s", "sigma_absolute": absolute}
        job = fitted(service, **asked, data=data, group_by=by)["job_id"]
        one = fitted(service, **asked, data=own)["predict"]
        found = inverted(service, {"job_id": job}, data={"plate": ["P1"], "od": [0.6]}, sigma=0.03)
        alone = inverted(service, one, data={"od": [0.6]}, sigma=0.03)
        for name in ("estimate", "stderr", "lower", "upper"):
            assert found[name] == pytest.approx(alone[name], rel=1e-6)


def test_groups_without_covariance_have_estimates_only(service: httpx.Client) -> None:
    job = fitted(service, model="od = a + b*conc", data=of_plates(), group_by="plate")["job_id"]
    request = {"job_id": job, "data": {"plate": ["P2"], "od": [0.65]}}
    found = inverted(service, request)
    assert found["interval"]["kind"] == "none"
    assert found["estimate"] == [pytest.approx(1.0, abs=0.1)]
    at, why = refused(service, request, interval="wald")
    assert at == "/interval"
    assert '"covariance": true' in why


def test_each_plate_has_its_own_limits(service: httpx.Client, plates: str) -> None:
    found = inverted(service, {"job_id": plates}, data=of_plates())
    assert found["limits"] == {
        "group": ["P1", "P2", "P3"], "lloq": [0.5] * 3, "uloq": [4.0] * 3,
    }  # fmt: skip
    assert found["lloq"] is None
    assert found["calibrators"]["group"] == ["P1"] * 4 + ["P2"] * 4 + ["P3"] * 4


# --- forms ----------------------------------------------------------------------------------------


def test_the_plate_readers_file_in_and_the_table_out(service: httpx.Client, plates: str) -> None:
    body = "plate;sample;dilution;od\nP1;001;1;0.70\nP1;001;1;0.72\nP2;1;10;0.9\n"
    answer = service.post(
        f"/invert?job_id={plates}&format=csv", content=body, headers={"Content-Type": "text/csv"}
    )
    rows = table(answer)
    assert [(row["plate"], row["sample"], row["n"]) for row in rows] == [
        ("P1", "001", "2"), ("P2", "1", "1"),
    ]  # fmt: skip
    assert float(rows[1]["estimate"]) == pytest.approx(20, rel=0.1)
    assert float(rows[1]["lower"]) < float(rows[1]["estimate"]) < float(rows[1]["upper"])
    assert list(rows[0]) == [
        "plate", "sample", "n", "mean", "dilution", "estimate", "stderr", "lower", "upper",
        "status", "detail",
    ]  # fmt: skip


def test_every_form_of_answer(service: httpx.Client, ryegrass: Any) -> None:
    data = {
        name: [*column, None if name == "x" else 5.0] for name, column in ryegrass["data"].items()
    }
    made = {
        form: service.post(f"/invert?format={form}", json={**ryegrass, "data": data})
        for form in ("csv", "text", "oneline", "arrow")
    }
    rows = table(made["csv"])
    assert [row["nominal"] for row in rows] == [
        "",
        "0.0",
        "0.94",
        "1.88",
        "3.75",
        "7.5",
        "15.0",
        "30.0",
    ]
    assert (rows[0]["lloq"], rows[0]["uloq"]) == ("0.94", "7.5")
    arrow = pa.ipc.open_stream(made["arrow"].content).read_all()
    assert arrow.column_names == list(rows[0])
    assert arrow["nominal"].null_count == 1
    assert "Limits of quantification: 0.94 to 7.5." in made["text"].text
    assert made["oneline"].text.startswith("row=25 x=2.60±")


# --- bounds ---------------------------------------------------------------------------------------


def test_ten_thousand_readings(service: httpx.Client, ryegrass: Any) -> None:
    readings = [1.0 + 6.0 * i / 9999 for i in range(10_000)]
    found = inverted(service, ryegrass, data={"y": readings})
    assert set(found["status"]) == {"ok", "unbounded"}
    x = {"x": found["estimate"]}
    again = service.post("/predict", json={**ryegrass, "data": x}).json()["predictions"]
    assert again == pytest.approx(readings, rel=1e-9)


def test_what_has_no_meaning_is_refused(service: httpx.Client) -> None:
    network = {"model": "mlp", "params": {"a": 1.0}, "data": {"y": [1]}}
    assert refused(service, network)[0] == "/model"
    known = {**LINE, "data": {"y": [5]}}
    assert refused(service, known, interval="wald")[0] == "/interval"
    assert refused(service, known, sigma=0.1)[0] == "/sigma"
    assert refused(service, known, range=[5, 1])[0] == "/range"
    assert refused(service, known, solve_for="z")[0] == "/solve_for"
    assert refused(service, known, replicates_by="tube")[0] == "/replicates_by"
    assert refused(service, {**known, "input_range": None})[0] == "/range"
    assert refused(service, {**known, "data": {"x": [1]}})[0] == "/data"
    assert refused(service, {**known, "interval": "bayes"})[0] == "/interval"
    at, why = refused(service, {**known, "data": {"y": [5, None]}})
    assert at == "/data/y/1"
    assert "missing" in why
    dropped = inverted(service, {**known, "data": {"y": [5, None]}}, missing="drop")
    assert dropped["estimate"] == [2]


def test_a_flat_curve_has_no_estimate(service: httpx.Client) -> None:
    flat = {**LINE, "params": {"a": 1.0, "b": 0.0}}
    found = inverted(service, flat, data={"y": [1.0, 2.0]})
    assert found["estimate"] == [None, None]
    assert found["status"] == ["not_monotone", "above_curve"]
    assert found["roots"] == [[0.0, 10.0], None]


def test_a_reading_of_the_end_of_the_curve_is_there(service: httpx.Client) -> None:
    line = {**LINE, "params": {"a": 1.0000000000000004, "b": 2.0}}
    assert inverted(service, line, data={"y": [1.0]})["estimate"] == [0.0]


@pytest.mark.parametrize("ends", [[-1e308, 1e308], [0, 1e300], [-1e12, 1e12]])
def test_a_wide_range_finds_the_same_unknown(service: httpx.Client, ends: list[float]) -> None:
    found = inverted(service, LINE, data={"y": [8.0]}, range=ends)
    assert found["estimate"] == [pytest.approx(3.5, rel=1e-12)]


def test_an_estimate_without_an_error_says_why(service: httpx.Client) -> None:
    found = inverted(service, LINE, data={"y": [8.0]})
    assert (found["stderr"], found["status"]) == ([None], ["ok"])
    assert "`covariance`" in found["detail"][0]


def test_an_unknown_without_a_dilution_is_refused(service: httpx.Client) -> None:
    at, why = refused(service, LINE, data={"y": [8.0, 9.0], "dilution": [10, None]})
    assert at == "/data/dilution/1"
    assert "write 1" in why
    data = {"y": [8.0, 9.0], "x": [None, 4], "dilution": [10, None]}
    assert inverted(service, LINE, data=data)["estimate"] == [pytest.approx(35)]


@pytest.mark.parametrize(
    ("rows", "at"),
    [
        ([[-1, 0], [0, 1]], "/covariance/a/a"),
        ([[1, 2], [2, 1]], "/covariance"),
        ([[1, 0.5], [0, 1]], "/covariance"),
    ],
)
def test_what_is_no_covariance_is_refused(
    service: httpx.Client, rows: list[list[float]], at: str
) -> None:
    matrix = {a: dict(zip("ab", row, strict=True)) for a, row in zip("ab", rows, strict=True)}
    known = {"covariance": matrix, "degrees_of_freedom": 8, "residual_std": 1.0}
    assert refused(service, {**LINE, **known}, data={"y": [8.0]})[0] == at
    body = {**LINE, **known, "data": {"x": [1]}, "interval": "confidence"}
    answer = service.post("/predict", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, at)
