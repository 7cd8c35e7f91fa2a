"""The playground of a service that requires an API key."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
from selenium.webdriver.common.keys import Keys

from service.api.middleware.api_keys import new_key
from tests.serving import serving
from tests.soon import PATIENCE_S
from tests.web.browser import Browser
from tests.web.playground import Playground

KEY, LINE = new_key("alice")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Replaces the service of the folder by one that requires keys."""
    with serving(keys=LINE, workers="1") as address:
        yield address


@pytest.fixture
def asked(browser: Browser) -> Iterator[Browser]:
    """The page that asks for a key; the browser's console messages about 401 are ignored, of which
    it has one for each request that the page had begun."""
    browser.prefers(reduced_motion="reduce")
    browser.open()
    browser.wait("document.body.dataset.state === 'asking'")
    yield browser
    assert [line for line in browser.console() if "401" not in line] == []


def enter(browser: Browser, key: str) -> None:
    browser.one("#key").send_keys(Keys.CONTROL, "a")
    browser.one("#key").send_keys(key, Keys.ENTER)


def test_a_key_gives_access_and_is_not_stored(asked: Browser) -> None:
    enter(asked, KEY)
    page = object.__new__(Playground)
    page.browser = asked
    page.ready()
    assert not asked.one("#key-form").is_displayed()
    assert page.run() == "diverged"
    assert (
        int(asked.js("return document.body.dataset.rows")) > 0
    )  # the events were received, not only the result
    kept = (
        "JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}, location.href])"
    )
    held = asked.js(f"return {kept} + document.documentElement.outerHTML")
    assert KEY not in held
    assert asked.js("return document.getElementById('key').value") == ""
    assert not any(KEY in url for url in asked.requested())
    asked.driver.refresh()
    asked.wait("document.body.dataset.state === 'asking'")
    assert [line for line in asked.console() if "401" not in line] == []


def test_a_wrong_key_is_reported_and_can_be_corrected(asked: Browser) -> None:
    enter(asked, "descent_wrong")
    asked.wait("!document.getElementById('key-error').hidden")
    assert asked.one("#key-error").text == "The service does not know this key."
    assert asked.driver.switch_to.active_element == asked.one("#key")
    enter(asked, KEY)
    asked.wait("document.body.dataset.state === 'ready'")


def test_the_curl_command_has_the_variable_and_not_the_key(asked: Browser) -> None:
    enter(asked, KEY)
    asked.wait("document.body.dataset.state === 'ready'")
    asked.one("#terminal summary").click()
    command = asked.one("#curl").text
    assert KEY not in command
    done = subprocess.run(
        ["sh", "-c", command.replace("curl", "curl -s --noproxy '*'", 1)],
        capture_output=True,
        check=True,
        timeout=PATIENCE_S,
        env={"DESCENT_API_KEY": KEY, "PATH": "/usr/bin:/bin"},
    )
    assert json.loads(done.stdout)["stop_reason"] == "diverged"
