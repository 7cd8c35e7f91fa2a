"""Actions of a user on the playground, by the ids of its elements."""

from __future__ import annotations

from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.web.browser import Browser

DROP = """
const made = new DataTransfer();
made.items.add(new File([arguments[0]], 'dropped.csv', {type: 'text/csv'}));
for (const kind of ['dragover', 'drop'])
  document.body.dispatchEvent(
    new DragEvent(kind, {dataTransfer: made, bubbles: true, cancelable: true}));
"""
CHOOSE = """
const list = document.getElementById(arguments[0]);
list.value = arguments[1];
list.dispatchEvent(new Event('change', {bubbles: true}));
"""


class Playground:
    """The page in a browser."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        browser.open()
        self.ready()

    def ready(self) -> None:
        """Waits until it shows the request."""
        self.browser.wait("document.body.dataset.state === 'ready'")

    @property
    def runs(self) -> int:
        return int(self.browser.js("return Number(document.body.dataset.runs ?? 0)"))

    def run(self, button: str = "#run") -> str:
        """Runs a fit and its replay to the end; the displayed stop reason."""
        before = self.runs
        self.browser.one(button).click()
        return self.ended(before)

    def ended(self, before: int) -> str:
        self.browser.wait("Number(document.body.dataset.runs ?? 0) > arguments[0]", before)
        self.browser.wait("document.body.dataset.playing === 'false'")
        return str(self.browser.js("return document.body.dataset.stopReason"))

    def choose(self, field: str, value: str) -> None:
        self.browser.js(CHOOSE, field, value)

    def type(self, field: str, text: str) -> WebElement:
        """Replaces the value of a field and leaves the field, which applies it."""
        element = self.browser.one(f"#{field}")
        element.send_keys(Keys.CONTROL, "a")
        element.send_keys(text, Keys.TAB)
        return element

    def drop(self, text: str) -> None:
        """Drops a file, and waits until it is read."""
        self.browser.js("document.body.dataset.reading = 'waiting'")
        self.browser.js(DROP, text)
        self.browser.wait("document.body.dataset.reading === 'false'")

    def text(self, selector: str) -> str:
        return self.browser.one(selector).text

    def verdict(self) -> str:
        return str(self.browser.js("return document.body.dataset.verdict"))

    def drawing(self, chart: str) -> str:
        """The current content of a chart's canvas."""
        script = "return document.querySelector(arguments[0] + ' canvas').toDataURL()"
        return str(self.browser.js(script, f"#{chart}"))
