"""The playground's report table and its comparison of models, in a browser."""

from __future__ import annotations

import pytest

from tests.web.browser import Browser
from tests.web.playground import Playground

pytestmark = pytest.mark.thorough

DECAY = "hours,conc\n" + "".join(
    f"{x},{y}\n"
    for x, y in (
        *((0, 10.1), (0.5, 8.02), (1, 6.7), (1.5, 5.36), (2, 4.55), (3, 3.02), (4, 2.06)),
        *((5, 1.31), (6, 0.93), (7, 0.58), (8, 0.44), (9, 0.26), (10, 0.21)),
    )
)
COMPARED = "document.getElementById('comparison-status').textContent.includes('families on')"


@pytest.fixture
def page(browser: Browser) -> Playground:
    """An exponential decay, fitted."""
    browser.prefers(reduced_motion="reduce")
    page = Playground(browser)
    assert not page.browser.one("#comparison").is_displayed()
    page.drop(DECAY)
    page.choose("model", "exponential_decay")
    page.choose("optimizer", "auto")
    page.run()
    return page


def cells(page: Playground, selector: str) -> list[str]:
    return [cell.text for cell in page.browser.all(f"{selector} :is(th, td)")]


def test_a_family_reports_what_its_users_want(page: Playground) -> None:
    assert cells(page, "#report thead") == ["report", "value ± error", "interval"]
    name, value, interval = cells(page, "#report [data-report='half_life']")
    assert name == "half_life"
    assert value.startswith("1.7")
    assert "…" in interval


def test_the_families_are_compared_and_one_is_chosen(page: Playground) -> None:
    page.browser.one("#compare").click()
    page.browser.wait(COMPARED)
    assert cells(page, "#comparison-table thead") == [
        "model", "k", "AICc", "Δ", "weight", "verdict",
    ]  # fmt: skip
    first = page.browser.one("#comparison-table [data-rank='1']")
    assert first.find_elements("css selector", "td")[2].text == "0"
    assert "warning 26 models are ranked on 13 rows" in page.text("#comparison-notes")
    assert len(page.browser.all("#comparison-table tbody tr")) == 11
    other = page.browser.one("#comparison-table [data-rank='3']").get_attribute("data-model")
    before = page.runs
    page.browser.one("#comparison-table [data-rank='3'] button").click()
    page.ended(before)
    assert page.browser.one("#model").get_attribute("value") == other
    assert page.browser.all("#comparison-table tr") == []
    assert page.browser.one("#compare").is_enabled()


def test_models_of_several_predictors_are_not_compared(page: Playground) -> None:
    page.drop("u,v,y\n1,2,3.1\n2,1,4.2\n3,5,9\n4,1,6.1\n5,3,9.3\n")
    page.choose("model", "formula")
    page.type("formula", "y = a*u + b*v")
    page.run()
    assert not page.browser.one("#comparison").is_displayed()
