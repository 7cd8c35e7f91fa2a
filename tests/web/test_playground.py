"""The worked example on the playground, in a browser."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.soon import PATIENCE_S
from tests.web.browser import Browser
from tests.web.playground import Playground

BEETLES = Path(__file__).parents[1] / "data" / "csv" / "beetle.csv"
MOST_BYTES = 400_000
SPREADSHEET = (
    "\ufeffDose (mg/l);Remark;Response [mV]\r\n"
    "1;ok;2.1\r\n2;ok;3.9\r\n3;;6.2\r\n\r\n4;ok;8.1\r\n5;late;9.8\r\n6;ok;12.2\r\n"
)


@pytest.fixture
def page(browser: Browser) -> Playground:
    """The page without replays, which are slow."""
    browser.prefers(reduced_motion="reduce")
    return Playground(browser)


@pytest.fixture
def moving_page(browser: Browser) -> Playground:
    return Playground(browser)


def test_the_page_is_small_and_opens_with_the_thermometer(page: Playground) -> None:
    sizes = page.browser.js(
        "return performance.getEntries().map(e => e.transferSize ?? 0).reduce((a, b) => a + b)"
    )
    assert 0 < sizes < MOST_BYTES
    assert page.text("#data-hint") == "11 rows: t_u, t_c [°C]"
    assert "Press Run" in page.browser.status()
    assert len(page.browser.all("#fit-chart canvas, #surface-chart canvas")) == 2


def test_a_suggested_fix_of_a_diverged_run_converges(page: Playground) -> None:
    assert page.run() == "diverged"
    assert page.verdict() == "untrustworthy"
    assert "Diverged at epoch 5" in page.browser.status()
    assert "Do not rely on these estimates" in page.text("#verdict")
    codes = [one.get_attribute("data-code") for one in page.browser.all("#diagnostics li")]
    assert codes == ["learning_rate_too_high", "gradient_imbalance"]
    fix = page.browser.one("[data-code=learning_rate_too_high] .fix")
    assert fix.text == "Learning rate 0.0003: run again"
    assert page.text("#fit-note") == "The curve is outside the plot."

    assert page.run("[data-code=gradient_imbalance] .fix") == "max_epochs"
    assert page.browser.one("#scaling").get_attribute("value") == "standardize"
    assert page.verdict() == "trustworthy"
    assert "R² 0.962" in page.browser.status()
    assert page.browser.all("#diagnostics li") == []
    cells = [cell.text for cell in page.browser.all("#params tbody tr td")]
    assert cells[0] == "0.537 ± 0.036"
    assert cells[3] == "−17.3 ± 1.9"
    assert "No issues found" in page.text("#verdict")


def test_the_other_suggested_fix_is_stable_and_has_further_fixes(page: Playground) -> None:
    page.run()
    assert page.run("[data-code=learning_rate_too_high] .fix") == "max_epochs"
    assert page.browser.one("#rate-number").get_attribute("value") == "0.0003"
    assert "Not converged" in page.browser.status()
    assert page.browser.all("[data-code=not_converged] .fix")


def test_a_live_run_and_its_cancellation(moving_page: Playground) -> None:
    page = moving_page
    page.choose("optimizer", "adam")
    page.type("rate-number", "1e-5")
    page.type("epochs-number", "100000000")
    page.browser.one("#run").click()
    growing = "document.body.dataset.state === 'running' && Number(document.body.dataset.rows)"
    rows = page.browser.wait(f"{growing} > 0 && {growing}")
    epoch = int(page.browser.wait("document.body.dataset.epoch"))
    page.browser.wait(f"{growing} > arguments[0]", rows)
    page.browser.wait("Number(document.body.dataset.epoch) > arguments[0]", epoch)
    assert 0 < float(page.browser.one("#progress").get_attribute("value") or 0) < 1
    before = page.drawing("loss-chart")
    page.browser.wait(
        "document.querySelector('#loss-chart canvas').toDataURL() !== arguments[0]", before
    )
    assert not page.browser.one("#run").is_displayed()
    runs = page.runs
    page.browser.one("#cancel").click()
    assert page.ended(runs) == "cancelled"
    assert "best so far" in page.browser.status()
    assert page.browser.one("#run").is_displayed()


@pytest.mark.thorough
def test_any_epoch_can_be_replayed(moving_page: Playground) -> None:
    page = moving_page
    page.choose("scaling", "standardize")
    page.run()
    at_the_end = {name: page.drawing(name) for name in ("fit-chart", "loss-chart", "surface-chart")}
    page.browser.one("#seek").send_keys(Keys.HOME)
    assert page.text("#readout").startswith("epoch 1 · loss 1,764 · w 15.9 · b 50.97")
    for name, drawing in at_the_end.items():
        page.browser.wait(
            "document.querySelector(arguments[0]).toDataURL() !== arguments[1]",
            f"#{name} canvas",
            drawing,
        )


def test_a_dropped_spreadsheet_is_fitted(page: Playground) -> None:
    page.drop(SPREADSHEET)
    page.browser.wait("document.getElementById('data-hint').textContent.startsWith('6 rows')")
    assert page.text("#data-hint") == ("6 rows: Dose [mg/l], Remark (text), Response [mV]")
    page.ready()
    assert page.run() == "converged"
    assert page.verdict() == "trustworthy"
    assert [row.text.split()[0] for row in page.browser.all("#params tbody tr")] == ["w", "b"]


def test_a_doubtful_fit_is_marked(page: Playground) -> None:
    page.drop("x,y\n1,2.1\n2,3.9\n3,6.2\n")
    page.browser.wait("document.getElementById('data-hint').textContent.startsWith('3 rows')")
    page.ready()
    assert page.run() == "converged"
    assert page.verdict() == "doubtful"
    assert page.browser.one("#status").get_attribute("data-kind") == "warn"
    codes = [one.get_attribute("data-code") for one in page.browser.all("#diagnostics li")]
    assert codes == ["few_degrees_of_freedom"]
    assert (
        page.text("#verdict")
        == "Doubtful. See the warnings above before you rely on the estimates."
    )


@pytest.mark.thorough
def test_families_networks_and_several_inputs(page: Playground) -> None:
    page.choose("example", "decay")
    page.browser.wait("document.getElementById('model').value === 'exponential_decay'")
    assert page.run() == "converged"
    assert page.browser.one("#axes").is_displayed()
    page.choose("axis-y", "c")
    page.browser.wait("document.querySelector('#surface-chart').ariaLabel.includes('a and c')")

    page.choose("model", "mlp")
    page.choose("optimizer", "adam")
    page.type("epochs-number", "200")
    assert page.run() == "max_epochs"
    assert "too many" in page.text("#surface-empty")

    page.drop("a,b,y\n1,2,3.1\n2,1,3.0\n3,5,8.2\n4,2,5.9\n5,1,6.1\n6,3,9\n")
    page.browser.wait("document.getElementById('data-hint').textContent.startsWith('6 rows')")
    page.choose("model", "formula")
    page.type("formula", "y = p * a + q * b")
    assert page.run() == "converged"
    assert page.text("#fit-title") == "Predicted against measured"


def test_counts_are_fitted_by_their_likelihood(page: Playground) -> None:
    """Bliss' beetles: the points are proportions, and the statistics those of the likelihood."""
    page.drop(BEETLES.read_text(encoding="utf-8"))
    page.browser.wait("document.getElementById('data-hint').textContent.startsWith('8 rows')")
    page.choose("model", "formula")
    page.type("formula", "dead = 1/(1 + exp(-(a + b*log10_dose)))")
    page.choose("loss", "binomial")
    assert page.text("#weight-label") == "Trials (n)"
    page.choose("weight", "total")
    assert page.run() == "converged"
    assert page.verdict() == "trustworthy"
    assert "11.232" in page.text("#statistics")
    label = page.browser.one("#fit-chart").get_attribute("aria-label")
    assert label is not None
    assert "dead / total" in label
    page.choose("loss", "huber")
    assert not page.browser.one("#weight-field").is_displayed()


def test_an_error_is_shown_at_its_field(page: Playground) -> None:
    field = page.type("formula", "t_c = w * t_u +")
    page.browser.one("#run").click()
    page.browser.wait("document.getElementById('formula').ariaInvalid === 'true'")
    assert "column" in page.text("#formula-error")
    assert page.browser.driver.switch_to.active_element == field
    page.type("formula", "t_c = w * t_u + b")
    assert field.get_attribute("aria-invalid") is None
    page.type("rate-number", "fast")
    page.browser.one("#run").click()
    page.browser.wait("document.getElementById('rate-number').ariaInvalid === 'true'")
    assert "must be a number" in page.text("#rate-error")
    page.drop("x,y\n1,2\n3,4,5\n")
    page.browser.wait("document.getElementById('csv').ariaInvalid === 'true'")
    refused = [line for line in page.browser.console() if "status of 4" not in line]
    assert refused == []


@pytest.mark.thorough
@pytest.mark.parametrize("text", ["x,y\n1,2\n3,4,5\n", "x\n", ""])
def test_refused_data_clear_the_previous_fit(page: Playground, text: str) -> None:
    """The report of the previous fit is removed as well."""
    page.run("#run")
    before = page.runs
    if text:
        page.type("csv", text)
    else:
        page.choose("example", "own")
    page.browser.wait("document.getElementById('verdict').textContent === ''")
    page.browser.one("#run").click()
    assert page.runs == before
    assert "cannot be read" in page.browser.status() or "No data yet" in page.browser.status()
    page.choose("example", "thermometer")
    page.ready()
    page.run()
    assert page.runs == before + 1
    assert [line for line in page.browser.console() if "status of 400" not in line] == []


def test_the_copied_command_runs(page: Playground) -> None:
    page.browser.one("#terminal summary").click()
    command = page.text("#curl")
    assert command.startswith("curl -H 'Content-Type: application/json' -d '")
    done = subprocess.run(
        ["sh", "-c", command.replace("curl", "curl -s --noproxy '*'", 1)],
        capture_output=True,
        check=True,
        timeout=PATIENCE_S,
    )
    assert json.loads(done.stdout)["stop_reason"] == "diverged"
    page.browser.one("#copy").click()
    page.browser.wait("document.getElementById('copied').textContent === 'Copied.'")


def test_the_fit_and_its_predictions_are_downloaded(page: Playground) -> None:
    page.choose("scaling", "standardize")
    page.run()
    for button, name in (("download-fit", "fit.json"), ("download-predictions", "predictions.csv")):
        page.browser.one(f"#{button}").click()
        page.browser.downloaded(name)
    fit = json.loads(page.browser.downloaded("fit.json"))
    assert fit["params_unscaled"]["values"]["w"] == pytest.approx(0.5367, abs=1e-3)
    lines = page.browser.downloaded("predictions.csv").splitlines()
    assert lines[0] == "t_u,t_c [°C],predicted,lower,upper"
    assert len(lines) == 12
