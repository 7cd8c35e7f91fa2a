"""Accessibility of the playground: keyboard, narrow screens, themes; and hostile text."""

from __future__ import annotations

from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.web.browser import Browser
from tests.web.playground import Playground

pytestmark = pytest.mark.thorough

CONTRAST = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const rgba = (colour) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const light = ([r, g, b]) => {
  const part = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = rgba(getComputedStyle(at).backgroundColor);
    if (colour[3] === 255) return colour;
  }
  return [255, 255, 255, 255];
};
const low = [];
for (const element of document.querySelectorAll('body *')) {
  const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (!own || !element.checkVisibility() || element.disabled) continue;
  if (['SCRIPT', 'NOSCRIPT', 'OPTION'].includes(element.tagName)) continue;
  const [a, b] = [light(rgba(getComputedStyle(element).color)), light(ground(element))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) low.push(`${element.tagName}#${element.id}.${element.className} ${ratio}`);
}
return low;
"""
NAMELESS = """
return [...document.querySelectorAll('button, input, select, textarea, [role=img]')]
  .filter((e) => e.checkVisibility())
  .filter((e) => !(e.labels?.length || e.ariaLabel || e.textContent.trim()))
  .map((e) => e.id);
"""
HARM = "<img/src=x/onerror=document.title='harm'>"


@pytest.fixture
def page(browser: Browser) -> Playground:
    """The page without replays, which are slow."""
    browser.prefers(reduced_motion="reduce")
    return Playground(browser)


def tab_to(browser: Browser, selector: str, most: int = 60) -> None:
    """Presses Tab until the element has the focus, which must be visible."""
    for _ in range(most):
        if browser.js("return document.activeElement.matches(arguments[0])", selector):
            break
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
    seen = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.js("return document.activeElement.matches(arguments[0])", selector), selector
    assert browser.js(seen) != "none"


def press(browser: Browser, *keys: str) -> None:
    ActionChains(browser.driver).send_keys(*keys).perform()


def test_the_playground_by_keyboard(page: Playground) -> None:
    browser = page.browser
    tab_to(browser, "#rate")
    rate = browser.one("#rate-number").get_attribute("value")
    press(browser, Keys.ARROW_RIGHT)
    assert browser.one("#rate-number").get_attribute("value") != rate
    press(browser, Keys.ARROW_LEFT)
    tab_to(browser, "#run")
    before = page.runs
    press(browser, Keys.ENTER)
    assert page.ended(before) == "diverged"
    tab_to(browser, "[data-code=gradient_imbalance].fix")
    before = page.runs
    press(browser, Keys.ENTER)
    assert page.ended(before) == "max_epochs"
    assert page.verdict() == "trustworthy"
    tab_to(browser, "#seek")
    press(browser, Keys.HOME)
    assert page.text("#readout").startswith("epoch 1 ")


def test_ctrl_enter_runs_and_escape_cancels(page: Playground) -> None:
    page.choose("optimizer", "adam")
    page.type("rate-number", "1e-5")
    page.type("epochs-number", "100000000")
    before = page.runs
    ActionChains(page.browser.driver).key_down(Keys.CONTROL).send_keys(Keys.ENTER).key_up(
        Keys.CONTROL
    ).perform()
    page.browser.wait("Number(document.body.dataset.rows) > 0")
    press(page.browser, Keys.ESCAPE)
    assert page.ended(before) == "cancelled"


def test_controls_have_names_and_changes_are_announced(page: Playground) -> None:
    page.run()
    assert page.browser.js(NAMELESS) == []
    assert page.browser.one("#status-text").get_attribute("aria-live") == "polite"
    assert "from 1,764" in str(page.browser.one("#loss-chart").get_attribute("aria-label"))
    assert "The minimum is at w 0.5368" in str(
        page.browser.one("#surface-chart").get_attribute("aria-label")
    )


@pytest.mark.parametrize("width", [320, 360, 412])
def test_a_narrow_screen_has_no_horizontal_scroll(browser: Browser, width: int) -> None:
    browser.phone(width)
    browser.prefers(reduced_motion="reduce")
    page = Playground(browser)

    def overflow() -> Any:
        return browser.js("return document.documentElement.scrollWidth - innerWidth")

    assert overflow() <= 0
    page.run()
    assert overflow() <= 0
    assert browser.js("return document.getElementById('results').getBoundingClientRect().top") < 400
    browser.one("#terminal summary").click()
    page.run("[data-code=gradient_imbalance] .fix")
    assert overflow() <= 0
    small = browser.js(
        "return [...document.querySelectorAll('button, select')].filter(e => e.checkVisibility())"
        ".filter(e => e.getBoundingClientRect().height < 40).map(e => e.id)"
    )
    assert [name for name in small if not name.startswith("axis")] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast_in_both_themes(browser: Browser, theme: str) -> None:
    browser.prefers(color_scheme=theme, reduced_motion="reduce")
    page = Playground(browser)
    ground = browser.js("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(14, 19, 26)") == (theme == "dark")
    assert browser.js(CONTRAST) == []
    page.run()
    assert browser.js(CONTRAST) == []
    page.run("[data-code=gradient_imbalance] .fix")
    assert browser.js(CONTRAST) == []


def test_the_theme_is_saved(browser: Browser) -> None:
    browser.prefers(color_scheme="light")
    page = Playground(browser)
    light = page.drawing("fit-chart")
    browser.one("#theme").click()
    browser.wait("getComputedStyle(document.body).backgroundColor === 'rgb(14, 19, 26)'")
    browser.wait("document.querySelector('#fit-chart canvas').toDataURL() !== arguments[0]", light)
    Playground(browser)
    assert browser.one("#theme").get_attribute("aria-pressed") == "true"


def test_reduced_motion(browser: Browser) -> None:
    browser.prefers(reduced_motion="reduce")
    page = Playground(browser)
    browser.js(
        "window.played = false; new MutationObserver(() => {"
        "  window.played ||= document.body.dataset.playing === 'true';"
        "}).observe(document.body, {attributes: true})"
    )
    page.choose("scaling", "standardize")
    page.run()
    browser.wait("document.getElementById('readout').textContent.startsWith('epoch 1,000')")
    assert browser.js("return window.played") is False


def test_text_is_escaped(page: Playground) -> None:
    browser = page.browser
    title = browser.driver.title
    page.drop(f"x,y [{HARM}]\n1,2\n2,3.9\n3,6.1\n4,8\n")
    browser.wait("document.getElementById('data-hint').textContent.startsWith('4 rows')")
    assert HARM in page.text("#data-hint")
    page.ready()
    page.run()
    page.choose("model", "formula")
    page.type("formula", f"y = a * x + b + {HARM}")
    browser.one("#run").click()
    browser.wait("document.getElementById('formula').ariaInvalid === 'true'")
    assert browser.driver.title == title
    assert browser.all("main img") == []
    assert [line for line in browser.console() if "422" not in line] == []
