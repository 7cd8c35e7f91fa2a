"""Errors in the inputs over HTTP: published cases, forms of a request, and what is refused.

The figures are those of ODRPACK's guides and of York; `GET /certify` has them all. They were
computed again with SciPy's odr.
"""

from __future__ import annotations

import csv
import math
from typing import Any

import httpx
import pytest

from service.certification.case import LABORATORY


def columns(name: str) -> dict[str, list[float]]:
    with (LABORATORY / name).open() as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def york(**more: Any) -> dict[str, Any]:
    return {
        "model": "y = a + b*x",
        "data": columns("pearson_york.csv"),
        "sigma": "sigma_y",
        "sigma_absolute": True,
        "sigma_x": {"x": "sigma_x"},
        **more,
    }


def guide(**more: Any) -> dict[str, Any]:
    return {
        "model": "y = b1 + b2*(exp(b3*x) - 1)**2",
        "data": columns("odrpack1.csv"),
        "sigma_x": {"x": "sigma_x"},
        **more,
    }


def fitted(service: httpx.Client, request: dict[str, Any]) -> Any:
    answer = service.post("/fit", json=request)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_example_1_of_odrpack_to_its_printed_digits(service: httpx.Client) -> None:
    fit = fitted(service, guide())
    assert fit["converged"]
    assert [f"{value:.7g}" for value in fit["params"].values()] == [
        "1264.655", "-54.01839", "-0.08784985",
    ]  # fmt: skip
    errors = fit["statistics"]["stderr"].values()
    assert [f"{value:.7g}" for value in errors] == ["1.034927", "1.583997", "0.006332219"]
    found = fit["errors_in_x"]
    assert found["sum_of_squares"] == pytest.approx(21.4455017, abs=5e-8)
    assert fit["loss"] * 12 == pytest.approx(found["sum_of_squares"], rel=1e-12)
    assert found["of_target"] + found["of_inputs"] == pytest.approx(found["sum_of_squares"])
    exact = [error for error, s in zip(found["delta"]["x"], columns("odrpack1.csv")["sigma_x"],
                                       strict=True) if s == 0]  # fmt: skip
    assert exact == [0.0, 0.0, 0.0]
    missing = ("r_squared", "adjusted_r_squared", "aic", "aicc", "bic")
    assert [fit["statistics"][name] for name in missing] == [None] * 5


def test_yorks_line_is_not_that_of_frozen_effective_variances(service: httpx.Client) -> None:
    fit = fitted(service, york())
    assert fit["params"]["b"] == pytest.approx(-0.480533, abs=5e-7)  # frozen: -0.463449
    assert fit["params"]["a"] == pytest.approx(5.479910, abs=5e-7)
    assert fit["statistics"]["stderr"]["b"] == pytest.approx(0.057985, abs=5e-7)
    assert fit["errors_in_x"]["sum_of_squares"] == pytest.approx(11.866353, abs=5e-7)


def test_example_5_of_odrpack_ends_at_the_minimum_within_its_bounds(service: httpx.Client) -> None:
    limits = {"b1": {"min": 0, "max": 10}, "b2": {"min": 0, "max": 0.9}}
    request = {"model": "y = b1*exp(b2*x)", "data": columns("odrpack5.csv"), "sigma_x": {"x": 1}}
    fit = fitted(service, {**request, "params": limits})
    assert fit["params"] == {"b1": pytest.approx(1.4399815, abs=5e-8), "b2": 0.9}
    assert fit["errors_in_x"]["sum_of_squares"] == pytest.approx(0.1918681, abs=5e-8)
    codes = {found["code"] for found in fit["diagnostics"]}
    assert "at_bound" in codes
    assert "better_minimum" not in codes  # beyond the bound


def test_csv_and_its_query_give_the_same_fit(service: httpx.Client) -> None:
    data = (LABORATORY / "pearson_york.csv").read_bytes()
    whole = fitted(service, york())
    for given in ("sigma_x.x=sigma_x", "sigma_x=x:sigma_x"):
        answer = service.post(
            f"/fit?model=y~a%2Bb*x&sigma=sigma_y&sigma_absolute=true&{given}",
            content=data,
            headers={"Content-Type": "text/csv"},
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["params"] == whole["params"]


def test_a_family_does_not_take_the_column_of_errors_for_an_input(service: httpx.Client) -> None:
    fit = fitted(service, york(model="linear"))
    assert fit["model"]["inputs"] == ["x"]
    assert fit["params"]["w"] == pytest.approx(-0.480533, abs=5e-7)


def test_scaled_inputs_give_the_same_fit_and_errors_in_raw_units(service: httpx.Client) -> None:
    plain, scaled = fitted(service, york()), fitted(service, york(scaling="standardize"))
    raw = scaled["params_unscaled"]["values"]
    assert raw == {name: pytest.approx(v, rel=1e-8) for name, v in plain["params"].items()}
    assert scaled["errors_in_x"]["delta"]["x"] == pytest.approx(
        plain["errors_in_x"]["delta"]["x"], rel=1e-6
    )


def test_rows_and_missing_values_take_the_errors_with_them(service: httpx.Client) -> None:
    data: dict[str, Any] = columns("pearson_york.csv")
    some = {name: column[2:] for name, column in data.items()}
    alone = fitted(service, york(data=some))
    assert fitted(service, york(rows="x > 1"))["params"] == alone["params"]
    holed = {**data, "sigma_x": [None, None, *data["sigma_x"][2:]]}
    dropped = fitted(service, york(data=holed, missing="drop"))
    assert dropped["params"] == alone["params"]
    assert dropped["dropped"]["count"] == 2


def test_groups_are_as_alone(service: httpx.Client) -> None:
    data: dict[str, Any] = columns("pearson_york.csv")
    doubled = {name: [*column, *column[3:]] for name, column in data.items()}
    doubled["run"] = ["one"] * 10 + ["two"] * 7
    groups = fitted(service, york(data=doubled, group_by="run"))["groups"]
    for place, rows in enumerate((slice(None), slice(3, None))):
        alone = fitted(service, york(data={name: c[rows] for name, c in data.items()}))
        for name in ("a", "b"):
            assert groups["params"][name][place] == alone["params"][name]
            stderr = alone["statistics"]["stderr"][name]
            assert groups["stderr"][name][place] == pytest.approx(stderr, rel=1e-12)
    assert groups["r_squared"] == [None, None]


def test_profile_intervals_ties_and_reports(service: httpx.Client) -> None:
    fit = fitted(
        service,
        york(
            model="y = a + b*x",
            confidence_interval={"method": "profile"},
            report={"crossing": {"expr": "-a/b", "method": "profile"}},
        ),
    )
    interval = fit["statistics"]["confidence_interval"]
    assert interval["method"] == "profile"
    assert interval["lower"]["b"] < fit["params"]["b"] < interval["upper"]["b"]
    # Not symmetric: the direction of a line is not a linear param of distances.
    below = fit["params"]["b"] - interval["lower"]["b"]
    above = interval["upper"]["b"] - fit["params"]["b"]
    assert not math.isclose(below, above, rel_tol=1e-2)
    crossing = fit["report"]["crossing"]
    assert crossing["lower"] < crossing["value"] < crossing["upper"]
    tied = fitted(
        service, york(model="y = a*(1 - x/c)", params={"a": {"expr": "-b*c"}, "b": -0.5, "c": 11})
    )
    assert tied["params"]["b"] == pytest.approx(fit["params"]["b"], rel=1e-8)


def test_the_report_and_the_picture_say_it(service: httpx.Client) -> None:
    text = service.post("/fit", json=york(), headers={"Accept": "text/plain"}).text
    assert "Sum of squares 11.8664: 9.4245 from y, 2.44186 from the errors of the inputs." in text
    fit = fitted(service, york())
    picture = service.get(fit["urls"]["plot"])
    assert picture.status_code == 200, picture.text
    path = service.get(fit["urls"]["plot"].replace("fit.svg", "path.svg"))
    assert path.status_code == 200, path.text
    predicted = service.post(
        "/predict", json={**fit["predict"], "data": {"x": [1.0, 2.0]}, "interval": "confidence"}
    )
    assert predicted.status_code == 200, predicted.text


@pytest.mark.parametrize(
    ("more", "pointer", "says"),
    [
        ({"sigma_x": {"z": 1}}, "/sigma_x/z", "unknown input 'z'"),
        ({"sigma_x": {"x": "none"}}, "/sigma_x/x", "unknown column 'none'"),
        ({"sigma_x": {"x": -1}}, "/sigma_x/x", "at least 0"),
        ({"sigma_x": {"x": "y_minus"}}, "/data/y_minus/0", "0 is exact"),
        ({"loss": "huber"}, "/loss", "'mse'"),
        ({"optimizer": "lbfgs"}, "/optimizer", "use 'auto'"),
        ({"covariance": "sandwich"}, "/covariance", "'expected'"),
        ({"dtype": "float32"}, "/dtype", "'float64'"),
        ({"group_by": {"column": "g", "shared": ["b"]}}, "/sigma_x", "omit `sigma_x`"),
        ({"group_by": {"column": "g", "noise": "pooled"}}, "/sigma_x", "omit `sigma_x`"),
        ({"sigma": {"expr": "0.1*pred"}}, "/sigma", "a column or a number"),
        ({"outliers": "rout"}, "/outliers", "exact inputs"),
        ({"coverage": {"simulate": 100}}, "/coverage", "exact inputs"),
        (
            {"confidence_interval": {"method": "bootstrap"}},
            "/confidence_interval/method",
            "profile",
        ),
        ({"model": {"name": "mlp", "inputs": ["x"], "target": "y"}}, "/sigma_x", "networks"),
    ],
)
def test_what_it_cannot_have_is_refused(
    service: httpx.Client, more: dict[str, Any], pointer: str, says: str
) -> None:
    data: dict[str, Any] = columns("pearson_york.csv")
    data |= {"g": ["p"] * 5 + ["q"] * 5, "y_minus": [-1.0] * 10}
    answer = service.post("/fit", json=york(data=data) | more)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert says in error["detail"]


def test_counts_have_exact_inputs(service: httpx.Client) -> None:
    data = {"x": [1, 2, 3, 4, 5], "y": [9, 7, 4, 4, 2]}
    body = {"model": "y = a*exp(-b*x)", "data": data, "likelihood": "poisson", "sigma_x": {"x": 1}}
    answer = service.post("/fit", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == "/sigma_x"


def test_a_comparison_has_exact_inputs(service: httpx.Client) -> None:
    body = {"models": ["y = a + b*x"], "data": columns("pearson_york.csv"), "sigma_x": {"x": 1}}
    answer = service.post("/compare", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == "/sigma_x"
