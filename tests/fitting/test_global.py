"""Groups that share params: against the dense problem, which has an indicator column for each
group, and against the published cases of CAPABILITIES (R's MASS muscle and Puromycin)."""

from __future__ import annotations

import csv
import math
import re
from typing import Any

import numpy as np
import pytest

from service.certification.case import LABORATORY
from service.engine import GroupedResult, SharedRun, run_of
from service.errors import InvalidRequest
from service.fitting.packing import pack, unpack
from service.schemas.answers import Fit
from service.schemas.grouped import GroupedFit
from tests.fitting.fits import fit as fit_one
from tests.fitting.fits import merge
from tests.fitting.grouped import answer, finish, fit, plan

DECAY = "y = a + b*exp(-x/th)"
MODELS = (
    ("a + b*exp(-x/th)", ("a", "b"), ("th",)),
    ("a*x/(k + x)", ("a",), ("k",)),
    ("a + (d - a)/(1 + (x/c)**h)", ("c",), ("a", "d", "h")),
    ("a*exp(-k*x) + c", ("a", "c"), ("k",)),
    ("a + b*x", ("a",), ("b",)),
    ("a*sin(w*x + p)", ("a", "p"), ("w",)),
)


def table(name: str) -> dict[str, list[Any]]:
    """A file of a laboratory as columns."""
    with (LABORATORY / name).open() as file:
        rows = list(csv.DictReader(file))
    columns: dict[str, list[Any]] = {key: [row[key] for row in rows] for key in rows[0]}
    for key, column in columns.items():
        if all(re.fullmatch(r"-?[\d.]+", cell) for cell in column):
            columns[key] = [float(cell) for cell in column]
    return columns


def drawn(seed: int, groups: int, least: int = 5) -> tuple[int, dict[str, list[Any]]]:
    """The number of a model, and data of some groups with noise."""
    rng = np.random.default_rng(seed)
    number = seed % len(MODELS)
    text, local, shared = MODELS[number]
    common = {name: rng.uniform(0.7, 2.5) + 2 * (name == "d") for name in shared}
    data: dict[str, list[Any]] = {"x": [], "y": [], "g": []}
    for group in range(groups):
        count = int(rng.integers(least, 12))
        x = np.sort(rng.uniform(0.2, 6, count))
        own = {**common, **{name: rng.uniform(0.8, 3) for name in local}}
        y = _evaluated(text, x, own) + 0.02 * rng.standard_normal(count)
        data["x"] += x.tolist()
        data["y"] += y.tolist()
        data["g"] += [f"g{group}"] * count
    return number, data


def _evaluated(text: str, x: Any, at: dict[str, float]) -> Any:
    """The models, written in numpy."""
    a, b, c, d = (at.get(name, 0.0) for name in "abcd")
    values = (
        lambda: a + b * np.exp(-x / at["th"]),
        lambda: a * x / (at["k"] + x),
        lambda: a + (d - a) / (1 + (x / c) ** at["h"]),
        lambda: a * np.exp(-at["k"] * x) + c,
        lambda: a + b * x,
        lambda: a * np.sin(at["w"] * x + at["p"]),
    )
    return values[[model for model, _, _ in MODELS].index(text)]()


def dense(text: str, local: tuple[str, ...], data: dict[str, list[Any]], **more: Any) -> Fit:
    """One fit of all rows, with an indicator column and local params for each group."""
    keys = list(dict.fromkeys(data["g"]))
    for name in local:
        sums = " + ".join(f"{name}{i}*d{i}" for i in range(len(keys)))
        text = re.sub(rf"\b{name}\b", f"({sums})", text)
    columns: dict[str, Any] = {name: column for name, column in data.items() if name != "g"}
    for i, key in enumerate(keys):
        columns[f"d{i}"] = [float(each == key) for each in data["g"]]
    return fit_one(model=f"y = {text}", data=columns, **more)


def close(one: Any, other: Any, rel: float = 1e-6) -> None:
    assert one == pytest.approx(other, rel=rel)


@pytest.mark.parametrize("seed", range(18))
def test_it_equals_the_dense_fit(seed: int) -> None:
    number, data = drawn(seed, 2 + seed % 3)
    text, local, shared = MODELS[number]
    by = {"column": "g", "shared": list(shared)}
    keys = sorted(set(data["g"]))
    # A sine is the same with its amplitude negated and its phase shifted.
    waves = [{"a": {"min": 0}}, {f"a{i}": {"min": 0} for i in range(len(keys))}]
    params = waves if "p" in local else [{}, {}]
    found = fit(model=f"y = {text}", data=data, group_by=by, params=params[0])
    whole = dense(text, local, data, params=params[1])
    assert found.converged
    assert found.shared is not None
    assert found.statistics is not None
    mine, theirs = found.statistics, whole.statistics
    close(mine.loss, whole.loss, 1e-9)
    for name in shared:
        close(found.shared.params[name], whole.params[name])
    for name in local:
        close(
            found.groups.params[name],
            [whole.params[f"{name}{g}"] for g in range(len(found.groups.n))],
        )
    assert theirs.stderr is not None
    assert theirs.covariance is not None
    assert found.shared.stderr is not None
    assert found.groups.covariance is not None
    for name in shared:
        close(found.shared.stderr[name], theirs.stderr[name])
    for g in range(len(found.groups.n)):
        for name in local:
            close(found.groups.stderr[name][g], theirs.stderr[f"{name}{g}"])
            for other in shared:
                spread = theirs.stderr[f"{name}{g}"] * theirs.stderr[other]
                cov = found.groups.covariance[name][other][g]
                assert abs(cov - theirs.covariance[f"{name}{g}"][other]) <= 1e-6 * spread
    for name in ("aic", "aicc", "bic", "r_squared", "adjusted_r_squared", "residual_std"):
        close(getattr(mine, name), getattr(theirs, name), 1e-8)
    assert (mine.n, mine.degrees_of_freedom) == (theirs.n, theirs.degrees_of_freedom)


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_a_profile_interval_equals_the_dense_one(seed: int) -> None:
    number, data = drawn(seed, 3)
    text, local, shared = MODELS[number]
    name = shared[0]
    asked: dict[str, Any] = {"confidence_interval": {"method": "profile", "level": 0.9}}
    group_by = {"column": "g", "shared": [name]}
    found = fit(model=f"y = {text}", data=data, group_by=group_by, **asked)
    whole = dense(text, local, data, **asked)
    assert found.shared is not None
    mine, theirs = found.shared.confidence_interval, whole.statistics.confidence_interval
    assert mine is not None
    assert theirs is not None
    close(mine.lower[name], theirs.lower[name], 1e-5)
    close(mine.upper[name], theirs.upper[name], 1e-5)


@pytest.mark.parametrize("loss", ["huber", "soft_l1"])
def test_a_robust_loss_equals_the_dense_one(loss: str) -> None:
    _, data = drawn(0, 3)
    data["y"][4] += 3.0
    asked: dict[str, Any] = {"loss": {"name": loss, "delta": 0.05}}
    found = fit(model=DECAY, data=data, group_by={"column": "g", "shared": ["th"]}, **asked)
    whole = dense(*MODELS[0][:2], data, **asked)
    assert found.shared is not None
    assert found.shared.stderr is None
    assert found.shared.covariance_reason is not None
    close(found.shared.params["th"], whole.params["th"], 1e-5)


def test_sigma_bounds_and_fixed_params_are_those_of_the_dense_fit() -> None:
    _, data = drawn(0, 3)
    data["s"] = [0.02 + 0.01 * (i % 3) for i in range(len(data["x"]))]
    params = {"th": {"value": 1.0, "min": 0.5, "max": 1.0}}
    more: dict[str, Any] = {"sigma": "s", "sigma_absolute": True}
    group_by = {"column": "g", "shared": ["th"]}
    found = fit(model=DECAY, data=data, group_by=group_by, params=params, **more)
    whole = dense(*MODELS[0][:2], data, params=params, **more)
    assert found.shared is not None
    assert found.statistics is not None
    close(found.shared.params["th"], whole.params["th"])
    close(found.groups.params["a"], [whole.params[f"a{g}"] for g in range(3)])
    close(found.statistics.aic, whole.statistics.aic)
    codes = {each.code for each in found.diagnostics}
    assert ("at_bound" in codes) == (found.shared.params["th"] in (0.5, 1.0))
    fixed = fit(
        model=DECAY,
        data=data,
        group_by=group_by,
        params={"th": {"value": 1.2, "fixed": True}},
        **more,
    )
    assert fixed.shared is not None
    assert fixed.shared.params == {"th": 1.2}
    assert fixed.shared.stderr == {}
    own = fit(model="y = a + b*exp(-x/1.2)", data=data, group_by="g", **more)
    close(fixed.groups.params["a"], own.groups.params["a"])


def test_float32() -> None:
    _, data = drawn(0, 4)
    group_by = {"column": "g", "shared": ["th"]}
    single = fit(model=DECAY, data=data, group_by=group_by, dtype="float32")
    double = fit(model=DECAY, data=data, group_by=group_by)
    assert single.shared is not None
    assert double.shared is not None
    assert single.converged
    close(single.shared.params["th"], double.shared.params["th"], 2e-3)


def test_one_group_is_the_plain_fit() -> None:
    _, data = drawn(6, 1, least=10)
    found = fit(model=DECAY, data=data, group_by={"column": "g", "shared": ["th"]})
    plain = fit_one(model=DECAY, data={"x": data["x"], "y": data["y"]})
    assert found.shared is not None
    close(found.shared.params["th"], plain.params["th"])
    assert found.shared.stderr is not None
    assert plain.statistics.stderr is not None
    close(found.shared.stderr["th"], plain.statistics.stderr["th"])
    close(found.groups.stderr["b"][0], plain.statistics.stderr["b"])


def test_the_order_of_groups_and_rows_is_irrelevant() -> None:
    _, data = drawn(0, 5)
    order = np.random.default_rng(0).permutation(len(data["x"])).tolist()
    mixed = {name: [column[i] for i in order] for name, column in data.items()}
    group_by = {"column": "g", "shared": ["th"]}
    one, other = (fit(model=DECAY, data=each, group_by=group_by) for each in (data, mixed))
    assert one.shared is not None
    assert other.shared is not None
    close(one.shared.params["th"], other.shared.params["th"], 1e-9)
    places = [other.groups.key.index(key) for key in one.groups.key]
    close(one.groups.params["a"], [other.groups.params["a"][i] for i in places], 1e-8)


def test_slices_and_checkpoints_change_no_bit() -> None:
    _, data = drawn(3, 4)
    made = plan(model="y = a*exp(-k*x) + c", data=data, group_by={"column": "g", "shared": ["k"]})
    whole = answer(made, finish(made))
    run = run_of(made.task)
    while not run.done:
        run.step(2)
        run = run_of(made.task, unpack(pack(run.checkpoint())))
    assert isinstance(run, SharedRun)
    found = answer(made, run.result())
    assert found.groups.params == whole.groups.params
    assert found.shared == whole.shared


def test_it_has_a_result_at_any_moment() -> None:
    _, data = drawn(0, 4)
    made = plan(model=DECAY, data=data, group_by={"column": "g", "shared": ["th"]})
    run = run_of(made.task)
    while not run.done:
        found = run.result("cancelled")
        assert isinstance(found, GroupedResult)
        stopped = answer(made, found)
        assert stopped.stop_reason == "cancelled"
        assert run.epoch <= run.epochs
        run.step(1)


# --- published cases ------------------------------------------------------------------------------


def muscle(shared: list[str]) -> GroupedFit:
    return fit(
        model="Length = a + b*exp(-Conc/th)", data=table("muscle.csv"),
        group_by={"column": "Strip", "shared": shared},
    )  # fmt: skip


def test_muscle() -> None:
    found = muscle(["th"])
    assert found.shared is not None
    assert found.statistics is not None
    assert found.shared.stderr is not None
    assert found.shared.params["th"] == pytest.approx(0.7969085, abs=5e-8)
    assert found.shared.stderr["th"] == pytest.approx(0.1265655, abs=5e-8)
    assert found.statistics.residual_std == pytest.approx(1.114868, abs=5e-7)
    assert found.statistics.degrees_of_freedom == 17
    assert found.groups.key[0] == "S01"
    assert found.groups.params["a"][0] == pytest.approx(23.454085, abs=5e-7)
    assert found.groups.stderr["a"][0] == pytest.approx(0.796230, abs=5e-7)
    assert found.groups.params["b"][0] == pytest.approx(-27.300325, abs=5e-7)
    assert found.groups.stderr["b"][0] == pytest.approx(6.873191, abs=5e-7)
    assert found.verdict == "trustworthy"


def test_muscle_one_curve_for_all() -> None:
    found = muscle(["a", "b", "th"])
    assert found.shared is not None
    assert found.statistics is not None
    assert found.shared.stderr is not None
    wanted = {"a": 28.963298, "b": -34.227410, "th": 0.608172}
    assert found.shared.params == pytest.approx(wanted, abs=5e-7)
    errors = {"a": 1.229771, "b": 3.792588, "th": 0.114555}
    assert found.shared.stderr == pytest.approx(errors, abs=6e-7)
    assert found.statistics.residual_std == pytest.approx(4.666216, abs=6e-7)
    assert found.statistics.degrees_of_freedom == 57


def test_puromycin() -> None:
    found = fit(
        model="rate = Vm*conc/(K + conc)", data=table("puromycin.csv"),
        group_by={"column": "state", "shared": ["K"]},
    )  # fmt: skip
    assert found.shared is not None
    assert found.statistics is not None
    assert found.shared.stderr is not None
    assert found.shared.covariance is not None
    assert found.groups.covariance is not None
    assert found.shared.params["K"] == pytest.approx(0.0579718, abs=5e-8)
    assert found.shared.stderr["K"] == pytest.approx(0.0059102, abs=5e-8)
    assert found.statistics.residual_std == pytest.approx(10.585111, abs=5e-7)
    assert found.statistics.degrees_of_freedom == 20
    assert found.statistics.aicc == pytest.approx(180.8135, abs=5e-5)
    treated, untreated = found.groups.params["Vm"]
    assert untreated == pytest.approx(166.604097, abs=5e-7)
    assert found.groups.stderr["Vm"][1] == pytest.approx(5.807430, abs=5e-7)
    assert treated - untreated == pytest.approx(42.025973, abs=1e-6)
    own, across = found.groups.stderr["Vm"], found.groups.covariance["Vm"]["K"]
    both = across[0] * across[1] / found.shared.covariance["K"]["K"]
    error = math.sqrt(own[0] ** 2 + own[1] ** 2 - 2 * both)
    assert error == pytest.approx(6.272142, abs=5e-7)


def test_pooled_noise_without_shared_params() -> None:
    found = fit(
        model="rate = Vm*conc/(K + conc)", data=table("puromycin.csv"),
        group_by={"column": "state", "noise": "pooled"},
    )  # fmt: skip
    assert found.shared is None
    assert found.statistics is not None
    assert found.statistics.degrees_of_freedom == 19
    assert found.statistics.aicc == pytest.approx(182.1295, abs=5e-5)
    apart = fit(model="rate = Vm*conc/(K + conc)", data=table("puromycin.csv"), group_by="state")
    own = apart.groups.residual_std
    pooled = found.statistics.residual_std
    assert pooled is not None
    for g in range(2):
        noise = own[g]
        assert noise is not None
        close(found.groups.stderr["Vm"][g], apart.groups.stderr["Vm"][g] * pooled / noise)
        assert found.groups.residual_std[g] is None


# --- traps ----------------------------------------------------------------------------------------


def many(groups: int = 60) -> dict[str, list[Any]]:
    """Strips of two to five rows, which share th = 0.8."""
    rng = np.random.default_rng(5)
    data: dict[str, list[Any]] = {"x": [], "y": [], "g": []}
    for group in range(groups):
        x = rng.permutation([0.25, 0.5, 1.0, 2.0, 3.0, 4.0])[: 2 + group % 4]
        y = rng.uniform(15, 30) - rng.uniform(10, 30) * np.exp(-x / 0.8)
        data["x"] += x.tolist()
        data["y"] += (y + 0.5 * rng.standard_normal(len(x))).tolist()
        data["g"] += [float(group)] * len(x)
    return data


def test_groups_of_few_rows_are_legal() -> None:
    found = fit(model=DECAY, data=many(), group_by={"column": "g", "shared": ["th"]})
    assert found.shared is not None
    assert found.statistics is not None
    assert found.shared.stderr is not None
    assert abs(found.shared.params["th"] - 0.8) < 4 * found.shared.stderr["th"]
    assert found.statistics.degrees_of_freedom == found.statistics.n - 2 * 60 - 1
    assert set(found.groups.status) == {"succeeded"}
    assert min(found.groups.n) == 2


def test_a_group_of_one_row_takes_one_degree_of_freedom() -> None:
    data = many()
    without = fit(model=DECAY, data=data, group_by={"column": "g", "shared": ["th"]})
    for name, value in (("x", 1.0), ("y", 7.0), ("g", 99.0)):
        data[name] = [*data[name], value]
    found = fit(model=DECAY, data=data, group_by={"column": "g", "shared": ["th"]})
    assert found.shared is not None
    assert without.shared is not None
    assert found.statistics is not None
    assert without.statistics is not None
    close(found.shared.params["th"], without.shared.params["th"])
    assert found.statistics.degrees_of_freedom == without.statistics.degrees_of_freedom
    close(found.shared.stderr, without.shared.stderr)
    assert "rank_deficient" in found.groups.diagnostics[-1]
    assert math.isnan(found.groups.stderr["a"][-1])


def test_a_group_without_a_finite_prediction_is_left_out() -> None:
    data = many()
    good = fit(model="y = a + b*exp(-x/th) + 0*log(x)", data=data,
               group_by={"column": "g", "shared": ["th"]})  # fmt: skip
    for name, values in (("x", [0.0, 1.0, 2.0]), ("y", [1.0, 2.0, 3.0]), ("g", [99.0] * 3)):
        data[name] = [*data[name], *values]
    found = fit(model="y = a + b*exp(-x/th) + 0*log(x)", data=data,
                group_by={"column": "g", "shared": ["th"]})  # fmt: skip
    assert found.shared is not None
    assert good.shared is not None
    close(found.shared.params["th"], good.shared.params["th"])
    close(found.shared.stderr, good.shared.stderr)
    assert found.groups.status[-1] == "failed"
    assert math.isnan(found.groups.params["a"][-1])
    assert found.groups.verdict[:-1] == good.groups.verdict
    assert found.verdict == "untrustworthy"


def test_a_wild_group_does_not_keep_the_others_from_their_minimum() -> None:
    data = many()
    rng = np.random.default_rng(0)
    data["x"] += [0.25, 0.5, 1.0, 2.0, 3.0, 4.0]
    data["y"] += (5.0 * rng.standard_normal(6)).tolist()
    data["g"] += [99.0] * 6
    found = fit(model=DECAY, data=data, group_by={"column": "g", "shared": ["th"]})
    assert found.shared is not None
    assert found.converged
    assert abs(found.shared.params["th"] - 0.8) < 0.4


def test_a_shared_param_that_no_group_determines_is_named() -> None:
    data = many()
    request = {
        "model": "y = a + c + b*exp(-x/th)", "data": data,
        "group_by": {"column": "g", "shared": ["th", "c"]},
    }  # fmt: skip
    found = fit(**request)
    assert found.shared is not None
    assert found.shared.stderr is None
    assert found.shared.covariance_reason is not None
    assert "c" in found.shared.covariance_reason
    (lost,) = [each for each in found.diagnostics if each.code == "rank_deficient" and each.params]
    assert lost.params == ["c"]
    assert found.verdict == "untrustworthy"
    assert set(found.groups.verdict) == {"untrustworthy"}
    assert all("rank_deficient" in codes for codes in found.groups.diagnostics)
    assert lost.suggestion is not None
    again = fit(**merge(request, lost.suggestion))
    assert not [each for each in again.diagnostics if each.params == ["c"]]
    assert again.shared is not None
    assert again.shared.stderr is not None


@pytest.mark.parametrize(("of_x", "of_y"), [(1e12, 1e150), (1e-12, 1e-150)])
def test_errors_do_not_depend_on_the_units(of_x: float, of_y: float) -> None:
    data = many(4)
    scaled = {
        "g": data["g"],
        "x": [v * of_x for v in data["x"]],
        "y": [v * of_y for v in data["y"]],
    }
    by = {"column": "g", "shared": ["th"]}
    plain, found = (fit(model="y = b*exp(-x/th)", data=d, group_by=by) for d in (data, scaled))
    assert plain.shared is not None
    assert plain.shared.stderr is not None
    assert found.shared is not None
    assert found.shared.stderr is not None
    close(found.shared.stderr["th"] / of_x, plain.shared.stderr["th"], rel=1e-4)
    for one, other in zip(found.groups.stderr["b"], plain.groups.stderr["b"], strict=True):
        close(one / of_y, other, rel=1e-4)


def test_the_start_is_searched_for_where_most_groups_mislead() -> None:
    """The separate fits of these two groups end in a minimum at k > 30, whose loss is twice that
    of the lowest."""
    x = [0.874, 4.150, 4.601, 4.644, 4.683, 7.018, 0.623, 1.573, 2.793, 3.097, 3.151, 3.626,
         5.212, 5.782, 5.783]  # fmt: skip
    y = [4.1405, 3.3677, 3.4186, 3.4072, 3.3393, 3.4598, 1.8780, 1.0027, 0.8202, 0.9140, 0.8422,
         0.8658, 0.7448, 0.7614, 0.7713]  # fmt: skip
    found = fit(
        model="y = a*exp(-k*x) + c", data={"x": x, "y": y, "g": ["A"] * 6 + ["B"] * 9},
        group_by={"column": "g", "shared": ["k"]},
    )  # fmt: skip
    assert found.shared is not None
    assert 1.4 < found.shared.params["k"] < 1.9


def test_a_catalogue_family_shares_params() -> None:
    rng = np.random.default_rng(2)
    data: dict[str, list[Any]] = {"dose": [], "y": [], "drug": []}
    for drug, e in (("A", 0.4), ("B", 2.5)):
        x = np.repeat([0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 100.0], 3)
        y = 1 + 9 / (1 + (x / e) ** 1.3) + 0.1 * rng.standard_normal(len(x))
        data["dose"] += x.tolist()
        data["y"] += y.tolist()
        data["drug"] += [drug] * len(x)
    names = fit_one(model="logistic4", data={"x": data["dose"][:21], "y": data["y"][:21]}).params
    location = next(n for n, v in names.items() if 0.3 < v < 0.5)
    found = fit(
        model="logistic4", data={"x": data["dose"], "y": data["y"], "drug": data["drug"]},
        group_by={"column": "drug", "shared": [n for n in names if n != location]},
    )  # fmt: skip
    assert found.trustworthy, found.diagnostics
    assert found.groups.params[location] == pytest.approx([0.4, 2.5], rel=0.15)


def test_several_columns_make_one_key() -> None:
    data = many(24)
    data["plate"] = [f"P{int(g) % 3}" for g in data["g"]]
    data["well"] = [float(int(g) // 3) for g in data["g"]]
    by = {"column": ["plate", "well"], "shared": ["th"]}
    found = fit(model=DECAY, data=data, group_by=by)
    plain = fit(model=DECAY, data=data, group_by={"column": "g", "shared": ["th"]})
    assert found.groups.by == ["plate", "well"]
    assert found.groups.key[:4] == [["P0", 0.0], ["P1", 0.0], ["P2", 0.0], ["P0", 1.0]]
    assert found.groups.params == plain.groups.params


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"group_by": {"column": "g", "shared": ["tau"]}}, "/group_by/shared/0", "tau"),
        ({"group_by": {"column": ["g", "plate"]}}, "/group_by", "plate"),
        ({"group_by": {"column": ["g", "g"]}}, "/group_by/column", "twice"),
        ({"optimizer": "adam"}, "/optimizer", "use 'auto'"),
        ({"loss": "mae"}, "/loss", "huber"),
        (
            {"group_by": {"column": "g", "shared": ["th"], "noise": "per_group"}},
            "/group_by/noise",
            "sigma",
        ),
        ({"group_by": {"column": "g", "shared": ["th"], "history": True}}, "/group_by/history", ""),
        (
            {
                "group_by": {"column": "g", "noise": "pooled"},
                "confidence_interval": {"method": "profile"},
            },
            "/confidence_interval/method",
            "per_group",
        ),
        (
            {"model": {"name": "mlp"}, "group_by": {"column": "g", "noise": "pooled"}},
            "/group_by",
            "",
        ),
    ],
)
def test_what_has_no_meaning_is_refused_with_its_place(
    change: dict[str, Any], pointer: str, words: str
) -> None:
    request = {"model": DECAY, "data": many(6), "group_by": {"column": "g", "shared": ["th"]}}
    with pytest.raises(InvalidRequest) as caught:
        plan(**{**request, **change})
    (error,) = caught.value.errors
    assert error.pointer == pointer
    assert words in error.detail


def test_it_is_linear_in_the_groups() -> None:
    """The steps of the fit do not grow with the number of groups, and no array has more than a few
    numbers a group."""
    few = plan(model=DECAY, data=many(40), group_by={"column": "g", "shared": ["th"]})
    more = plan(model=DECAY, data=many(800), group_by={"column": "g", "shared": ["th"]})
    ends = [finish(made).ends for made in (few, more)]
    assert int(ends[1].epochs.max()) <= 3 * int(ends[0].epochs.max()) + 10
