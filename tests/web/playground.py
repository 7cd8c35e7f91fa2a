"""The playground's own moves: what a person does on it, by its ids."""

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
        """It shows what would be run."""
        self.browser.wait("document.body.dataset.state === 'ready'")

    @property
    def runs(self) -> int:
        return int(self.browser.js("return Number(document.body.dataset.runs ?? 0)"))

    def run(self, button: str = "#run") -> str:
        """Runs to the end, and its replay too; how it ended."""
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
        """In place of what was there; leaving the field makes it count."""
        element = self.browser.one(f"#{field}")
        element.send_keys(Keys.CONTROL, "a")
        element.send_keys(text, Keys.TAB)
        return element

    def drop(self, text: str) -> None:
        self.browser.js(DROP, text)

    def text(self, selector: str) -> str:
        return self.browser.one(selector).text

    def verdict(self) -> str:
        return str(self.browser.js("return document.body.dataset.verdict"))

    def drawing(self, chart: str) -> str:
        """What a chart's canvas shows now."""
        script = "return document.querySelector(arguments[0] + ' canvas').toDataURL()"
        return str(self.browser.js(script, f"#{chart}"))
