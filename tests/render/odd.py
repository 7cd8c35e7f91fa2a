"""Fits as odd as the wire allows, for properties that hold of every one."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from service.schemas import answers as wire
from service.schemas.names import Verdict
from service.schemas.statistics import ConfidenceInterval, Statistics

NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 1e-320, 1e300, 5e-324, 1.0, 9.9999999, 123456.789]),
)
NAMES = st.text(min_size=1, max_size=40) | st.sampled_from(
    [
        "w",
        "a" * 300,
        "温度" * 30,
        "é̀̂",
        "\x1b[31mred",
        "a\tb\nc",
        "$x_{1}$",
        "👩‍👩‍👧‍👦",
        "=1+1",
        "a,b",
    ]
)
VERDICTS: list[Verdict] = ["trustworthy", "doubtful", "untrustworthy"]
UNITS = st.text(max_size=30)


def _named(names: list[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(dict.fromkeys(names, values))


@st.composite
def fits(draw: st.DrawFn) -> wire.Fit:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    free = names[: draw(st.integers(0, len(names)))]
    by_name, of_free = _named(names, NUMBERS), _named(free, NUMBERS)
    matrix = st.none() | _named(free, of_free)
    rows = draw(st.integers(0, 6))
    column = st.lists(NUMBERS, min_size=rows, max_size=rows)
    code = st.sampled_from(["non_finite", "x" * 90])
    patch = st.none() | st.dictionaries(NAMES, NUMBERS | st.text(max_size=120), max_size=2)
    return wire.Fit(
        job_id="job_1",
        status="succeeded",
        stop_reason=draw(st.sampled_from(["converged", "diverged", "max_epochs", "cancelled"])),
        converged=False,
        model=wire.ModelSummary(
            formula=draw(NAMES) * draw(st.integers(1, 9)), inputs=[], target="y", params=names
        ),
        params=draw(by_name),
        params_unscaled=None,
        loss=draw(NUMBERS),
        epochs=draw(st.integers(0, 10**12)),
        optimizer=draw(st.sampled_from(["exact", "sgd"])),
        curvature=None,
        best=wire.Best(epoch=3, loss=draw(NUMBERS), params=draw(by_name)),
        statistics=Statistics(
            stderr=draw(st.none() | of_free),
            covariance=None,
            covariance_reason=draw(st.none() | st.text(max_size=200)),
            correlation=draw(matrix),
            confidence_interval=draw(
                st.none()
                | st.builds(
                    ConfidenceInterval,
                    level=st.floats(0.01, 0.999999999),
                    method=st.sampled_from(["t", "profile"]),
                    lower=of_free,
                    upper=of_free,
                )
            ),
            r_squared=draw(st.none() | NUMBERS),
            adjusted_r_squared=draw(NUMBERS),
            aic=draw(NUMBERS),
            aicc=None,
            bic=draw(NUMBERS),
            reduced_chi_squared=None,
            residual_std=draw(NUMBERS),
            degrees_of_freedom=draw(st.integers(-5, 10**9)),
            n=draw(st.integers(0, 10**9)),
        ),
        diagnostics=draw(
            st.lists(
                st.builds(
                    wire.Diagnostic,
                    code=code,
                    severity=st.sampled_from(["info", "warning", "error"]),
                    message=st.text(max_size=300),
                    suggestion=patch,
                ),
                max_size=2,
            )
        ),
        verdict=(verdict := draw(st.sampled_from(VERDICTS))),
        trustworthy=verdict == "trustworthy",
        dropped=None,
        history=wire.History(
            epoch=list(range(1, rows + 1)),
            loss=draw(column),
            params={},
            gradient={},
            total=rows,
            thinned=False,
        ),
        predict=wire.PredictBody(model="y", params=draw(by_name), dtype="float64"),
        timings=wire.Timings(queued_s=0.0, fit_s=0.0),
        urls=wire.FitUrls(self="", history="", events="", cancel="", plot=""),
    )
