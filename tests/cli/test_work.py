from __future__ import annotations

from importlib import util

import pytest
from typer.testing import CliRunner

from service.app import create_app
from service.cli import checks, main
from service.jobs.redis.tickets import next_database
from service.jobs.scale import BadRedis, NoScale
from service.settings import Settings


def test_a_node_needs_a_redis() -> None:
    result = CliRunner().invoke(main, ["work"], env={"DESCENT_REDIS_URL": ""})
    assert result.exit_code == 2
    assert "DESCENT_REDIS_URL" in result.output


def test_the_doctor_does_not_show_the_passwords_of_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DESCENT_REDIS_URL", "DESCENT_BROKER_URL"):
        monkeypatch.setenv(name, "rediss://user:secret@host:6379/0")
    said = " ".join(check.text for check in checks.settings())
    assert "secret" not in said
    assert "DESCENT_BROKER_URL=…, DESCENT_REDIS_URL=…" in said


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.jobs.scale.find_spec", lambda name: None)
    create_app(Settings())
    with pytest.raises(NoScale, match=r"pip install '.\[server,scale\]'"):
        create_app(Settings(redis_url="redis://localhost"))
    assert util.find_spec("redis") is not None


@pytest.mark.parametrize(
    ("url", "following"),
    [
        ("redis://host", "redis://host/1"),
        ("rediss://user:word@host:6380/2", "rediss://user:word@host:6380/3"),
        ("redis://host/?db=4&protocol=3", "redis://host/5?protocol=3"),
        ("unix:///run/redis?db=0", "unix:///run/redis?db=1"),
        ("unix:///run/redis", "unix:///run/redis?db=1"),
    ],
)
def test_tickets_have_a_database_of_their_own(url: str, following: str) -> None:
    assert next_database(url) == following


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "http://localhost",
        "redis://:secret@localhost:abc/0",
        "redis://:sec/ret@localhost/0",
        "redis://localhost/secret",
        "redis:///0",
        "unix:///run/redis?db=secret",
    ],
)
@pytest.mark.parametrize("command", ["serve", "work"])
def test_what_is_no_url_of_a_redis_is_refused_without_its_password(url: str, command: str) -> None:
    result = CliRunner().invoke(main, [command], env={"DESCENT_REDIS_URL": url})
    assert result.exit_code == 2
    assert "DESCENT_REDIS_URL" in result.output
    assert "rediss://user:password@host" in result.output
    assert "sec" not in result.output


def test_an_unknown_option_of_the_url_is_named() -> None:
    settings = Settings(redis_url="redis://host", broker_url="redis://host/?secure=1")
    with pytest.raises(BadRedis, match=r"DESCENT_BROKER_URL.*'secure'"):
        create_app(settings)
