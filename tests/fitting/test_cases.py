"""Fits of others that a verdict was once wrong about: `tests/data/cases`, each with what is right.

None is called trustworthy short of the loss that is known, and every patch that is on offer changes
the request, removes its diagnostic and leads no further from that loss.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.errors import InvalidRequest
from service.schemas.answers import Fit
from tests.fitting.fits import codes, cured, fit, merge

CASES = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parents[1] / "data" / "cases").glob("*.json"))
}
REFUSED = {"misnamed_column"}
LOWEST = {
    # Lower than the loss on record, which is that of another minimum.
    "alarm_unmoved_huge_phase": 0.00743253,
    "barrier_with_1e-16": 6166.17,
    "dose_inhibition_scaled": 0.000737117,
    "fortnightly_year": 0.726286,
    "gaussian_started_far": None,
    "hourly_temperature_sine": 0.0184466,
    "lattice_strain_constants": 0.00517247,
    "transit_depth": 9.91255e-07,
    "two_lines_at_6558": 4.79649e-07,
    "power_law_large_x": 98762.2,
    "step_in_noise": 0.0812604,
    # With residuals over sigma, unlike the loss on record.
    "trust_search_sine": 0.49383,
}
"""The lowest loss that is known, where the case says it by its params or in words."""
BEYOND_THE_SEARCH = {"trust_search_osborne2"}
"""Those without a start whose best end is not found; they are not called trustworthy."""
UNDETERMINED = {
    "trust_param_se_80000x": ("k",),
    "two_exponentials_undetermined": ("a1",),
}


def lowest(name: str) -> float | None:
    """The loss that is right, where it is known."""
    known = LOWEST.get(name, CASES[name]["right"].get("loss"))
    return None if known is None else float(known)


def reached(found: Fit, name: str) -> bool:
    loss = lowest(name)
    size = float(np.square(np.array(CASES[name]["request"]["data"][found.model.target])).mean())
    return loss is None or found.loss <= 1.01 * loss + 1e-18 * size


FITTED = [name for name in CASES if name not in REFUSED]


@pytest.mark.parametrize("name", FITTED)
def test_it_is_trusted_at_the_lowest_loss_alone(name: str) -> None:
    found = fit(**CASES[name]["request"])
    if found.verdict == "trustworthy":
        assert reached(found, name)
    if not CASES[name]["request"].get("params") and name not in BEYOND_THE_SEARCH:
        assert reached(found, name)


@pytest.mark.parametrize("name", FITTED)
def test_a_patch_that_is_on_offer_cures(name: str) -> None:
    request: dict[str, Any] = CASES[name]["request"]
    before = fit(**request)
    for diagnostic in before.diagnostics:
        if diagnostic.suggestion is None:
            continue
        changed = merge(request, diagnostic.suggestion)
        assert changed != request, diagnostic.code
        after = fit(**changed)
        assert diagnostic.code not in codes(after), diagnostic
        if reached(before, name) and "loss" not in diagnostic.suggestion:
            assert reached(after, name), diagnostic


@pytest.mark.parametrize("name", UNDETERMINED)
def test_what_the_data_do_not_determine_is_named(name: str) -> None:
    found = fit(**CASES[name]["request"])
    assert found.verdict == "untrustworthy"
    (said,) = [each for each in found.diagnostics if each.code == "undetermined"]
    assert set(UNDETERMINED[name]) <= set(said.params or ())


def test_a_column_that_is_misnamed_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="did you mean 't'"):
        fit(**CASES["misnamed_column"]["request"])


@pytest.mark.parametrize("name", ["fortnightly_year", "hourly_temperature_sine"])
def test_the_lowest_of_equal_frequencies_is_found(name: str) -> None:
    found = fit(**CASES[name]["request"])
    for param, value in CASES[name]["right"]["params"].items():
        assert found.params[param] == pytest.approx(value, rel=1e-3)
    if "p" in found.params:
        assert abs(found.params["p"]) <= math.pi


def test_a_peak_fitted_to_scaled_inputs_is_had_in_raw_units() -> None:
    case = CASES["gaussian_min_max_5_to_14"]["request"]
    start = {"a": 5, "x0": 9.5, "sigma": 2.25}  # x0 0.5 and sigma 0.25 on 0 … 1
    scaled = fit(**{**case, "params": start}).params_unscaled
    raw = fit(model=case["model"], data=case["data"])
    assert scaled is not None
    assert scaled.stderr is not None
    assert raw.statistics.stderr is not None
    for name, value in raw.params.items():
        assert abs(scaled.values[name]) == pytest.approx(abs(value), rel=1e-6)
        assert scaled.stderr[name] == pytest.approx(raw.statistics.stderr[name], rel=1e-5)


def test_a_start_far_from_the_peak_is_cured_in_raw_units() -> None:
    before, after = cured(CASES["gaussian_min_max_5_to_14"]["request"], "better_minimum")
    assert before.verdict == "untrustworthy"
    assert before.params_unscaled is not None
    assert after.trustworthy
    assert after.params_unscaled is not None
    assert after.params_unscaled.values["x0"] == pytest.approx(10.016, abs=1e-3)


def test_any_place_between_two_rows_is_as_good_for_a_step() -> None:
    found = fit(**CASES["step_in_noise"]["request"])
    assert found.verdict == "doubtful"
    (said,) = [each for each in found.diagnostics if each.code == "step_param"]
    low, high = (
        float(word) for word in said.message.split(" gives")[0].split(" between ")[1].split(" and ")
    )
    for p in (0.9 * low + 0.1 * high, 0.1 * low + 0.9 * high):
        params = {**found.params, "p": {"value": p, "fixed": True}}
        assert fit(**CASES["step_in_noise"]["request"], params=params).loss == found.loss
