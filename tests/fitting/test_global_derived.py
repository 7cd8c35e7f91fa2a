"""What is derived from groups that share params, tied params, reports and bands, is that of the
dense fit, which has own params and an indicator column for each group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.errors import BudgetExceeded, InvalidRequest
from service.fitting import curve, predict_from
from service.fitting.checking import check_sharing
from service.schemas.answers import Fit
from service.schemas.compute import Predictions, PredictRequest
from service.schemas.grouped import GroupedFit
from tests.fitting.grouped import fit, plan
from tests.fitting.test_global import dense

DECAY = "a + b*exp(-x/th)"
REL = 1e-6


def decays(*, groups: int = 3) -> dict[str, list[Any]]:
    """Groups with one th and noise."""
    rng = np.random.default_rng(7)
    data: dict[str, list[Any]] = {"x": [], "y": [], "g": []}
    for group in range(groups):
        x = np.sort(rng.uniform(0.2, 6, 9))
        y = 1 + group + (3 + group) * np.exp(-x / 1.7) + 0.05 * rng.standard_normal(len(x))
        data["x"] += x.tolist()
        data["y"] += y.tolist()
        data["g"] += [f"g{group}"] * len(x)
    return data


def both(own: dict[str, str], *, model: str = DECAY, **more: Any) -> tuple[GroupedFit, Fit]:
    """The global fit with the reports `own`, and the dense one with those of each group."""
    data = decays()
    grouped = fit(
        model=f"y = {model}", data=data, group_by={"column": "g", "shared": ["th"]},
        report=own or None, **more,
    )  # fmt: skip
    reports = {
        f"{name}{g}": text.replace("a", f"a{g}").replace("b", f"b{g}")
        for name, text in own.items() for g in range(3)
    }  # fmt: skip
    return grouped, dense(model, ("a", "b"), data, report=reports or None, **more)


def test_reports_are_those_of_the_dense_fit() -> None:
    quantities = {"start": "a + b", "ratio": "b/a", "rate": "1/th", "area": "b*th"}
    found, whole = both(quantities)
    assert found.groups.report is not None
    assert whole.report is not None
    for name in quantities:
        mine = found.groups.report[name]
        for g in range(3):
            theirs = whole.report[f"{name}{g}"]
            assert mine.value[g] == pytest.approx(theirs.value, rel=REL)
            assert mine.stderr[g] == pytest.approx(theirs.stderr, rel=REL)
            assert mine.lower[g] == pytest.approx(theirs.lower, rel=REL)
            assert mine.upper[g] == pytest.approx(theirs.upper, rel=REL)
            assert mine.reason[g] is None


def test_a_report_of_the_shared_param_is_that_param() -> None:
    found, _ = both({"theta": "th"}, confidence_interval={"level": 0.9})
    assert found.groups.report is not None
    assert found.shared is not None
    assert found.shared.stderr is not None
    assert found.shared.confidence_interval is not None
    report, interval = found.groups.report["theta"], found.shared.confidence_interval
    assert report.value == pytest.approx([found.shared.params["th"]] * 3)
    assert report.stderr == pytest.approx([found.shared.stderr["th"]] * 3)
    assert report.lower == pytest.approx([interval.lower["th"]] * 3)
    assert report.level == interval.level == 0.9


def test_fieller_takes_the_covariance_of_own_and_shared_params() -> None:
    request: dict[str, Any] = {
        "model": f"y = {DECAY}", "data": decays(), "group_by": {"column": "g", "shared": ["th"]},
    }  # fmt: skip
    found = fit(**request, report={"r": {"expr": "a/th", "method": "fieller"}})
    quantities = {f"r{g}": {"expr": f"a{g}/th", "method": "fieller"} for g in range(3)}
    whole = dense(DECAY, ("a", "b"), decays(), report=quantities)
    assert found.groups.report is not None
    assert whole.report is not None
    for g in range(3):
        lower, upper = (getattr(found.groups.report["r"], end)[g] for end in ("lower", "upper"))
        assert lower == pytest.approx(whole.report[f"r{g}"].lower, rel=REL)
        assert upper == pytest.approx(whole.report[f"r{g}"].upper, rel=REL)


def test_a_tied_param_equals_substitution_by_hand() -> None:
    """b tied to an own and the shared param."""
    request: dict[str, Any] = {"data": decays(), "group_by": {"column": "g", "shared": ["th"]}}
    tied = fit(model=f"y = {DECAY}", params={"b": {"expr": "2*a/th"}}, **request)
    by_hand = fit(model="y = a + (2*a/th)*exp(-x/th)", report={"b": "2*a/th"}, **request)
    assert tied.shared is not None
    assert by_hand.shared is not None
    assert by_hand.groups.report is not None
    assert tied.shared.params == pytest.approx(by_hand.shared.params, rel=REL)
    assert tied.groups.params["a"] == pytest.approx(by_hand.groups.params["a"], rel=REL)
    assert tied.groups.params["b"] == pytest.approx(by_hand.groups.report["b"].value, rel=REL)
    assert tied.groups.stderr["b"] == pytest.approx(by_hand.groups.report["b"].stderr, rel=REL)


def predicted(found: GroupedFit, **asked: Any) -> Predictions:
    stored = GroupedFit.model_validate_json(found.model_dump_json())
    known = curve(stored)
    assert known is not None
    return predict_from(PredictRequest.model_validate({"job_id": "j", **asked}), known)


@pytest.mark.parametrize("kind", ["confidence", "prediction"])
def test_bands_are_those_of_the_dense_fit(kind: str) -> None:
    found, whole = both({})
    at = [0.5, 2.0, 5.0]
    mine = predicted(found, data={"x": at, "g": ["g2", "g0", "g1"]}, interval=kind)
    columns = {"x": at, "d0": [0.0, 1, 0], "d1": [0.0, 0, 1], "d2": [1.0, 0, 0]}
    body = PredictRequest.model_validate(
        {**whole.predict.model_dump(exclude_none=True), "data": columns, "interval": kind}
    )
    known = curve(whole)
    assert known is not None
    theirs = predict_from(body.model_copy(update={"params": None, "scaling": None}), known)
    for name in ("predictions", "stderr", "lower", "upper"):
        assert getattr(mine, name) == pytest.approx(getattr(theirs, name), rel=REL)


def test_bands_where_all_params_are_shared() -> None:
    data = decays(groups=1)
    found = fit(
        model=f"y = {DECAY}", data=data, group_by={"column": "g", "shared": ["a", "b", "th"]}
    )
    apart = fit(model=f"y = {DECAY}", data=data, group_by={"column": "g", "covariance": True})
    asked = {"data": {"x": [0.5, 3.0], "g": ["g0", "g0"]}, "interval": "confidence"}
    mine, theirs = predicted(found, **asked), predicted(apart, **asked)
    assert mine.lower == pytest.approx(theirs.lower, rel=REL)


def test_a_failed_group_has_no_report() -> None:
    data = decays()
    data["x"] += [-1.0, 0.0, 1.0]
    data["y"] += [1.0, 2.0, 3.0]
    data["g"] += ["bad"] * 3
    found = fit(
        model="y = a + b*log(x)*th", data=data, params={"th": 1.0, "a": 1.0, "b": 1.0},
        group_by={"column": "g", "shared": ["b"]}, report={"twice": "2*a"},
    )  # fmt: skip
    assert found.groups.status[-1] == "failed"
    assert found.groups.report is not None
    assert found.groups.report["twice"].reason[-1] == "the fit of this group failed"
    assert np.isnan(found.groups.report["twice"].value[-1])


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"covariance": "sandwich"}, "/covariance", "'expected'"),
        ({"covariance": "observed"}, "/covariance", "per_group"),
        (
            {"report": {"r": {"expr": "a/th", "method": "profile"}}},
            "/report/r/method",
            "'delta'",
        ),
        (
            {
                "params": {"b": {"expr": "a"}},
                "group_by": {"column": "g", "shared": ["th", "b"]},
            },
            "/group_by/shared/1",
            "computed by its `expr`",
        ),
    ],
)
def test_what_is_not_derived_is_refused_with_the_mend(
    change: dict[str, Any], pointer: str, words: str
) -> None:
    request: dict[str, Any] = {
        "model": f"y = {DECAY}", "data": decays(), "group_by": {"column": "g", "shared": ["th"]},
    }  # fmt: skip
    with pytest.raises(InvalidRequest) as caught:
        plan(**{**request, **change})
    (error,) = caught.value.errors
    assert error.pointer == pointer
    assert words in error.detail


def test_one_scaling_serves_all_groups() -> None:
    request: dict[str, Any] = {
        "model": f"y = {DECAY}", "data": decays(), "group_by": {"column": "g", "shared": ["th"]},
    }  # fmt: skip
    raw, scaled = fit(**request), fit(**request, scaling={"x": {"scale": 0.5}})
    assert raw.shared is not None
    assert scaled.shared is not None
    assert scaled.shared.params["th"] == pytest.approx(0.5 * raw.shared.params["th"], rel=REL)
    assert scaled.groups.params["a"] == pytest.approx(raw.groups.params["a"], rel=REL)
    assert scaled.groups.loss == pytest.approx(raw.groups.loss, rel=REL)
    asked = {"data": {"x": [0.5, 3.0], "g": ["g0", "g2"]}, "interval": "confidence"}
    mine, theirs = predicted(scaled, **asked), predicted(raw, **asked)
    assert mine.predictions == pytest.approx(theirs.predictions, rel=REL)
    assert mine.lower == pytest.approx(theirs.lower, rel=REL)


def test_several_columns_and_a_condition_with_a_shared_param() -> None:
    data = decays(groups=4)
    data["plate"] = [f"P{int(g[1]) // 2}" for g in data["g"]]
    data["well"] = [float(int(g[1]) % 2) for g in data["g"]]
    by = {"column": ["plate", "well"], "shared": ["th"]}
    found = fit(
        model=f"y = {DECAY}", data=data, group_by=by, rows="not (plate == 'P1' and well == 1)"
    )
    three = fit(
        model=f"y = {DECAY}", data=decays(groups=4), group_by={"column": "g", "shared": ["th"]},
        rows="g != 'g3'",
    )  # fmt: skip
    assert found.groups.key == [["P0", 0.0], ["P0", 1.0], ["P1", 0.0]]
    assert found.shared == three.shared
    assert found.groups.params == three.groups.params
    answered = predicted(found, data={"x": [1.0], "plate": ["P1"], "well": [0]})
    expected = predicted(three, data={"x": [1.0], "g": ["g2"]})
    assert answered.predictions == pytest.approx(expected.predictions)


def test_the_memory_of_the_factors_is_bounded() -> None:
    check_sharing(100_000, 12)
    with pytest.raises(BudgetExceeded, match="fewer groups"):
        check_sharing(100_000, 60)
