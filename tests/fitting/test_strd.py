"""StRD by levenberg_marquardt, from both starts, as a request says it."""

from __future__ import annotations

import pytest

from tests import nist
from tests.fitting.fits import codes, fit

pytestmark = pytest.mark.usefixtures("device")

PARAM_DIGITS, ERROR_DIGITS = 6.0, 4.0
"""Issue 3: of the 11 certified digits."""

CASES = [(name, start) for name in nist.FORMULAS for start in (0, 1)]


@pytest.mark.parametrize(("name", "start"), CASES)
def test_a_certified_problem(name: str, start: int) -> None:
    known = nist.load(name)
    answer = fit(
        model=known.formula,
        data=known.data,
        params=known.starts[start],
        optimizer="levenberg_marquardt",
    )
    assert answer.stop_reason == "converged"
    assert answer.verdict == nist.verdict(name)
    warned = [code for code, severity in codes(answer).items() if severity == "warning"]
    assert warned == nist.DOUBTS.get(name, [])
    stderr, statistics = answer.statistics.stderr, answer.statistics
    assert stderr is not None
    for param, certified in known.params.items():
        assert nist.digits(answer.params[param], certified) >= PARAM_DIGITS
        assert nist.digits(stderr[param], known.stderr[param]) >= ERROR_DIGITS
    rows = statistics.n
    assert nist.digits(answer.loss * rows, known.rss) >= 9
    assert statistics.residual_std is not None
    assert nist.digits(statistics.residual_std, known.residual_std) >= 9


@pytest.mark.parametrize("name", ["Misra1a", "Gauss1", "Rat43", "Nelson"])
def test_the_automatic_choice_is_the_same(name: str) -> None:
    known = nist.load(name)
    answer = fit(model=known.formula, data=known.data, params=known.starts[1])
    assert answer.optimizer == "levenberg_marquardt"
    for param, certified in known.params.items():
        assert nist.digits(answer.params[param], certified) >= PARAM_DIGITS


@pytest.mark.parametrize("name", ["DanWood", "Misra1a", "Chwirut1", "Roszman1"])
@pytest.mark.parametrize("start", [0, 1])
def test_lbfgs_gets_there_too_or_says_that_it_did_not(name: str, start: int) -> None:
    """To 4 digits: it knows no residuals. Params 10⁶ apart in size can stall it."""
    known = nist.load(name)
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
        assert nist.digits(answer.params[param], certified) >= 4
