"""A service for a file, and a browser that shows it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from tests.conftest import needs
from tests.serving import serving
from tests.web.browser import Browser, driving


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of the service, such as 127.0.0.1:54321."""
    with serving() as address:
        yield address


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Skips the test without Chromium; fails if DESCENT_CI is 1."""
    for tool in ("chromium", "chromedriver"):
        needs(tool)
    with driving(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


@pytest.fixture(scope="module")
def window(address: str, driver: Chrome, tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """The browser for the service, with a folder of its own for downloads."""
    window = Browser(driver, address, tmp_path_factory.mktemp("downloads"))
    window.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(window.downloads))
    return window


@pytest.fixture
def browser(window: Browser) -> Iterator[Browser]:
    """The window at its default size, without stored data. After the test the console has no
    errors, and no other host was requested."""
    window.desktop()
    window.prefers()
    window.driver.get("about:blank")
    window.cdp("Storage.clearDataForOrigin", origin=f"http://{window.address}", storageTypes="all")
    window.console()
    window.requested()
    yield window
    assert window.console() == []
    elsewhere = [
        url for url in window.requested() if not url.startswith(f"http://{window.address}/")
    ]
    assert elsewhere == []
