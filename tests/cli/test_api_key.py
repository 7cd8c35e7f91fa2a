"""The command line and the client against a service that requires keys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.api.middleware.api_keys import new_key
from service.client import AccessError, AsyncDescent, Descent, NotFoundError
from tests.cli.conftest import Run
from tests.client.parts import DATA
from tests.resilience.servers import Server, started

KEY, LINE = new_key("alice")
OTHER, OTHER_LINE = new_key("bob")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Replaces the server of the folder by one that requires keys."""
    with started(workers=1, keys=f"{LINE},{OTHER_LINE}") as server:
        yield server


def test_commands_send_the_key_of_the_variable(run: Run) -> None:
    line = ("fit", "thermo.csv", "t_c = w*t_u + b", "-f", "oneline")
    assert run(*line, DESCENT_API_KEY=f"{KEY}\n").returncode == 0
    started = run(*line[:3], "--background", DESCENT_API_KEY=KEY)
    job = started.stdout.strip()
    for words in (
        ("watch", job, "-f", "oneline"),
        ("jobs", job, "-f", "oneline"),
        ("cancel", job),
        ("predict", "thermo.csv", "--job", job),
        ("gradient", "thermo.csv", "t_c = w*t_u + b", "-p", "w=1", "-p", "b=0"),
        ("models", "linear"),
    ):
        done = run(*words, DESCENT_API_KEY=KEY)
        assert done.returncode == 0, (words, done.stderr, done.stdout)
        assert KEY not in done.stdout + done.stderr
    theirs = run("jobs", job, DESCENT_API_KEY=OTHER)
    assert theirs.returncode == 4
    assert "no job" in theirs.stderr


def test_the_option_overrides_the_variable(run: Run) -> None:
    done = run("jobs", "--api-key", KEY, DESCENT_API_KEY="descent_wrong")
    assert done.returncode == 0, done.stderr


def test_the_error_without_a_key_names_the_variable_and_the_option(run: Run) -> None:
    for done in (run("jobs"), run("jobs", DESCENT_API_KEY="descent_wrong")):
        assert done.returncode == 4
        assert "DESCENT_API_KEY" in done.stderr
        assert "descent_wrong" not in done.stderr


def test_a_temporary_service_requires_no_key(run: Run) -> None:
    """Whatever keys the settings have for a served one."""
    words = ("fit", "thermo.csv", "t_c = w*t_u + b", "-f", "oneline")
    done = run(*words, own=True, DESCENT_KEYS=LINE, DESCENT_KEYS_FILE="none.txt")
    assert done.returncode == 0, done.stderr


def test_doctor_does_not_print_keys(run: Run) -> None:
    done = run("doctor", own=True, DESCENT_KEYS=LINE)
    assert done.returncode == 0, done.stdout
    assert LINE.partition(":")[2] not in done.stdout
    assert "DESCENT_KEYS=…" in done.stdout


def test_the_blocking_client_sends_the_key(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DESCENT_API_KEY", raising=False)
    with Descent(server.address, api_key=KEY) as mine:
        fit = mine.fit("t_c = w * t_u + b", DATA)
        job = mine.submit("t_c = w * t_u + b", DATA)
        assert [event.event for event in mine.watch(job.id)][-1] == "done"
    monkeypatch.setenv("DESCENT_API_KEY", OTHER)
    with Descent(server.address) as theirs, pytest.raises(NotFoundError):
        theirs.job(fit.job_id).record()
    monkeypatch.setenv("DESCENT_API_KEY", "")
    with Descent(server.address) as nobody, pytest.raises(AccessError):
        nobody.fit("t_c = w * t_u + b", DATA)


async def test_the_asynchronous_client_sends_the_key(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESCENT_API_KEY", KEY)
    async with AsyncDescent(server.address) as client:
        assert (await client.fit("t_c = w * t_u + b", DATA)).trustworthy
    async with AsyncDescent(server.address, api_key="descent_wrong") as client:
        with pytest.raises(AccessError):
            await client.models()
