"""StRD by levenberg_marquardt, from both starts, as a request says it.

The digits over HTTP are those of GET /certify: tests/end_to_end/test_certify_http.py.
"""

from __future__ import annotations

import pytest

from service.certification.agreement import digits_of
from service.certification.strd import ERROR_DIGITS, FORMULAS, PARAM_DIGITS, load
from tests.fitting.fits import codes, fit

pytestmark = pytest.mark.usefixtures("device")

CASES = [(name, start) for name in FORMULAS for start in (0, 1)]
DOUBTS = {
    "Bennett5": ["outliers"],
    "Chwirut1": ["outliers", "autocorrelated_residuals"],
    "Chwirut2": ["outliers"],
    "Eckerle4": ["non_constant_spread"],
    "Kirby2": ["autocorrelated_residuals"],
    "Lanczos2": ["outliers"],
    "Nelson": ["autocorrelated_residuals"],
}
"""What is said of problems whose certified answer leaves a pattern in the residuals."""
ROUNDED = ("Lanczos1",)
"""Problems whose residuals are as small as the rounding of their data."""


@pytest.mark.parametrize(("name", "start"), CASES)
def test_a_certified_problem(name: str, start: int) -> None:
    known = load(name)
    answer = fit(
        model=known.formula,
        data=known.data,
        params=known.starts[start],
        optimizer="levenberg_marquardt",
    )
    assert answer.stop_reason == "converged"
    assert answer.verdict == ("doubtful" if name in DOUBTS else "trustworthy")
    warned = [code for code, severity in codes(answer).items() if severity == "warning"]
    assert warned == DOUBTS.get(name, [])
    stderr, statistics = answer.statistics.stderr, answer.statistics
    assert stderr is not None
    fewer = name in ROUNDED
    for param, certified in known.params.items():
        assert digits_of(answer.params[param], certified) >= PARAM_DIGITS
        assert digits_of(stderr[param], known.stderr[param]) >= (2 if fewer else ERROR_DIGITS)
    # So the data are NIST's.
    assert digits_of(answer.loss * statistics.n, known.rss) >= (2 if fewer else 9)
    assert statistics.residual_std is not None
    assert digits_of(statistics.residual_std, known.residual_std) >= (2 if fewer else 9)


@pytest.mark.parametrize("name", ["DanWood", "Misra1a", "Chwirut1", "Roszman1"])
@pytest.mark.parametrize("start", [0, 1])
def test_lbfgs_gets_there_too_or_says_that_it_did_not(name: str, start: int) -> None:
    """To 4 digits: it knows no residuals. Params 10⁶ apart in size can stall it."""
    known = load(name)
    answer = fit(
        model=known.formula,
        data=known.data,
        params=known.starts[start],
        optimizer="lbfgs",
        epochs=20_000,
    )
    if not answer.converged:
        assert answer.stop_reason == "stalled"
    if "not_converged" in codes(answer):
        return
    for param, certified in known.params.items():
        assert digits_of(answer.params[param], certified) >= 4
