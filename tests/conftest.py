"""What every test shares: one torch thread, tools that may be missing, hypothesis's profile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, settings

from tests.devices import PRETENDED, device, summary
from tests.redis_server import RedisServer, needs

__all__ = ["device", "needs"]

torch.set_num_threads(1)

for profile, examples in (("suite", 40), ("long", 1000)):
    settings.register_profile(
        profile,
        deadline=None,
        derandomize=True,
        max_examples=examples,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
settings.load_profile("suite")  # make fuzz has --hypothesis-profile long

LONGEST = (
    *("test_schemathesis.py", "test_clock.py", "test_worker_death.py"),
    *("test_soak.py", "test_state_machine.py", "test_shutdown.py", "test_forkserver.py"),
    *("test_scale.py", "test_they_start.py", "test_playground.py", "test_commands.py"),
)
"""The files that take longest: begun first, so that none is left for one core at the end."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begins with the longest; leaves out what is `long` where CUDA is pretended, since each
    operation takes ten times as long there."""
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        given = getattr(item, "callspec", None)
        pretended = given is not None and given.params.get("device") == PRETENDED
        (left if pretended and item.get_closest_marker("long") else kept).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = sorted(kept, key=lambda item: item.path.name not in LONGEST)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A GPU is no tool that a machine must have; so that nobody takes silence for a test on one."""
    terminalreporter.write_line(summary())


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis for all tests of this process, each in its own cell."""
    needs("redis-server")
    server = RedisServer()
    server.start()
    yield server
    server.close()
