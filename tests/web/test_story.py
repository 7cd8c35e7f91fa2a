"""The story of the thermometer on the playground: every step is sent, and can be changed."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.keys import Keys

from tests.web.browser import Browser
from tests.web.playground import Playground

ANSWERS = {
    1: "35.7, 55.9",
    2: "1,763.88",
    3: "w 4,517.296, b 82.6",
    4: "dloss/dw = mean(dloss/dt_p * dt_p/dw)",
    5: "gradient imbalance",
    6: "w −44.17",
    7: "0.033",
    8: "w 5.3671",
    9: "96.5 °C",
}
"""What the answer of each step says, among other things."""


@pytest.fixture
def page(browser: Browser) -> Playground:
    """The story, opened."""
    browser.prefers(reduced_motion="reduce")
    page = Playground(browser)
    browser.one("#story-open").send_keys(Keys.ENTER)
    return page


def send(page: Playground) -> str:
    """Sends the step's request; its answer."""
    page.browser.one("#story-send").click()
    page.browser.wait("document.querySelector('#story-answer dl')")
    return page.text("#story-answer")


def test_every_step_is_answered(page: Playground) -> None:
    for step, answer in ANSWERS.items():
        assert page.text("#story-step").startswith(f"{step}. ")
        assert page.browser.js("return document.activeElement.id") == "story-step"
        assert answer in send(page)
        page.browser.one("#story-next").send_keys(Keys.ENTER)
    assert page.text("#story-step") == "1. A model"
    page.browser.one("#story-close").click()
    assert not page.browser.one("#story").is_displayed()


def test_a_request_can_be_changed(page: Playground) -> None:
    page.browser.one("#story-next").click()
    model = '"model": "t_c = w * t_u + b"'
    page.type("story-request", f'{{{model}, "params": {{"w": 0.5, "b": -17}}, "residuals": true}}')
    answer = send(page)
    assert "loss\n1,763" not in answer
    assert page.browser.one("#start [name=w]").get_attribute("value") == "0.5"
    page.type("story-request", '{"model": ')
    page.browser.one("#story-send").click()
    page.browser.wait("document.getElementById('story-error').textContent.includes('not JSON')")
    page.type("story-request", f'{{{model}, "params": {{"w": 0.5}}}}')
    page.browser.one("#story-send").click()
    page.browser.wait("document.getElementById('story-error').textContent.includes('b')")
    page.browser.one("#story-reset").click()
    assert "1,763.88" in send(page)
    assert all("status of 422" in line for line in page.browser.console())
