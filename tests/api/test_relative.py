"""Quantities relative to a reference group: published ratios, the dense problem, refusals."""

from __future__ import annotations

import math
from typing import Any

import httpx
import numpy as np
import pytest

from tests.api.fits import fit
from tests.api.test_compare import columns

pytestmark = pytest.mark.asyncio(loop_scope="module")

PUROMYCIN = columns("puromycin.csv")
RATE = "rate = Vm*conc/(K + conc)"
POTENCY = "y = c + (d - c)/(1 + (x/e)**b)"


def assay() -> dict[str, list[Any]]:
    """Three compounds with potencies 1, 3 and 0.2."""
    dose = np.repeat(10.0 ** np.arange(-2, 3), 3)
    noise, data = np.random.default_rng(3), {"x": [], "y": [], "drug": []}  # type: ignore[var-annotated]
    for name, e in (("standard", 1.0), ("strong", 1 / 3), ("weak", 5.0)):
        y = 2 + 90 / (1 + (dose / e) ** 1.2) + noise.normal(0, 3, len(dose))
        data["x"] += dose.tolist()
        data["y"] += y.tolist()
        data["drug"] += [name] * len(dose)
    return data


async def test_puromycin(client: httpx.AsyncClient) -> None:
    by = {"column": "state", "shared": ["K"], "relative_to": "untreated"}
    found = await fit(client, data=PUROMYCIN, model=RATE, group_by=by)
    ratio = found["groups"]["report"]["Vm_ratio"]
    assert ratio["value"][0] == pytest.approx(1.252251, abs=5e-7)
    assert ratio["stderr"][0] == pytest.approx(0.043041, abs=5e-7)
    assert (ratio["value"][1], ratio["stderr"][1]) == (1.0, "NaN")
    assert ratio["reason"] == [None, "it is the reference"]
    assert "K_ratio" not in found["groups"]["report"]


T_39 = 2.0226909200367604  # the 97.5 % quantile of Student's t with 39 degrees; R: qt(0.975, 39)


def dense(data: dict[str, list[Any]], params: dict[str, Any]) -> np.ndarray:
    """The covariance of b, c, d and e of each compound by the dense Jacobian."""
    x, keys = np.array(data["x"]), list(dict.fromkeys(data["drug"]))
    y, of = np.array(data["y"]), np.array([keys.index(name) for name in data["drug"]])
    theta = np.array([params["b"], params["c"], params["d"], *params["e"]])

    def f(p: np.ndarray) -> np.ndarray:
        return p[1] + (p[2] - p[1]) / (1 + (x / p[3 + of]) ** p[0])  # type: ignore[no-any-return]

    jacobian = np.empty((len(x), len(theta)))
    for i in range(len(theta)):
        step = np.zeros(len(theta))
        step[i] = 1e-6 * abs(theta[i])
        jacobian[:, i] = (f(theta + step) - f(theta - step)) / (2 * step[i])
    degrees = len(x) - len(theta)
    variance = float(np.square(y - f(theta)).sum()) / degrees
    assert degrees == 39
    return variance * np.linalg.inv(jacobian.T @ jacobian)


async def test_relative_potency_is_that_of_the_dense_problem(client: httpx.AsyncClient) -> None:
    data = assay()
    options = {"key": "standard", "of": ["e"], "inverse": True}
    by = {"column": "drug", "shared": ["b", "c", "d"], "relative_to": options}
    found = await fit(client, data=data, model=POTENCY, params={"b": {"min": 0}}, group_by=by)
    params = {**found["shared"]["params"], "e": found["groups"]["params"]["e"]}
    covariance = dense(data, params)
    e, ratio = params["e"], found["groups"]["report"]["e_ratio"]
    assert ratio["expr"] == "e[standard] / e"
    for g in (1, 2):
        v11, v12, v22 = covariance[3, 3], covariance[3, 3 + g], covariance[3 + g, 3 + g]
        value = e[0] / e[g]
        error = math.sqrt(v11 - 2 * value * v12 + value**2 * v22) / e[g]
        assert ratio["value"][g] == pytest.approx(value)
        assert ratio["stderr"][g] == pytest.approx(error, rel=1e-5)
        for end in (ratio["lower"][g], ratio["upper"][g]):
            distance = abs(e[0] - end * e[g])
            spread = math.sqrt(v11 - 2 * end * v12 + end**2 * v22)
            assert distance == pytest.approx(T_39 * spread, rel=1e-5)
        assert ratio["lower"][g] < value < ratio["upper"][g]
    truth = (1.0, 3.0, 0.2)
    assert all(ratio["lower"][g] < truth[g] < ratio["upper"][g] for g in (1, 2))


async def test_inverse_turns_the_limits_over(client: httpx.AsyncClient) -> None:
    ratios = []
    for inverse in (False, True):
        options = {"key": "standard", "of": ["e"], "inverse": inverse}
        by = {"column": "drug", "shared": ["b", "c", "d"], "relative_to": options}
        found = await fit(
            client, data=assay(), model=POTENCY, params={"b": {"min": 0}}, group_by=by
        )
        ratios.append(found["groups"]["report"]["e_ratio"])
    one, other = ratios
    assert other["value"][1] == pytest.approx(1 / one["value"][1])
    assert other["lower"][1] == pytest.approx(1 / one["upper"][1])
    assert other["upper"][1] == pytest.approx(1 / one["lower"][1])


async def test_separate_curves_with_one_noise(client: httpx.AsyncClient) -> None:
    by = {"column": "state", "noise": "pooled", "relative_to": {"key": "untreated", "of": ["Vm"]}}
    found = (await fit(client, data=PUROMYCIN, model=RATE, group_by=by))["groups"]
    a, b = found["params"]["Vm"]
    variances = np.square(found["stderr"]["Vm"])
    expected = math.sqrt(variances[0] + (a / b) ** 2 * variances[1]) / b
    assert found["report"]["Vm_ratio"]["stderr"][0] == pytest.approx(expected)


async def test_reports_and_what_does_not_differ(client: httpx.AsyncClient) -> None:
    by = {"column": "state", "shared": ["K"], "relative_to": "untreated"}
    report = {"slope": "Vm/K", "twice": "2*K"}
    found = await fit(client, data=PUROMYCIN, model=RATE, group_by=by, report=report)
    made = found["groups"]["report"]
    assert made["slope_ratio"]["value"] == pytest.approx(made["Vm_ratio"]["value"])
    assert made["slope_ratio"]["stderr"][0] == pytest.approx(made["Vm_ratio"]["stderr"][0])
    assert made["twice_ratio"]["value"] == [1.0, 1.0]
    assert made["twice_ratio"]["stderr"] == ["NaN", "NaN"]
    assert made["twice_ratio"]["reason"][0] == "it is the same in all groups"


async def test_a_reference_of_zero_has_no_bounds(client: httpx.AsyncClient) -> None:
    x = np.tile(np.arange(8.0), 2)
    noise = np.random.default_rng(2).normal(0, 1.0, 16)
    key = ["flat"] * 8 + ["steep"] * 8
    y = 1 + np.where(np.arange(16) < 8, 0.01, 2.0) * x + noise
    by = {"column": "key", "noise": "pooled", "relative_to": {"key": "flat", "of": ["b"]}}
    data = {"x": x.tolist(), "y": y.tolist(), "key": key}
    ratio = (await fit(client, data=data, model="y = a + b*x", group_by=by))["groups"]["report"]
    assert ratio["b_ratio"]["lower"][1] == "NaN"
    assert "unbounded" in ratio["b_ratio"]["reason"][1]
    assert ratio["b_ratio"]["stderr"][1] != "NaN"


@pytest.mark.parametrize("inverse", [False, True])
async def test_a_profile_is_that_of_one_fit_with_the_ratio_as_a_param(
    client: httpx.AsyncClient, inverse: bool
) -> None:
    options = {"key": "untreated", "inverse": inverse, "method": "profile"}
    by = {"column": "state", "shared": ["K"], "relative_to": options}
    found = await fit(client, data=PUROMYCIN, model=RATE, group_by=by)
    ratio = found["groups"]["report"]["Vm_ratio"]
    treated = [float(state == "treated") for state in PUROMYCIN["state"]]
    one = await fit(
        client, data={**PUROMYCIN, "i": treated}, confidence_interval={"method": "profile"},
        model=f"rate = Vm*(1 - i + i{'/' if inverse else '*'}R)*conc/(K + conc)",
    )  # fmt: skip
    ends = one["statistics"]["confidence_interval"]
    assert ratio["method"] == "profile"
    for end in ("lower", "upper"):
        assert ratio[end][0] == pytest.approx(ends[end]["R"], rel=1e-7)
        assert ratio[end][1] == "NaN"
    assert ratio["reason"] == [None, "it is the reference"]


async def test_profiles_of_potencies_turn_over_and_are_near_fieller(
    client: httpx.AsyncClient,
) -> None:
    made = {}
    for method, inverse in (("fieller", True), ("profile", True), ("profile", False)):
        options = {"key": "standard", "of": ["e"], "inverse": inverse, "method": method}
        by = {"column": "drug", "shared": ["b", "c", "d"], "relative_to": options}
        found = await fit(
            client, data=assay(), model=POTENCY, params={"b": {"min": 0}}, group_by=by
        )
        made[method, inverse] = found["groups"]["report"]["e_ratio"]
    profile, other = made["profile", True], made["profile", False]
    for g in (1, 2):
        assert profile["lower"][g] == pytest.approx(1 / other["upper"][g], rel=1e-6)
        assert profile["upper"][g] == pytest.approx(1 / other["lower"][g], rel=1e-6)
        near = made["fieller", True]
        assert profile["value"][g] == near["value"][g]
        assert profile["stderr"][g] == near["stderr"][g]
        assert profile["lower"][g] == pytest.approx(near["lower"][g], rel=0.05)
        assert profile["upper"][g] == pytest.approx(near["upper"][g], rel=0.05)


async def test_a_profile_without_a_limit_says_so(client: httpx.AsyncClient) -> None:
    x = np.tile(np.arange(8.0), 2)
    noise = np.random.default_rng(2).normal(0, 1.0, 16)
    y = 1 + np.where(np.arange(16) < 8, 0.01, 2.0) * x + noise
    data = {"x": x.tolist(), "y": y.tolist(), "key": ["flat"] * 8 + ["steep"] * 8}
    options = {"key": "flat", "of": ["b"], "method": "profile"}
    by = {"column": "key", "noise": "pooled", "relative_to": options}
    ratio = (await fit(client, data=data, model="y = a + b*x", group_by=by))["groups"]["report"]
    assert "NaN" in (ratio["b_ratio"]["lower"][1], ratio["b_ratio"]["upper"][1])
    assert ratio["b_ratio"]["reason"][1] == "the data set no limit on one side"


async def test_ratios_of_counts_have_profiles_too(client: httpx.AsyncClient) -> None:
    rng = np.random.default_rng(4)
    x = np.tile(np.linspace(0, 3, 12), 2)
    key = np.repeat(["a", "b"], 12)
    y = rng.poisson(np.where(key == "a", 40.0, 80.0) * np.exp(-0.6 * x))
    data = {"x": x.tolist(), "y": y.tolist(), "key": key.tolist()}
    options = {"key": "a", "method": "profile"}
    by = {"column": "key", "shared": ["k"], "relative_to": options}
    found = await fit(client, data=data, model="y = A*exp(-k*x)", group_by=by, likelihood="poisson")
    ratio = found["groups"]["report"]["A_ratio"]
    assert ratio["lower"][1] < ratio["value"][1] < ratio["upper"][1]
    # Of Poisson totals the ratio is binomial: its logarithm has the variance 1/N_a + 1/N_b.
    counts = [float(y[key == each].sum()) for each in "ab"]
    half = 1.96 * math.sqrt(sum(1 / each for each in counts))
    width = math.log(ratio["upper"][1] / ratio["lower"][1])
    assert width == pytest.approx(2 * half, rel=0.01)


PROFILED = {"key": "treated", "method": "profile"}
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"relative_to": "control"}, "/group_by/relative_to", "treated"),
    ({"relative_to": {"key": "treated", "of": ["V"]}}, "/group_by/relative_to/of/0", "Vm"),
    ({"relative_to": "treated", "shared": []}, "/group_by/relative_to", "pooled"),
    ({"relative_to": "treated", "shared": ["K", "Vm"]}, "/group_by/relative_to", "share fewer"),
    ({"relative_to": PROFILED, "shared": ["K", "Vm"]}, "/group_by/relative_to", "share fewer"),
]


@pytest.mark.parametrize(("options", "pointer", "said"), REFUSED)
async def test_what_has_no_meaning_is_refused(
    client: httpx.AsyncClient, options: dict[str, Any], pointer: str, said: str
) -> None:
    by = {"column": "state", "shared": ["K"], **options}
    body = {"data": PUROMYCIN, "model": RATE, "group_by": by}
    answer = await client.post("/fit", json=body)
    assert answer.status_code == 422, answer.text
    problem = answer.json()["errors"][0]
    assert problem["pointer"] == pointer
    assert said in problem["detail"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"report": {"slope": "Vm/K"}, "of": ["slope"]}, "that each group has for itself"),
        ({"scaling": "standardize"}, "does not allow `scaling`"),
        (
            {
                "params": {"K": {"prior": {"mean": 0.06, "sd": 0.01}}},
                "sigma": 10.0,
                "sigma_absolute": True,
            },
            "priors of params",
        ),
    ],
)
async def test_what_has_no_profile_is_refused_with_its_cure(
    client: httpx.AsyncClient, more: dict[str, Any], said: str
) -> None:
    options = PROFILED | {key: more[key] for key in ("of",) if key in more}
    by = {"column": "state", "shared": ["K"], "relative_to": options}
    rest = {key: value for key, value in more.items() if key != "of"}
    body = {"data": PUROMYCIN, "model": RATE, "group_by": by, **rest}
    answer = await client.post("/fit", json=body)
    assert answer.status_code == 422, answer.text
    problem = answer.json()["errors"][0]
    assert problem["pointer"] == "/group_by/relative_to/method"
    assert said in problem["detail"]
    assert "'fieller'" in problem["detail"]
