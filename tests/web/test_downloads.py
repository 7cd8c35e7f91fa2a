"""What is taken away from the playground: a link, pictures; and the checks behind a verdict."""

from __future__ import annotations

import pytest

from tests.web.browser import Browser
from tests.web.playground import Playground

pytestmark = pytest.mark.thorough

SEMICOLONS = "Zeit [s];Weg [m]\n0,32;0,5\n0,45;1,0\n0,55;1,5\n0,64;2,0\n0,71;2,5\n"
COPIED = "document.getElementById('taken').textContent.includes('It holds the data')"


@pytest.fixture
def page(browser: Browser) -> Playground:
    """The page without replays, which are slow."""
    browser.prefers(reduced_motion="reduce")
    return Playground(browser)


def test_a_link_holds_the_whole_request(page: Playground) -> None:
    page.drop(SEMICOLONS)
    assert "decimal comma" in str(
        page.browser.js("return document.querySelector('#reading-hint').textContent")
    )
    page.choose("model", "formula")
    page.type("formula", "Weg = g/2 * Zeit**2")
    page.browser.one("#link").click()
    page.browser.wait(COPIED)
    address = page.browser.driver.current_url
    command = page.browser.js("return document.getElementById('curl').textContent")
    page.browser.driver.get("about:blank")
    page.browser.driver.get(address)
    page.ready()
    assert page.browser.js("return document.getElementById('curl').textContent") == command
    assert page.browser.one("#csv").get_attribute("value") == SEMICOLONS
    assert page.run() == "converged"
    assert "g [m/s^2]" in page.text("#params").replace("²", "^2")
    assert not any("#request" in url for url in page.browser.requested())


def test_a_broken_link_says_so(browser: Browser) -> None:
    browser.open("/#request=abc")
    browser.wait("document.body.dataset.state === 'ready'")
    browser.wait("document.getElementById('problem').textContent.includes('link is broken')")


def test_pictures_are_downloaded(page: Playground) -> None:
    page.choose("scaling", "standardize")
    page.run()
    page.browser.one("#download-picture").click()
    assert "<svg" in page.browser.downloaded("fit.svg")
    page.choose("picture", "residuals")
    page.choose("picture-format", "txt")
    page.browser.one("#download-picture").click()
    assert page.browser.downloaded("residuals.txt")


def test_the_checks_behind_the_verdict_are_listed(page: Playground) -> None:
    page.run()
    page.browser.one("#checks summary").click()
    page.browser.wait("document.querySelectorAll('#checks-list li').length > 10")
    first = page.browser.one("#checks-list li")
    assert first.text.startswith("Learning rate too high: found")
    assert "not found" in page.text("#checks-list [data-code=few_degrees_of_freedom]")


def test_how_it_is_read_can_be_stated(page: Playground) -> None:
    page.drop("x,y\n01/02/2021,1\n02/02/2021,2\n03/02/2021,3.2\n")
    assert "dates=dmy" in page.text("#csv-error")
    page.browser.one("#reading summary").click()
    page.choose("dates", "dmy")
    page.browser.wait("document.getElementById('data-hint').textContent.startsWith('3 rows')")
    assert "since 01/02/2021" in page.text("#reading-hint")
    assert all("status of 422" in line for line in page.browser.console())


def test_a_line_solved_at_once_has_no_path(page: Playground) -> None:
    page.choose("optimizer", "auto")
    page.run()
    assert not page.browser.one("#way-charts").is_displayed()
    assert "in one step" in page.text("#way-none")


def test_ticks_of_a_million_epochs_are_apart(page: Playground) -> None:
    script = """
      const {axis, colours} = await import('./assets/js/frame.js');
      const made = axis('epoch', colours());
      const space = made.space(null, 0, 1, 1e6, 300);
      const texts = made.values(null, [0, 500000, 1000000]);
      return [space, texts];
    """
    space, texts = page.browser.driver.execute_async_script(
        "const done = arguments[0]; (async () => {" + script + "})().then(done);"
    )
    assert texts == ["0", "500,000", "1,000,000"]
    assert space > 9 * 7
