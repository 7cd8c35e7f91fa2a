"""A headless Chromium, driven over DevTools; tests wait for conditions and never sleep."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.soon import PATIENCE_S

_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *(
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--no-proxy-server",
        "--force-device-scale-factor=1",
    ),
)


@dataclass(frozen=True)
class Browser:
    """One window, and the address of the service that it shows."""

    driver: Chrome
    address: str
    downloads: Path

    def open(self, path: str = "/") -> None:
        self.driver.get(f"http://{self.address}{path}")

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def js(self, script: str, *given: Any) -> Any:
        return self.driver.execute_script(script, *given)

    def cdp(self, command: str, **given: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, given)

    def wait(self, condition: str, *given: Any) -> Any:
        """Waits until a JavaScript expression is true; its value."""
        wait = WebDriverWait(self.driver, PATIENCE_S, poll_frequency=0.05)
        try:
            return wait.until(lambda _: self.js(f"return ({condition})", *given))
        except TimeoutException:
            raise AssertionError(f"not so: {condition}; it says {self.status()!r}") from None

    def status(self) -> str:
        return str(self.js("return document.getElementById('status-text')?.textContent ?? ''"))

    def phone(self, width: int = 360, height: int = 800) -> None:
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=True,
        )
        self.cdp("Emulation.setTouchEmulationEnabled", enabled=True)

    def desktop(self, width: int = 1280, height: int = 900) -> None:
        self.cdp("Emulation.setTouchEmulationEnabled", enabled=False)
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def prefers(self, **features: str) -> None:
        """Media features, such as color_scheme="dark"."""
        wanted = [
            {"name": f"prefers-{k.replace('_', '-')}", "value": v} for k, v in features.items()
        ]
        self.cdp("Emulation.setEmulatedMedia", features=wanted)

    def downloaded(self, name: str) -> str:
        """A downloaded file, once it is complete."""
        path = self.downloads / name
        wait = WebDriverWait(self.driver, PATIENCE_S, poll_frequency=0.05)
        wait.until(lambda _: path.exists() and path.stat().st_size > 0, f"{name} did not come")
        return path.read_text(encoding="utf-8")

    def console(self) -> list[str]:
        """The errors in the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requested(self) -> list[str]:
        """The addresses requested since the last call, without those of the browser's own pages
        and data URLs."""
        events = [json.loads(entry["message"]) for entry in self.driver.get_log("performance")]
        sent = [e["message"] for e in events if e["message"]["method"].endswith("WillBeSent")]
        urls = [str(message["params"]["request"]["url"]) for message in sent]
        return [url for url in urls if not url.startswith(("data:", "blob:", "about:", "chrome"))]


@contextmanager
def driving(folder: Path) -> Iterator[Chrome]:
    """A browser whose profile is in that folder."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*_FLAGS, f"--user-data-dir={folder / 'profile'}", "--window-size=1280,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    # Without a proxy between the test, the driver and the service.
    with mock.patch.dict(os.environ, {"NO_PROXY": "*", "no_proxy": "*"}):
        driver = Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()
