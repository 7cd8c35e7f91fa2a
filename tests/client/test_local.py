"""A service for a block, and progress in a notebook."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from service.api.examples import T_C, T_U
from service.client import AsyncDescent, Descent, Fit
from service.client.embedded import CannotStart
from service.client.notebook import Bar

DATA = {"t_u": T_U, "t_c": T_C}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a notebook shows."""
    found: list[str] = []

    def display(bar: Bar, display_id: bool) -> Any:
        found.append(bar._repr_html_())
        return SimpleNamespace(update=lambda bar: found.append(bar._repr_html_()))

    ipython = SimpleNamespace(
        get_ipython=lambda: object(), display=SimpleNamespace(display=display)
    )
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    return found


def test_a_service_lives_as_long_as_its_block(shown: list[str]) -> None:
    with Descent.local(workers=1) as client:
        address = client.url
        job = client.submit("t_c = w * t_u + b", DATA, optimizer="adam", epochs=500)
        fit = job.follow()
        assert isinstance(fit, Fit)
        assert fit.epochs == 500
    assert shown[-1] == ""
    assert any("epoch" in each and "of 500" in each for each in shown) or len(shown) == 1
    with pytest.raises(httpx.ConnectError):
        httpx.get(address, timeout=5)


async def test_an_asynchronous_one_does_too() -> None:
    async with AsyncDescent.local(workers=1) as client:
        address = client.url
        fit = await client.fit("t_c = w * t_u + b", DATA)
        assert fit.verdict == "trustworthy"
    with pytest.raises(httpx.ConnectError):
        httpx.get(address, timeout=5)


def test_one_that_does_not_start_says_why() -> None:
    with pytest.raises(CannotStart, match="DESCENT_WORKERS"), Descent.local(workers=-1):
        pass
