"""Groups fitted together are as the same groups fitted alone, by the plain way and from the same
start.

Tolerances: losses to 1e-9 of theirs; params to 1e-6 of theirs, or of their standard error, since
both ways end within 1e-10 of a step of the minimum, by other roundings; standard errors to 1e-5;
float32 to 1e-3. Codes, stop reasons and trust are equal.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine import GroupedResult, begin
from service.errors import BudgetExceeded, InvalidData, InvalidRequest, UnknownName
from service.fitting import check, predict_from
from service.fitting import curve as curve_of
from service.schemas.compute import Predictions, PredictRequest
from service.schemas.fit import FitRequest
from service.schemas.grouped import GroupedFit, Groups
from service.settings import Settings
from tests.engine.builders import formula
from tests.fitting.fits import fit as fit_one
from tests.fitting.grouped import Alone, alone, answer, finish, fit, plan

CURVES = {
    "decay": ("y = a*exp(-b*x) + c", {"a": (1.5, 2.5), "b": (0.5, 1.2), "c": (-1, 1)}),
    "peak": (
        "y = a*exp(-(x - m)**2/(2*w**2)) + c",
        {"a": (2, 4), "m": (1.5, 2.5), "w": (0.5, 0.9), "c": (-1, 1)},
    ),
    "step": ("y = a/(1 + exp(-b*(x - m)))", {"a": (2, 4), "b": (2, 4), "m": (1.6, 2.4)}),
}
LINE = "y = a*x + b"
SEEDS = st.integers(0, 10**6)
FEW = settings(max_examples=5, deadline=None)


def curve(name: str, seed: int, groups: int = 12, *, fixed: bool = False) -> dict[str, Any]:
    """A request: rows of groups of random size, shuffled, with noise of 2% about a known curve; `c`
    is 0.5 where it is to be fixed."""
    text, ranges = CURVES[name]
    rng = np.random.default_rng(seed)
    rows = rng.integers(12, 40, groups)
    group = np.repeat(np.arange(groups), rows)
    x = rng.uniform(0, 4, len(group))
    theta = {n: rng.uniform(low, high, groups)[group] for n, (low, high) in ranges.items()}
    if fixed:
        theta["c"] = np.full(len(x), 0.5)
    values = {n: torch.from_numpy(v) for n, v in {**theta, "x": x}.items()}
    model = formula(text, ("x", "y"))
    reader = model.prediction.bind({"x": values["x"]}, model.params, values["x"])
    true = reader([values[n] for n in model.params])[0].numpy()
    y = true + 0.02 * true.std() * rng.standard_normal(len(x))
    shuffled = rng.permutation(len(x))
    return {
        "model": text,
        "params": {n: (low + high) / 2 for n, (low, high) in ranges.items()},
        "data": {
            "x": x[shuffled],
            "y": y[shuffled],
            "s": rng.uniform(0.5, 2, len(x)),
            "g": group[shuffled].astype(float),
        },
        "group_by": "g",
    }


def line(seed: int, groups: int = 20, least: int = 1, most: int = 12) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), rng.integers(least, most, groups))
    shuffled = rng.permutation(group).astype(float)
    x = rng.uniform(-2, 5, len(group))
    y = rng.normal(size=groups)[shuffled.astype(int)] * x + rng.normal(size=len(x))
    return {"model": LINE, "data": {"x": x, "y": y, "g": shuffled}, "group_by": "g"}


def said(found: GroupedFit) -> set[str]:
    """The codes of all groups."""
    return {code for codes in found.groups.diagnostics for code in codes}


def near(one: float | None, other: float | None, relative: float, absolute: float = 0.0) -> bool:
    one, other = (math.nan if value is None else value for value in (one, other))
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return one == other or abs(one - other) <= max(relative * max(abs(one), abs(other)), absolute)


def compare(request: dict[str, Any], *, slack: float = 1.0) -> GroupedFit:
    """Fits together and alone, and asserts that they agree."""
    made = plan(**request)
    result = finish(made)
    found = answer(made, result)
    for group, initial in enumerate(result.ends.initial):
        _agree(found.groups, group, alone(made, group, initial), slack)
    return found


def _agree(found: Groups, group: int, one: Alone, slack: float) -> None:
    values = {name: column[group] for name, column in found.params.items()}
    both = f"group {group}, loss {found.loss[group]} at {values}; alone {one}"
    assert found.stop_reason[group] == one.stop_reason, both
    assert found.diagnostics[group] == one.codes, both
    assert found.verdict[group] == one.verdict, both
    failed = found.status[group] == "failed"
    assert failed == (not math.isfinite(one.loss)), both
    if failed:
        return
    # Perfect fits, as all with no row to spare are, leave rounding alone.
    if one.loss < (1e-24 if one.residual_std else 1e-15):
        assert found.loss[group] < 1e-14, both
        return
    assert near(found.loss[group], one.loss, slack * 1e-9), both
    assert near(found.residual_std[group], one.residual_std, slack * 1e-9), both
    assert near(found.r_squared[group], one.r_squared, slack * 1e-9, slack * 1e-12), both
    errors = dict(zip(found.stderr, one.stderr, strict=True))
    for name, error in errors.items():
        assert near(found.stderr[name][group], error, slack * 1e-5), (name, both)
    for name, value in zip(found.params, one.params, strict=True):
        error = errors.get(name, 0.0)
        absolute = 1e-6 * slack * error if math.isfinite(error) else 1e-9
        assert near(found.params[name][group], value, slack * 1e-6, absolute), (name, both)
    assert found.n[group] > 0


@pytest.mark.parametrize("name", CURVES)
@FEW
@given(seed=SEEDS)
def test_curves_together_are_as_alone(name: str, seed: int):
    compare(curve(name, seed))


OPTIONS: dict[str, dict[str, Any]] = {
    "sigma": {"sigma": "s"},
    "absolute sigma": {"sigma": "s", "sigma_absolute": True},
    "huber": {"loss": {"name": "huber", "delta": 0.05}},
    "soft_l1": {"loss": {"name": "soft_l1", "delta": 0.05}},
    "cauchy": {"loss": {"name": "cauchy", "delta": 0.1}},
    "log_cosh": {"loss": "log_cosh"},
    "bounded": {
        "params": {"a": {"value": 2, "max": 2.0}, "b": {"value": 0.8, "min": 0.7}},
        # What a bound keeps from the data misfits: finer steps are lost in its rounding.
        "tolerance": {"params": 1e-7},
    },
    "fixed": {"params": {"a": 2.0, "b": 0.8, "c": {"value": 0.5, "fixed": True}}},
    "standardized": {"scaling": "standardize"},
    "tolerant": {"tolerance": {"loss": 1e-6}},
    "text keys": {"keys": "text"},
    "null keys": {"keys": "null"},
    "missing": {"missing": "drop"},
}


@pytest.mark.parametrize("option", OPTIONS)
@FEW
@given(seed=SEEDS)
def test_options_together_are_as_alone(option: str, seed: int):
    request = {**curve("decay", seed, fixed=option == "fixed"), **OPTIONS[option]}
    keys, data = request.pop("keys", None), request["data"]
    if keys == "text":
        data["g"] = [f"key {key:g}" for key in data["g"]]
    if keys == "null":
        data["g"] = [None if key == 3 else key for key in data["g"].tolist()]
    if option == "missing":
        data["y"][::17] = math.nan
    found = compare(request, slack=100.0 if option == "bounded" else 1.0)
    if keys == "null":
        assert found.groups.key.count(None) == 1


@pytest.mark.parametrize("loss", ["mae", {"name": "quantile", "quantile": 0.3}])
@settings(max_examples=2, deadline=None)
@given(seed=SEEDS)
def test_losses_with_a_corner_are_as_alone(loss: Any, seed: int):
    compare({**curve("decay", seed, groups=2), "loss": loss})


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam", {"name": "sgd", "learning_rate": 0.01}])
def test_other_optimizers_take_one_group_after_another(optimizer: Any):
    compare({**curve("decay", 1, groups=3), "optimizer": optimizer, "epochs": 50})


@pytest.mark.parametrize("model", [LINE, CURVES["decay"][0]])
def test_too_high_a_learning_rate_is_told_of_each_group(model: str):
    start = {"a": 1.0, "b": 0.5} | ({} if model == LINE else {"c": 0.0})
    request = {**curve("decay", 2, groups=3), "model": model, "params": start, "epochs": 50}
    found = compare({**request, "optimizer": {"name": "sgd", "learning_rate": 10.0}})
    assert all("learning_rate_too_high" in codes for codes in found.groups.diagnostics)


def test_a_network_is_fitted_to_each_group():
    request = {**curve("decay", 1, groups=3), "model": {"name": "mlp", "hidden": [3]}, "epochs": 20}
    data = {name: request["data"][name] for name in "xyg"}
    found = compare({**request, "params": {}, "data": data})
    assert found.model.inputs == ["x"]
    assert all(len(values) == 3 for values in found.groups.params.values())


@FEW
@given(seed=SEEDS)
def test_lines_together_are_as_alone_however_few_their_rows(seed: int):
    found = compare(line(seed))
    assert "few_degrees_of_freedom" in said(found)


@FEW
@given(seed=SEEDS, weighted=st.booleans())
def test_polynomials_together_are_as_alone(seed: int, weighted: bool):
    request = line(seed, groups=80, most=9)
    sigma = np.random.default_rng(seed).uniform(0.5, 2, len(request["data"]["x"])).tolist()
    compare({**request, "model": "y = a + b*x + c*x**2", "sigma": sigma if weighted else None})


def test_what_the_data_do_not_tell_apart_is_so_in_every_group():
    found = compare({**line(3, least=6), "model": "y = a*x + b + c*2*x"})
    assert all("rank_deficient" in codes for codes in found.groups.diagnostics)


@pytest.mark.parametrize("scale", [1e-170, 1e-100, 1e-9, 1e9])
def test_the_unit_of_an_input_does_not_matter(scale: float):
    request = line(4, groups=80, least=6)
    request["data"]["x"] *= scale
    found = compare({**request, "params": {"a": 0.0, "b": 0.0}})
    assert all(np.isfinite(found.groups.loss))


@pytest.mark.parametrize("model", [LINE, CURVES["decay"][0]])
def test_float32_is_as_alone_to_its_own_rounding(model: str):
    request = curve("decay", 5)
    start = request["params"] if model != LINE else {}
    compare({**request, "model": model, "params": start, "dtype": "float32"}, slack=1e4)


@pytest.mark.parametrize("seed", [1, 4])
def test_an_end_beside_a_pole_is_left_alone_and_together(seed: int):
    """From k = 1 the first step may go past the pole at k = -x, to an end that explains nothing."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(400), 30)
    x = rng.uniform(0.1, 10, len(group))
    v, k = rng.uniform(1, 5, 400)[group], rng.uniform(0.2, 4, 400)[group]
    sigma = 0.05 * np.exp(0.5 * rng.standard_normal(len(group)))
    y = v * x / (k + x) + sigma * rng.standard_normal(len(group))
    data = {"x": x, "y": y, "s": sigma, "g": group.astype(float)}
    request = {"model": "y = v*x/(k + x)", "params": {"v": 2, "k": 1}, "data": data}
    found = fit(**request, group_by="g", sigma="s", sigma_absolute=True).groups
    assert all(trusted for trusted in found.trustworthy)
    assert max(found.loss) < 4
    slowest = int(np.argmax(found.epochs))
    own = {name: column[group == slowest] for name, column in data.items() if name != "g"}
    one = fit_one(**{**request, "data": own}, sigma="s", sigma_absolute=True)
    assert one.loss == pytest.approx(found.loss[slowest], rel=1e-9)


@pytest.mark.parametrize("copies", [1, 100])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(3))
def test_dependent_columns_are_as_alone_in_either_dtype(copies: int, dtype: Any, seed: int):
    """Of least norm, as one fit: not the quotients of two roundings."""
    rng = np.random.default_rng(seed)
    x, v = rng.normal(size=(2, 12))
    data = {"x": x, "w": x / 3, "v": v, "y": 2 * x + v + 0.1 * rng.normal(size=12)}
    model = "y = a*x + b*w + c*v"
    one = fit_one(model=model, data=data, dtype=dtype)
    many = {name: np.tile(column, copies) for name, column in data.items()}
    many["g"] = np.repeat(np.arange(copies), 12).astype(float)
    found = fit(model=model, data=many, group_by="g", dtype=dtype).groups
    rounding = 1e-3 if dtype == "float32" else 1e-9
    assert np.allclose(found.loss, one.loss, rtol=rounding)
    for name, value in one.params.items():
        assert np.allclose(found.params[name], value, rtol=rounding), name


def test_a_constant_target_is_no_alarm():
    request = line(6, least=6)
    request["data"]["y"][:] = 2.0
    found = fit(**request)
    assert all(np.array(found.groups.loss) < 1e-28)
    assert found.groups.r_squared == [None] * len(found.groups.key)
    assert said(found) <= {"few_degrees_of_freedom"}


@pytest.mark.parametrize("family", ["gaussian", "exponential_decay", "logistic4", "linear"])
def test_a_family_guesses_group_by_group(family: str):
    name = {"gaussian": "peak", "logistic4": "step"}.get(family, "decay")
    request = curve(name, 7)
    data = {column: request["data"][column] for column in "xyg"}
    if family == "logistic4":
        data["x"] = data["x"] + 0.1
    request = {"model": family, "data": data, "group_by": "g", "params": {}}
    found = compare(request)
    for group, key in enumerate(found.groups.key):
        own = data["g"] == key
        whole = fit_one(model=family, data={"x": data["x"][own], "y": data["y"][own]})
        assert found.groups.loss[group] <= whole.loss * (1 + 1e-6)


def test_a_start_that_nobody_gives_is_searched_for_once():
    request = curve("decay", 8)
    found = compare({**request, "params": {}})
    given = fit(**request)
    assert np.allclose(found.groups.loss, given.groups.loss, rtol=1e-6)


# --- bad groups -----------------------------------------------------------------------------------


def spoiled(groups: int = 90) -> tuple[dict[str, Any], dict[str, Any]]:
    """A request whose group 5 is −∞ whatever the params, and the same without it."""
    request = {**curve("decay", 9, groups), "model": "y = a*exp(-b*x) + c + 0*log(x)"}
    data = {name: np.array(column) for name, column in request["data"].items()}
    others = data["g"] != 5
    data["x"] = np.where(others, data["x"], 0.0)
    without = {name: column[others] for name, column in data.items()}
    return {**request, "data": data}, {**request, "data": without}


def rows_of(found: GroupedFit) -> dict[Any, str]:
    """All that is said of each group, by its key, to the last bit."""
    of = found.groups
    columns = [of.n, of.status, of.stop_reason, of.epochs, of.verdict, of.loss, of.r_squared]
    columns += [of.residual_std, *of.params.values(), *of.stderr.values(), of.diagnostics]
    return dict(zip(of.key, map(repr, zip(*columns, strict=True)), strict=True))


@pytest.mark.parametrize("model", ["y = a*exp(-b*x) + c + 0*log(x)", "y = a*x + c + b*log(x)"])
def test_a_group_that_is_nowhere_finite_changes_no_bit_of_the_others(model: str):
    with_it, without = ({**each, "model": model} for each in spoiled())
    spoilt, clean = rows_of(fit(**with_it)), rows_of(fit(**without))
    bad = spoilt.pop(5.0)
    assert "'failed', 'diverged'" in bad
    assert "non_finite" in bad
    assert spoilt == clean


def test_a_group_whose_start_diverges_fails_alone():
    request = curve("decay", 10, groups=70)
    request["data"]["x"] = np.where(request["data"]["g"] == 2, -1e4, request["data"]["x"])
    found = compare(request)
    at = found.groups.key.index(2.0)
    assert [i for i, status in enumerate(found.groups.status) if status == "failed"] == [at]
    assert all(math.isnan(values[at]) for values in found.groups.params.values())
    assert all(math.isnan(values[at]) for values in found.groups.stderr.values())
    assert found.groups.r_squared[at] is None
    assert found.status == "succeeded"
    assert (found.stop_reason, found.verdict) == ("diverged", "untrustworthy")
    (told,) = [each for each in found.diagnostics if each.code == "non_finite"]
    assert told.message.startswith("in 1 of 70 groups")


@pytest.mark.parametrize("history", [False, True])
def test_groups_that_were_not_begun_are_left_out(history: bool):
    by = {"column": "g", "history": history}
    made = plan(**curve("decay", 3, groups=4) | {"optimizer": "lbfgs", "group_by": by})
    run = begin(made.task)
    assert (run.epochs, run.left) == (4, made.task.options.epochs)
    while run.epoch < 2:
        run.step(1000)
    result = run.result("time_limit")
    assert isinstance(result, GroupedResult)
    found, whole = answer(made, result), answer(made, finish(made))
    assert (found.stop_reason, found.verdict) == ("time_limit", "untrustworthy")
    assert list(rows_of(found).values())[:2] == list(rows_of(whole).values())[:2]
    groups = found.groups
    assert groups.status == ["succeeded"] * 2 + ["failed"] * 2
    assert groups.stop_reason[2:] == ["time_limit"] * 2
    assert (groups.epochs[2:], groups.diagnostics[2:]) == ([0, 0], [[], []])
    for column in (groups.loss, *groups.params.values(), *groups.stderr.values()):
        assert [math.isnan(value) for value in column] == [False, False, True, True]
    assert groups.history is None or [len(each.epoch) > 0 for each in groups.history] == [
        True, True, False, False,
    ]  # fmt: skip
    assert (groups.history is not None) is history


@pytest.mark.parametrize("sizes", [(40_000, 41_000), (200_000, 5, 6)])
def test_long_groups_are_as_alone(sizes: tuple[int, ...]):
    rng = np.random.default_rng(11)
    group = np.repeat(np.arange(len(sizes)), sizes).astype(float)
    x = rng.uniform(0, 4, len(group))
    y = (2 + group) * np.exp(-0.7 * x) + 0.1 * rng.standard_normal(len(x))
    start = {"a": 1.0, "b": 1.0}
    data = {"x": x, "y": y, "g": group}
    compare({"model": "y = a*exp(-b*x)", "params": start, "data": data, "group_by": "g"})


# --- what is refused ------------------------------------------------------------------------------


def test_what_groups_cannot_have_is_refused_where_it_was_asked():
    request = {**line(12), "group_by": "h"}
    with pytest.raises(UnknownName, match="unknown column 'h'; known: g, x, y") as e:
        plan(**request)
    assert e.value.errors[0].pointer == "/group_by"
    with pytest.raises(BudgetExceeded, match="20 groups, more than the 10 allowed") as e2:
        check(FitRequest.model_validate(line(12)), Settings(max_groups=10))
    assert e2.value.errors[0].pointer == "/group_by"
    profile = {**line(12), "confidence_interval": {"method": "profile"}}
    with pytest.raises(BudgetExceeded, match="use the method 't'") as e3:
        check(FitRequest.model_validate(profile), Settings(max_profile_operations=1e4))
    assert e3.value.errors[0].pointer == "/confidence_interval/method"


def test_text_is_no_input():
    request = line(13)
    request["data"]["g"] = [f"k{key}" for key in request["data"]["g"]]
    with pytest.raises(InvalidData, match=r"is the text 'k.*group_by"):
        plan(**{**request, "model": "y = a*g + b"})


# --- predictions ----------------------------------------------------------------------------------


def predict(found: GroupedFit, **asked: Any) -> Predictions:
    stored = GroupedFit.model_validate_json(found.model_dump_json())
    curve = curve_of(stored)
    assert curve is not None
    return predict_from(PredictRequest.model_validate({"job_id": "j", **asked}), curve)


@pytest.mark.parametrize("kind", ["numbers", "text", "null"])
@pytest.mark.parametrize("scaling", [None, "standardize"])
def test_each_row_is_predicted_by_its_own_group(kind: str, scaling: Any):
    request = line(14, least=4)
    keys = request["data"]["g"].tolist()
    names: dict[str, dict[float, Any]] = {
        "numbers": {},
        "text": {key: f"key {key:g}" for key in keys},
        "null": {1.0: None},
    }
    request["data"]["g"] = [names[kind].get(key, key) for key in keys]
    found = fit(**request, scaling=scaling)
    at = [found.groups.key.index(names[kind].get(key, key)) for key in keys]
    raw = fit(**request).groups.params
    x = request["data"]["x"]
    due = np.array(raw["a"])[at] * x + np.array(raw["b"])[at]
    answered = predict(found, data={"x": x, "g": request["data"]["g"]})
    assert np.allclose(answered.predictions, due, rtol=1e-9, atol=1e-9)
    assert answered.target == "y"


def test_a_network_predicts_group_by_group():
    x, y, g = [0.0, 1.0, 2.0, 3.0] * 2, [0.0, 1, 4, 9, 5, 4, 3, 2], ["a"] * 4 + ["b"] * 4
    request = {"data": {"x": x, "y": y, "g": g}, "group_by": "g"}
    found = fit(model={"name": "mlp", "hidden": [3]}, epochs=30, **request)
    answered = predict(found, data={"x": x[::-1], "g": g[::-1]})
    loss = np.square(np.array(answered.predictions[::-1]) - y).reshape(2, 4).mean(axis=1)
    assert np.allclose(loss, found.groups.loss, rtol=1e-9)


def test_a_failed_group_predicts_nan_and_the_others_do_not():
    request, _ = spoiled(6)
    found = fit(**request)
    at = {"x": [1.0, 1.0], "g": [5.0, 1.0]}
    answered = predict(found, data=at)
    assert [math.isnan(value) for value in answered.predictions] == [True, False]


@pytest.mark.parametrize(
    ("data", "pointer", "said"),
    [
        ({"x": [1.0]}, "/data", "send that column as well"),
        ({"x": [1.0, 1.0], "g": ["key 1", "key 99"]}, "/data/g/1", "row 2.*did you mean 'key"),
        ({"x": [1.0, 1.0], "g": ["key 1", None]}, "/data/g/1", "no group null"),
        ({"x": [1.0], "g": [1.0]}, "/data/g/0", "its groups are text"),
        ({"x": [None], "g": ["key 1"]}, "/data/x/0", "missing"),
    ],
)
def test_a_row_without_a_group_is_refused_by_its_number(data: Any, pointer: str, said: str):
    request = line(15)
    request["data"]["g"] = [f"key {key:g}" for key in request["data"]["g"]]
    with pytest.raises(InvalidRequest, match=said) as refused:
        predict(fit(**request), data=data)
    assert refused.value.errors[0].pointer == pointer


def test_a_number_that_is_no_group_is_refused_by_its_row():
    with pytest.raises(InvalidData, match=r"no group 99.0 \('g', row 2\)"):
        predict(fit(**line(16)), data={"x": [1.0, 1.0], "g": [1.0, 99.0]})


def test_bands_of_groups_are_refused_with_a_way_out():
    with pytest.raises(InvalidRequest, match='"covariance": true') as refused:
        predict(fit(**line(17)), data={"x": [1.0], "g": [1.0]}, interval="confidence")
    assert refused.value.errors[0].pointer == "/interval"
