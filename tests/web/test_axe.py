"""axe-core finds nothing on the playground, in both themes, on a desk and on a phone."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.web.browser import Browser
from tests.web.playground import Playground

RUN = """
const done = arguments[0];
axe.run(document).then(({violations}) => done(
  violations.map(({id, nodes}) => [id, nodes.map((node) => node.target.join(' '))])));
"""
OPEN_ALL = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"


def violations(browser: Browser) -> Any:
    """The rules that are broken, each with the selectors of the elements."""
    spec = find_spec("axe_core_python")
    assert spec is not None
    assert spec.origin is not None
    source = (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")
    browser.cdp("Runtime.evaluate", expression=source)
    return browser.driver.execute_async_script(RUN)


@pytest.mark.thorough
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("is_phone", [False, True])
def test_axe_finds_nothing(browser: Browser, theme: str, is_phone: bool) -> None:
    if is_phone:
        browser.phone(390, 844)
    browser.prefers(color_scheme=theme, reduced_motion="reduce")
    page = Playground(browser)
    page.run()
    browser.js(OPEN_ALL)
    browser.wait("document.querySelectorAll('#checks-list li').length > 10")
    assert violations(browser) == []
    page.run("[data-code=gradient_imbalance] .fix")
    page.type("predict-at", "40\n50")
    browser.wait("document.querySelector('#predict-table tbody tr')")
    # not by the mouse: the story moves what is below it
    browser.js("document.getElementById('story-open').click()")
    browser.js("document.getElementById('story-send').click()")
    browser.wait("document.querySelector('#story-answer dl')")
    assert violations(browser) == []


@pytest.mark.thorough
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("is_phone", [False, True])
@pytest.mark.parametrize(
    "page", ["/guide", "/guide/reference/data.md", "/guide/reference/pictures.md"]
)
def test_axe_finds_nothing_in_the_guide(
    browser: Browser, theme: str, is_phone: bool, page: str
) -> None:
    if is_phone:
        browser.phone(390, 844)
    browser.prefers(color_scheme=theme)
    browser.open(page)
    assert browser.one("h1").is_displayed()
    assert violations(browser) == []
    wide = browser.js("return document.documentElement.scrollWidth > window.innerWidth")
    assert not wide
