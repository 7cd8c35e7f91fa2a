"""The playground's box for unknowns, in a browser."""

from __future__ import annotations

import pytest

from tests.web.browser import Browser
from tests.web.playground import Playground

pytestmark = pytest.mark.thorough

STANDARDS = "conc,od\n" + "".join(
    f"{x},{y}\n"
    for x, y in (
        *((0, 0.051), (0, 0.048), (2, 0.094), (2, 0.089), (4, 0.152), (4, 0.16)),
        *((8, 0.318), (8, 0.305), (16, 0.67), (16, 0.702), (32, 1.255), (32, 1.214)),
        *((64, 1.78), (64, 1.83), (128, 2.142), (128, 2.101)),
    )
)
TYPE = """
const box = document.getElementById('readings');
box.value = arguments[0];
box.dispatchEvent(new Event('input', {bubbles: true}));
"""


@pytest.fixture
def page(browser: Browser) -> Playground:
    """A standard curve, fitted."""
    browser.prefers(reduced_motion="reduce")
    page = Playground(browser)
    assert not page.browser.one("#unknowns").is_displayed()
    page.drop(STANDARDS)
    page.choose("model", "logistic4")
    page.choose("optimizer", "auto")
    page.run()
    return page


def read_back(page: Playground, readings: str) -> list[list[str]]:
    """The cells of the table once the readings are answered."""
    page.browser.js(TYPE, readings)
    page.browser.wait("document.getElementById('unknowns-status').textContent.includes('sample')")
    return [
        [cell.text for cell in row.find_elements("css selector", "th, td")]
        for row in page.browser.all("#unknowns-table tbody tr")
    ]


def test_readings_are_read_back_from_the_curve(page: Playground) -> None:
    assert page.text("#readings-label") == "Readings of od, one in a line"
    rows = read_back(page, "S1 0.41\nS1;0.432\n\nS2,0.97\nwater 2.31\n")
    assert rows[0] == ["S1", "2", "10.30 ± 0.36", "9.528 … 11.08"]
    assert rows[1][0] == "S2"
    assert rows[2] == ["water", "1", "–", "–"]
    (why,) = rows[3]
    assert why.startswith("above the curve: no conc from 0 to 256 has this reading")
    assert page.text("#unknowns-status") == "3 samples, 95 % inversion intervals."


def test_lines_without_names_are_samples(page: Playground) -> None:
    rows = read_back(page, "0.41\n0.432")
    assert [row[0] for row in rows] == ["1", "2"]


@pytest.mark.parametrize(
    ("readings", "why"),
    [
        ("0,41", "Line 1: “0,41” has a decimal comma; write a point instead."),
        ("0.4\nS1", "Line 2: “S1” does not end with a number."),
    ],
)
def test_a_bad_line_is_named(page: Playground, readings: str, why: str) -> None:
    read_back(page, "0.41")
    page.browser.js(TYPE, readings)
    page.browser.wait("document.getElementById('unknowns-error').textContent")
    assert page.text("#unknowns-error") == why
    assert page.browser.one("#readings").get_attribute("aria-invalid") == "true"
    assert page.browser.all("#unknowns-table tr") == []


def test_a_new_fit_reads_the_same_readings_and_other_models_hide_the_box(page: Playground) -> None:
    before = read_back(page, "0.41")
    page.choose("model", "logistic3")
    page.browser.wait("document.getElementById('unknowns').hidden")
    page.run()
    page.browser.wait("document.querySelector('#unknowns-table tbody tr')")
    after = [cell.text for cell in page.browser.all("#unknowns-table tbody td")]
    assert after[1] != before[0][2]
    page.choose("model", "mlp")
    page.run()
    assert not page.browser.one("#unknowns").is_displayed()
