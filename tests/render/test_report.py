"""The report of a terminal: what it says, and that it always fits."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from service import fitting
from service.render.digits import joined, number, uncertain
from service.render.oneline import oneline
from service.render.report import report
from service.schemas.answers import Diagnostic, Fit, FitUrls, ModelSummary, Timings
from service.schemas.base import Answer
from service.schemas.compute import GradientRequest, LossAnswer, Predictions
from service.schemas.grouped import GroupedFit, GroupedPredictBody, Groups
from service.schemas.names import Verdict
from service.schemas.problems import Problem, ProblemError
from tests.render.made import THERMOMETER, descent, fitted
from tests.render.odd import NUMBERS, UNITS, fits

REPORT = """\
t_c = w * t_u + b

  11 rows, solved exactly.
  Trustworthy.

Params
     value  ± error  unit  95 % interval
  w  0.537  ± 0.036        0.456 … 0.617
  b  -17.3  ± 1.9    °C    -21.7 … -12.9

  Correlated: w and b -0.955.

Statistics
  loss                2.92765    R²           0.962046
  residual std          1.892    adjusted R²  0.957829
  degrees of freedom        9    AIC           49.0328
  reduced χ²            3.578    BIC           50.2265

Diagnostics
  No issues found.
"""


def test_a_good_fit() -> None:
    assert report(fitted(THERMOMETER), units={"b": "°C"}) == REPORT


def test_a_fit_that_diverged_tells_the_best_the_reason_and_the_cure() -> None:
    told = report(fitted(descent(1e-2, 100)))
    assert "sgd diverged after 5 epochs." in told
    assert "\n  Untrustworthy: 1 error below.\n" in told
    assert "These are the best, of epoch 1. The last were w = -4.968e8" in told
    assert "✗ learning_rate_too_high (error)" in told
    cure = re.search(r'\{"optimizer".*?\}\}', told, re.DOTALL)
    assert cure is not None
    assert json.loads(cure[0]) == {"optimizer": {"name": "sgd", "learning_rate": 0.0003}}
    assert "Loss by epoch" in told
    assert "it diverged after 5 epochs" in told


FEW: dict[str, Any] = {"data": {"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 4.0]}}
"""A line through three points."""


def test_a_doubtful_fit_counts_its_warnings() -> None:
    told = report(fitted(FEW))
    assert "\n  Doubtful: 1 warning below.\n" in told
    assert "! few_degrees_of_freedom (warning)" in told
    assert "\x1b[33m  Doubtful: 1 warning below." in report(fitted(FEW), color=True)


def test_fixed_params_raw_units_and_reasons() -> None:
    scaled = report(fitted(descent(1e-2, scaling={"t_u": {"scale": 0.1}})))
    assert "Params in raw units\n     value  ± error\n  w  0.537  ± 0.036" in scaled
    fixed = report(fitted({**THERMOMETER, "params": {"w": {"value": 0.5, "fixed": True}}}))
    assert re.search(r"w +0\.5 +fixed", fixed)
    assert "No standard errors:" in report(fitted({**THERMOMETER, "loss": "mae"}))


@given(fits(), st.integers(40, 132), st.dictionaries(st.just("y"), UNITS))
def test_it_is_never_wider_than_asked(fit: Fit, width: int, units: dict[str, str]) -> None:
    told = report(fit, width=width, units={**units, **dict.fromkeys(fit.params, "km/h" * 9)})
    _fits(told, width)


def _fits(told: str, width: int) -> None:
    assert told.endswith("\n")
    for line in told[:-1].split("\n"):
        assert cell_len(line) <= width, line
        assert all(c.isprintable() for c in line), line


@given(fits())
def test_its_colours_take_no_room(fit: Fit) -> None:
    coloured = report(fit, color=True)
    assert "\x1b[1m" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == report(fit)


@given(fits())
def test_a_line_is_a_line(fit: Fit) -> None:
    last = oneline(fit).rstrip("\n").rpartition(" ")[2]
    assert last.partition(":")[0] == fit.verdict
    assert (last == "trustworthy") == fit.trustworthy


def test_lines_for_scripts() -> None:
    assert oneline(fitted(THERMOMETER)) == "w=0.537±0.036 b=-17.3±1.9 r2=0.962 trustworthy\n"
    assert oneline(fitted(FEW)).endswith(" r2=0.964 doubtful:few_degrees_of_freedom\n")
    diverged = oneline(fitted(descent(1e-2, 100)))
    assert diverged.endswith(" r2=-21.9 untrustworthy:learning_rate_too_high\n")


# --- other answers --------------------------------------------------------------------------------


def grouped(count: int = 3) -> GroupedFit:
    keys = [f"plate {i}" for i in range(count)]
    good: list[Verdict] = ["trustworthy"] * (count - 3)
    return GroupedFit(
        job_id="job_1",
        status="succeeded",
        stop_reason="converged",
        converged=True,
        model=ModelSummary(formula="y = a * x + b", inputs=["x"], target="y", params=["a", "b"]),
        predict=GroupedPredictBody(model="y = a * x + b", dtype="float64"),
        optimizer="exact",
        epochs=1,
        groups=Groups(
            by="plate",
            key=[*keys],
            n=[8] * count,
            status=["succeeded"] * count,
            stop_reason=["converged"] * count,
            epochs=[1] * count,
            verdict=["trustworthy", "doubtful", *good, "untrustworthy"],
            trustworthy=[True, False, *[True] * (count - 3), False],
            loss=[0.5] * count,
            r_squared=[0.99] * (count - 1) + [None],
            residual_std=[0.1] * count,
            params={"a": [1.25] * count, "b": [float("nan")] * count},
            stderr={"a": [0.03] * count, "b": [float("nan")] * count},
            diagnostics=[
                ["guessed_start"],
                ["guessed_start", "outliers"],
                *[["guessed_start"]] * (count - 3),
                ["unmoved", "at_bound", "guessed_start"],
            ],
        ),
        diagnostics=[Diagnostic(code="guessed_start", severity="info", message="in every group")],
        verdict="untrustworthy",
        trustworthy=False,
        dropped=None,
        timings=Timings(queued_s=0.0, fit_s=0.0),
        urls=FitUrls(self="", history="", events="", cancel="", plot=""),
    )


def test_groups_are_rows() -> None:
    told = report(grouped())
    assert re.search(r"^  plate +n +a +b +R² +verdict$", told, re.MULTILINE)
    assert "  plate 0  8  1.250±0.030  NaN  0.99    trustworthy\n" in told
    assert "\n  Of them 1 trustworthy, 1 doubtful, 1 untrustworthy.\n" in told
    assert "\x1b[31m  Of them 1 trustworthy" in report(grouped(), color=True)
    assert "Of them 98 trustworthy, 1 doubtful, 1 untrustworthy." in report(grouped(100))
    assert "and 60 more; ?format=csv has them all" in report(grouped(100))
    assert oneline(grouped()).splitlines() == [
        "plate=plate_0 a=1.250±0.030 b=NaN r2=0.99 trustworthy",
        "plate=plate_1 a=1.250±0.030 b=NaN r2=0.99 doubtful:outliers",
        "plate=plate_2 a=1.250±0.030 b=NaN untrustworthy:unmoved,at_bound",
    ]


def test_groups_that_are_all_trustworthy() -> None:
    fit = grouped()
    groups = fit.groups.model_copy(update={"verdict": ["trustworthy"] * 3})
    told = report(fit.model_copy(update={"groups": groups, "verdict": "trustworthy"}))
    assert "\n  All of them are trustworthy.\n" in told


def test_many_params_of_groups_stand_in_blocks() -> None:
    wide = grouped()
    names = [f"param_{i}" for i in range(12)]
    groups = wide.groups.model_copy(
        update={"params": {n: [1.0] * 3 for n in names}, "stderr": {n: [0.5] * 3 for n in names}}
    )
    told = report(wide.model_copy(update={"groups": groups}))
    _fits(told, 80)
    assert all(name in told for name in names)


GRADIENT = fitting.gradient(
    GradientRequest.model_validate({**THERMOMETER, "check": True, "explain": True})
)
OTHERS: list[Answer] = [
    Predictions(
        predictions=np.array([1.0, np.nan]),
        target="y",
        lower=np.array([0.5, 1.0]),
        upper=np.array([1.5, 2.0]),
    ),
    LossAnswer(loss=float("inf"), residuals=np.ones(100)),
    GRADIENT,
    fitted(THERMOMETER).history,
    fitting.model_list(),
    fitting.loss_list(),
    fitting.likelihood_list(),
    fitting.optimizer_list(),
    Problem(
        type="invalid-data",
        title="The data cannot be used",
        status=422,
        detail="column 'x' is empty",
        errors=[ProblemError(pointer="/data/x", detail="column 'x' is empty")],
        request_id="r1",
    ),
]


@pytest.mark.parametrize("answer", OTHERS, ids=lambda answer: type(answer).__name__)
def test_every_answer_has_a_report_that_fits(answer: Answer) -> None:
    _fits(report(answer), 80)


def test_what_they_say() -> None:
    told = report(GRADIENT)
    assert re.search(r"w +4517\.29\d* +4517\.29\d* +4517\.29", told)
    assert "They agree" in told
    assert "dloss/dw" in told
    problem = report(OTHERS[-1])
    assert problem.startswith("422 The data cannot be used\n  /data/x: column 'x' is empty\n")


def test_what_has_no_report_says_so() -> None:
    with pytest.raises(TypeError, match="no report"):
        report(Timings(queued_s=0.0, fit_s=0.0))


# --- digits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.53671, 0.03554, "0.537±0.036"),
        (-17.3012, 1.927, "-17.3±1.9"),
        (5.2, 0.0996, "5.20±0.10"),
        (1234567.8, 1234.0, "1234600±1200"),
        (12345678.0, 99.6, "(1.234568±0.000010)e7"),
        (1e-9, 1.5e-10, "(1.00±0.15)e-9"),
        (1e300, 1e299, "(1.00±0.10)e300"),
        (0.0, 0.5, "0.00±0.50"),
        (-1e-9, 5.0, "0.0±5.0"),
        (1e5, 1e-14, "100000±1e-14"),
        (3.0, None, "3"),
        (float("nan"), 1.0, "NaN±1"),
        (1.0, float("inf"), "1±Infinity"),
        (1.5, 0.0, "1.5±0"),
    ],
)
def test_a_value_has_the_digits_that_its_error_leaves(
    value: float, error: float | None, text: str
) -> None:
    assert joined(value, error) == text


@given(NUMBERS, NUMBERS)
def test_digits_never_run_away(value: float, error: float) -> None:
    ours, theirs = uncertain(value, error)
    assert max(len(ours), len(theirs), len(number(value))) <= 24


@given(st.floats(1e-300, 1e300), st.floats(1e-10, 1.0))
def test_rounding_is_within_the_error(value: float, share: float) -> None:
    error = value * share
    ours, theirs = uncertain(value, error)
    assert abs(float(ours) - value) <= 0.06 * error + 1e-15 * value
    assert float(theirs) == pytest.approx(error, rel=0.06)


def test_a_report_needs_no_torch_fastapi_or_matplotlib() -> None:
    absent = ["torch", "fastapi", "starlette", "matplotlib", "pyarrow"]
    code = f"import sys, service.render.report; print([m for m in {absent} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) == []


def test_units_that_nobody_gave_and_params_too_many() -> None:
    network = {"model": {"name": "mlp", "hidden": [16]}, "epochs": 2}
    data = {"x": [0.0, 1.0, 2.0, 3.0], "y": [0.0, 1.0, 0.5, 0.2]}
    told = report(fitted({**network, "data": data}))
    assert "… and 9 more" in told
    _fits(told, 80)
