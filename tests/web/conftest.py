"""A service and a browser that shows it, one of each for a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import needs
from tests.serving import serving
from tests.web.browser import Browser, browsing


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of the service, such as 127.0.0.1:54321."""
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def window(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Skips the test without Chromium; fails if DESCENT_CI is 1."""
    for tool in ("chromium", "chromedriver"):
        needs(tool)
    with browsing(address, tmp_path_factory.mktemp("browser")) as browser:
        yield browser


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
