"""Priors and constraints over HTTP: a certified case, sequential calibration, groups, the order of
params, and refusals."""

from __future__ import annotations

import json
import math
from typing import Any

import httpx
import numpy as np
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

LINE: dict[str, list[float]] = {"x": [0, 1, 2, 3, 4], "y": [1.1, 2.9, 5.2, 6.8, 9.1]}
KNOWN = {"model": "y = a + b*x", "data": LINE, "sigma": 0.2, "sigma_absolute": True}
PRIOR = {"mean": 1.9, "sd": 0.05}
DECAYS = "y = a*exp(-k1*x) + b*exp(-k2*x)"


async def fit(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post("/fit", json={**KNOWN, **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def refused(client: httpx.AsyncClient, **body: Any) -> tuple[str, str]:
    """The pointer and the detail of the error of a request."""
    answer = await client.post("/fit", json={**KNOWN, **body})
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    return error["pointer"], error["detail"]


def codes(found: dict[str, Any]) -> set[str]:
    return {each["code"] for each in found["diagnostics"]}


def half(which: slice) -> dict[str, Any]:
    return {name: column[which] for name, column in LINE.items()}


def decays() -> dict[str, list[float]]:
    x = np.linspace(0, 10, 60)
    noise = 0.02 * np.random.default_rng(0).normal(size=60)
    return {"x": x.tolist(), "y": (3 * np.exp(-0.3 * x) + 2 * np.exp(-2 * x) + noise).tolist()}


@pytest.mark.parametrize("optimizer", ["auto", "levenberg_marquardt", "lbfgs"])
async def test_the_certified_case(client: httpx.AsyncClient, optimizer: str) -> None:
    found = await fit(client, params={"b": {"prior": PRIOR}}, optimizer=optimizer)
    assert found["params"] == pytest.approx({"a": 1.150769, "b": 1.934615}, abs=6e-7)
    assert found["statistics"]["stderr"] == pytest.approx({"a": 0.118970, "b": 0.039223}, abs=6e-7)
    assert (found["statistics"]["n"], found["statistics"]["degrees_of_freedom"]) == (5, 3)
    assert found["statistics"]["aic"] is None
    assert found["prior"]["chi_squared"] == pytest.approx((0.034615 / 0.05) ** 2, abs=1e-4)
    assert found["prior"]["params"]["b"]["share"] == pytest.approx(1 / 2.6)
    chi = sum(
        ((found["params"]["a"] + found["params"]["b"] * x - y) / 0.2) ** 2
        for x, y in zip(LINE["x"], LINE["y"], strict=True)
    )
    assert found["loss"] * 6 == pytest.approx(chi + found["prior"]["chi_squared"])
    assert found["statistics"]["reduced_chi_squared"] * 3 == pytest.approx(chi)


async def test_the_same_by_csv(client: httpx.AsyncClient) -> None:
    rows = "x,y\n" + "\n".join(f"{x},{y}" for x, y in zip(LINE["x"], LINE["y"], strict=True))
    options = (
        "model=y~a+b*x&sigma=0.2&sigma_absolute=true&params.b.prior.mean=1.9"
        "&params.b.prior.sd=0.05&constraints=a%3Cb"
    )
    answer = await client.post(
        f"/fit?{options}", content=rows, headers={"content-type": "text/csv"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["params"]["b"] == pytest.approx(1.934615, abs=1e-6)


async def test_half_as_prior_of_the_other_half_is_the_fit_of_all(client: httpx.AsyncClient) -> None:
    first = await fit(client, data=half(slice(0, 3)))
    second = await fit(client, data=half(slice(3, 5)), prior=first["predict"])
    whole = await fit(client)
    assert second["params"] == pytest.approx(whole["params"], rel=1e-9)
    for name, row in whole["statistics"]["covariance"].items():
        assert second["statistics"]["covariance"][name] == pytest.approx(row, rel=1e-9)
    joint = {"mean": first["params"], "covariance": first["statistics"]["covariance"]}
    assert (await fit(client, data=half(slice(3, 5)), prior=joint))["params"] == second["params"]


async def test_a_document_in_the_body_of_a_csv(client: httpx.AsyncClient) -> None:
    first = await fit(client, data=half(slice(0, 3)))
    answer = await client.post(
        "/fit",
        params={
            "model": "y=a+b*x", "sigma": "0.2", "sigma_absolute": "true",
            "prior": json.dumps(first["predict"]),
        },
        content="x,y\n3,6.8\n4,9.1\n",
        headers={"content-type": "text/csv"},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert answer.json()["params"] == pytest.approx((await fit(client))["params"], rel=1e-9)


async def test_groups_have_the_prior_each(client: httpx.AsyncClient) -> None:
    data = {"x": LINE["x"] * 2, "y": LINE["y"] * 2, "g": ["one"] * 5 + ["two"] * 5}
    found = await fit(client, data=data, group_by="g", params={"b": {"prior": PRIOR}})
    for name, value, error in (("a", 1.150769, 0.118970), ("b", 1.934615, 0.039223)):
        assert found["groups"]["params"][name] == pytest.approx([value] * 2, abs=6e-7)
        assert found["groups"]["stderr"][name] == pytest.approx([error] * 2, abs=6e-7)


@pytest.mark.parametrize("profile", [False, True])
async def test_a_prior_of_a_shared_param_counts_once(
    client: httpx.AsyncClient, *, profile: bool
) -> None:
    """As in the dense problem, of which the prior is one row."""
    x, y, g = [0, 1, 2, 0, 1, 2], [1.1, 2.9, 5.2, 2.2, 3.8, 6.1], ["p"] * 3 + ["q"] * 3
    rows = [[g[i] == "p", g[i] == "q", x[i]] for i in range(6)]
    matrix = np.array([[each / 0.2 for each in row] for row in rows] + [[0, 0, 1 / 0.05]])
    right = np.array([each / 0.2 for each in y] + [1.9 / 0.05])
    expected = np.linalg.lstsq(matrix, right, rcond=None)[0]
    covariance = np.linalg.inv(matrix.T @ matrix)
    found = await fit(
        client,
        data={"x": x, "y": y, "g": g},
        group_by={"column": "g", "shared": ["b"]},
        params={"b": {"prior": PRIOR}},
        confidence_interval={"method": "profile" if profile else "t"},
    )
    error = float(np.sqrt(covariance[2, 2]))
    assert found["groups"]["params"]["a"] == pytest.approx(expected[:2].tolist(), rel=1e-9)
    local = np.sqrt(np.diag(covariance))[:2].tolist()
    assert found["groups"]["stderr"]["a"] == pytest.approx(local, rel=1e-9)
    shared = found["shared"]
    assert shared["params"]["b"] == pytest.approx(expected[2], rel=1e-9)
    assert shared["stderr"]["b"] == pytest.approx(error, rel=1e-9)
    upper = shared["confidence_interval"]["upper"]["b"]
    assert upper == pytest.approx(expected[2] + 1.959963985 * error, rel=1e-7)


async def test_a_prior_of_a_local_param_counts_in_each_group(client: httpx.AsyncClient) -> None:
    x, y, g = [0, 1, 2, 0, 1, 2], [1.1, 2.9, 5.2, 2.2, 3.8, 6.1], ["p"] * 3 + ["q"] * 3
    by = {"column": "g", "shared": ["b"]}
    found = await fit(
        client, data={"x": x, "y": y, "g": g}, group_by=by, params={"a": {"prior": PRIOR}}
    )
    rows = [[g[i] == "p", g[i] == "q", x[i]] for i in range(6)]
    known = [[1 / 0.05, 0, 0], [0, 1 / 0.05, 0]]
    matrix = np.array([[each / 0.2 for each in row] for row in rows] + known)
    right = np.array([each / 0.2 for each in y] + [1.9 / 0.05] * 2)
    expected = np.linalg.lstsq(matrix, right, rcond=None)[0].tolist()
    assert found["groups"]["params"]["a"] == pytest.approx(expected[:2], rel=1e-9)
    matrix_of_both = {"a": {"a": 1, "b": 0.5}, "b": {"a": 0.5, "b": 1}}
    mixed = {"mean": {"a": 1, "b": 2}, "covariance": matrix_of_both}
    data = {"x": x, "y": y, "g": g}
    assert (await refused(client, data=data, group_by=by, prior=mixed))[0] == "/prior"


async def test_a_prior_of_a_tied_param(client: httpx.AsyncClient) -> None:
    tied = {"c": {"expr": "2*b", "prior": {"mean": 3.8, "sd": 0.1}}, "b": 2.0, "a": 1.0}
    found = await fit(client, model="y = a + c*x/2", params=tied)
    assert found["params"]["b"] == pytest.approx(1.934615, abs=1e-6)
    assert found["statistics"]["stderr"]["b"] == pytest.approx(0.039223, abs=1e-6)


async def test_the_profile_of_a_linear_model_is_its_interval(client: httpx.AsyncClient) -> None:
    asked = {"params": {"b": {"prior": PRIOR}}, "confidence_interval": {"method": "profile"}}
    found = (await fit(client, **asked))["statistics"]["confidence_interval"]
    assert found["upper"]["b"] == pytest.approx(1.9346154 + 1.959964 * 0.0392232, rel=1e-6)


async def test_a_nonlinear_fit_with_a_prior(client: httpx.AsyncClient) -> None:
    """At its minimum the gradient of χ² with the prior is 0."""
    data = decays()
    prior = {"k2": {"value": 1.0, "prior": {"mean": 2.2, "sd": 0.03}}, "k1": 0.3, "a": 3, "b": 2}
    found = await fit(client, model=DECAYS, data=data, sigma=0.02, params=prior)
    assert found["converged"]
    assert "not_converged" not in codes(found)
    a, b, k1, k2 = (found["params"][name] for name in ("a", "b", "k1", "k2"))
    x, y = np.array(data["x"]), np.array(data["y"])
    off = (a * np.exp(-k1 * x) + b * np.exp(-k2 * x) - y) / 0.02**2
    slope = float((off * -b * x * np.exp(-k2 * x)).sum()) + (k2 - 2.2) / 0.03**2
    assert abs(slope) < 1e-4 / 0.03


async def test_what_the_data_say_of_a_prior(client: httpx.AsyncClient) -> None:
    assert not codes(await fit(client, params={"b": {"prior": PRIOR}}))
    conflict = await fit(client, params={"b": {"prior": {"mean": 1.0, "sd": 0.05}}})
    assert codes(conflict) == {"prior_conflict"}
    assert conflict["verdict"] == "doubtful"
    decided = await fit(client, params={"b": {"prior": {"mean": 2.0, "sd": 0.001}}})
    assert codes(decided) == {"prior_decides"}
    assert decided["verdict"] == "trustworthy"


async def test_the_report(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/fit",
        json={**KNOWN, "params": {"b": {"prior": PRIOR}}},
        headers={"accept": "text/plain"},
    )
    assert "Prior\n" in answer.text


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"sigma": None, "sigma_absolute": False}, "/sigma"),
        ({"sigma_absolute": False}, "/sigma_absolute"),
        ({"loss": {"name": "huber", "delta": 1.0}}, "/params/b/prior"),
        ({"scaling": "standardize"}, "/scaling"),
        ({"covariance": "sandwich"}, "/covariance"),
        ({"confidence_interval": {"method": "bootstrap"}}, "/confidence_interval/method"),
        ({"outliers": "rout"}, "/outliers"),
        ({"sigma_x": {"x": 0.1}}, "/sigma_x"),
        ({"report": {"r": {"expr": "a/b", "method": "profile"}}}, "/report/r/method"),
        ({"params": {"b": {"value": 2, "fixed": True, "prior": PRIOR}}}, "/params/b/prior"),
        ({"params": {"q": {"prior": PRIOR}}}, "/params/q"),
        ({"prior": {"mean": {"q": 1}, "covariance": {"q": {"q": 1}}}}, "/prior/mean/q"),
        ({"prior": {"mean": {"b": 1}, "covariance": {"b": {"b": 1}}}}, "/params/b/prior"),
        ({"prior": {"mean": {"a": 1}, "covariance": {"a": {"a": 0}}}}, "/prior/covariance/a/a"),
        ({"prior": {"mean": {"a": 1}, "covariance": {"b": {"b": 1}}}}, "/prior/covariance"),
        ({"params": {"b": {"prior": {"mean": 1, "sd": 0}}}}, "/params/b/prior/sd"),
    ],
)
async def test_refused_priors(client: httpx.AsyncClient, body: Any, pointer: str) -> None:
    found, detail = await refused(client, **{"params": {"b": {"prior": PRIOR}}, **body})
    assert found == pointer, detail


async def test_an_indefinite_covariance_is_refused(client: httpx.AsyncClient) -> None:
    matrix = {"a": {"a": 1, "b": 1}, "b": {"a": 1, "b": 1}}
    prior = {"mean": {"a": 1, "b": 2}, "covariance": matrix}
    assert (await refused(client, prior=prior))[0] == "/prior/covariance"


async def test_models_are_compared_without_priors(client: httpx.AsyncClient) -> None:
    models = [{"model": "y = a + b*x", "params": {"b": {"prior": PRIOR}}}, "y = a"]
    answer = await client.post("/compare", json={"models": models, "data": LINE})
    assert answer.status_code == 422
    assert "without a prior" in answer.text


@pytest.mark.parametrize("constraint", ["k2 < k1", "k1 > k2", "0 <= k2 < k1"])
async def test_an_order_chooses_between_equal_minima(
    client: httpx.AsyncClient, constraint: str
) -> None:
    given = {"k1": 0.3, "k2": 2.0, "a": 3.0, "b": 2.0}
    asked = {"model": DECAYS, "data": decays(), "sigma": 0.02, "params": given}
    free = await fit(client, **asked)
    found = await fit(client, **asked, constraints=[constraint])
    assert free["params"]["k2"] > 1 > found["params"]["k2"]
    assert found["loss"] == pytest.approx(free["loss"], rel=1e-9)
    for one, other in (("k1", "k2"), ("k2", "k1"), ("a", "b"), ("b", "a")):
        assert found["params"][one] == pytest.approx(free["params"][other], rel=1e-6)
        errors = found["statistics"]["stderr"], free["statistics"]["stderr"]
        assert errors[0][one] == pytest.approx(errors[1][other], rel=1e-5)
    assert set(found["params"]) == set(given)
    assert "at_constraint" not in codes(found)


async def test_an_active_constraint(client: httpx.AsyncClient) -> None:
    """The fit is that of equal params."""
    found = await fit(client, constraints=["b < a"])
    equal = await fit(client, params={"b": {"expr": "a"}})
    assert found["params"] == pytest.approx(equal["params"], rel=1e-9)
    assert found["params"]["a"] == found["params"]["b"]
    assert "at_constraint" in codes(found)
    assert "not_converged" not in codes(found)
    assert found["verdict"] == "doubtful"
    last = {name: column[-1] for name, column in found["history"]["params"].items()}
    assert last == found["params"]


async def test_a_constraint_with_a_number_is_a_bound(client: httpx.AsyncClient) -> None:
    found = await fit(client, constraints=["b < 1.5"])
    assert found["params"]["b"] == 1.5
    (bound,) = [each for each in found["diagnostics"] if each["code"] == "at_bound"]
    assert "`b < 1.5`" in bound["message"]
    assert bound["suggestion"] is None


async def test_a_chain_and_a_tree(client: httpx.AsyncClient) -> None:
    model = "y = a + b*x + c*x**2 + d*x**3"
    chain = await fit(client, model=model, constraints=["a < b < c", "a < c"])
    found = chain["params"]
    assert found["a"] <= found["b"] <= found["c"]
    tree = await fit(client, model=model, constraints=["a > b", "a > c > -1"])
    found = tree["params"]
    assert found["b"] <= found["a"]
    assert -1 <= found["c"] <= found["a"]


async def test_a_constraint_and_a_prior(client: httpx.AsyncClient) -> None:
    prior = {"b": {"prior": PRIOR}}
    free = await fit(client, params=prior)
    found = await fit(client, params=prior, constraints=["a < b"])
    assert found["params"] == pytest.approx(free["params"], rel=1e-8)
    held = await fit(client, params=prior, constraints=["b < a"])
    total = sum(x for x in ((1 + x) ** 2 / 0.04 for x in LINE["x"])) + 1 / 0.05**2
    right = sum((1 + x) * y / 0.04 for x, y in zip(LINE["x"], LINE["y"], strict=True))
    assert held["params"]["a"] == pytest.approx((right + 1.9 / 0.05**2) / total, rel=1e-9)
    assert math.isfinite(held["loss"])


async def test_constraints_of_groups(client: httpx.AsyncClient) -> None:
    data = decays()
    twice = {"x": data["x"] * 2, "y": data["y"] * 2, "g": [1] * 60 + [2] * 60}
    by = {"column": "g", "history": True}
    found = await fit(
        client, model=DECAYS, data=twice, sigma=0.02, group_by=by, constraints=["k2 < k1"]
    )
    params = found["groups"]["params"]
    assert all(k2 < 1 < k1 for k1, k2 in zip(params["k1"], params["k2"], strict=True))
    assert found["groups"]["history"][1]["params"]["k1"][-1] == found["groups"]["params"]["k1"][1]


@pytest.mark.parametrize(
    ("constraints", "body", "pointer"),
    [
        (["a < b", "b < a"], {}, "/constraints"),
        (["a < b < c < a"], {}, "/constraints"),
        (["a < q"], {}, "/constraints/0"),
        (["a + b"], {}, "/constraints/0"),
        (["a < "], {}, "/constraints/0"),
        (["1 < 2"], {}, "/constraints/0"),
        (["a < a"], {}, "/constraints/0"),
        (["a < b", "a < b/2"], {}, "/constraints/1"),
        (["a < b", "a > 3", "b < 2"], {}, "/constraints/0"),
        (["3 < a < 2"], {}, "/constraints/0"),
        (["a < b < d", "a < c < d"], {}, "/constraints/0"),
        (["a < b"], {"scaling": "standardize"}, "/scaling"),
        (["a < b"], {"sigma_x": {"x": 0.1}}, "/sigma_x"),
        (["a < b"], {"confidence_interval": {"method": "profile"}}, "/confidence_interval/method"),
        (["a < b"], {"params": {"b": {"expr": "2*c"}}}, "/constraints/0"),
    ],
)
async def test_refused_constraints(
    client: httpx.AsyncClient, constraints: list[str], body: Any, pointer: str
) -> None:
    asked = {"model": "y = a + b*x + c*x**2 + d*x**3", "constraints": constraints, **body}
    found, detail = await refused(client, **asked)
    assert found == pointer, detail
