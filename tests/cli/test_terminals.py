"""With and without a terminal: the progress bar, colours, interrupts, closed pipes, completion."""

from __future__ import annotations

import json
import os
import pty
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.client import Descent
from tests.cli.conftest import Run, command, environment_of
from tests.client.parts import DECAY, MODEL
from tests.resilience.servers import Server, until
from tests.soon import PATIENCE_S

LONG = ("--optimizer", "adam", "--epochs", "100000000", "--set", "record_every=1000000")


class Terminal:
    """A command whose stderr, and optionally stdout, is a terminal."""

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self.process, self.screen, self.text = process, screen, ""

    def read_until(self, word: str) -> str:
        with selectors.DefaultSelector() as selector:
            selector.register(self.screen, selectors.EVENT_READ)
            while word not in self.text:
                assert selector.select(PATIENCE_S), self.text
                self._read()
        return self.text

    def rest(self) -> str:
        """The remaining output."""
        while self._read():
            pass
        self.process.wait(PATIENCE_S)
        return self.text

    def _read(self) -> bool:
        try:
            chunk = os.read(self.screen, 65536)
        except OSError:  # how Linux reports the end of a terminal
            return False
        self.text += chunk.decode(errors="replace")
        return bool(chunk)


@contextmanager
def terminal(
    words: tuple[str, ...], url: str, folder: Path, *, stdout: bool = False, **more: str
) -> Iterator[Terminal]:
    screen, side = pty.openpty()
    with subprocess.Popen(
        command(*words),
        stdin=subprocess.DEVNULL,
        stdout=side if stdout else subprocess.PIPE,
        stderr=side,
        cwd=folder,
        env=environment_of(url, TERM="xterm-256color", COLUMNS="80", **more),
    ) as process:
        os.close(side)
        try:
            yield Terminal(process, screen)
        finally:
            process.kill()
            os.close(screen)


def test_progress_bar_and_interrupt(server: Server, tables: Path, client: Descent) -> None:
    """The interrupt stops the fit, and the best result so far is printed on stdout."""
    words = ("fit", "decay.csv", DECAY, "-f", "json", *LONG)
    with terminal(words, server.address, tables) as shown:
        shown.read_until("loss")
        assert "of 100,000,000" in shown.text
        assert "\r" in shown.text
        shown.process.send_signal(signal.SIGINT)
        assert shown.process.stdout is not None
        fit = json.loads(shown.process.stdout.read())
        shown.rest()
        assert shown.process.returncode == 130
    assert fit["stop_reason"] == "cancelled"
    assert client.job(fit["job_id"]).status() == "cancelled"


def test_an_interrupted_watch_does_not_cancel_the_job(
    server: Server, tables: Path, client: Descent
) -> None:
    job = client.submit(DECAY, {"x": [0, 1, 2, 3], "y": [5, 3, 2, 1.8]}, optimizer="adam",
                        epochs=10**8)  # fmt: skip
    with terminal(("watch", job.id), server.address, tables) as shown:
        shown.read_until("loss")
        shown.process.send_signal(signal.SIGINT)
        assert "interrupted" in shown.rest()
        assert shown.process.returncode == 130
    assert job.status() == "running"
    job.cancel()


def test_no_progress_bar_without_a_terminal(run: Run) -> None:
    done = run("fit", "decay.csv", DECAY, "--optimizer", "adam", "--epochs", "20000", "-f", "json")
    assert done.stderr == ""


def test_errors_are_red_on_a_terminal_unless_no_color(server: Server, tables: Path) -> None:
    words = ("fit", "thermo.csv", "lineer")
    with terminal(words, server.address, tables) as shown:
        assert "\x1b[31mdescent:\x1b[0m" in shown.rest()
    with terminal(words, server.address, tables, NO_COLOR="1") as shown:
        assert "\x1b" not in shown.rest()


@pytest.mark.parametrize(("more", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_the_report_is_coloured_on_a_terminal_unless_no_color(
    more: dict[str, str], coloured: bool, server: Server, tables: Path
) -> None:
    words = ("fit", "thermo.csv", MODEL)
    with terminal(words, server.address, tables, stdout=True, **more) as shown:
        assert "Params" in shown.rest()
        report = shown.text[shown.text.rindex("Params") :]
        assert ("\x1b[" in report) == coloured


def test_a_closed_pipe_is_not_an_error(server: Server, tables: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        command("models", "-f", "json"),
        stdout=write,
        stderr=subprocess.PIPE,
        cwd=tables,
        env=environment_of(server.address),
        check=False,
    )
    os.close(write)
    assert done.stderr == b""
    assert done.returncode == 1


def test_a_temporary_service_ends_with_the_command(tables: Path) -> None:
    """Also when it is killed: Linux signals the child."""
    with terminal(("fit", "decay.csv", DECAY, *LONG), "", tables) as shown:
        shown.read_until("loss")
        children = Path(f"/proc/{shown.process.pid}/task/{shown.process.pid}/children")
        (child,) = children.read_text().split()
        shown.process.kill()
        until(lambda: not _alive(int(child)))


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except OSError:
        return False


def completing(**environment: str) -> str:
    """The completions that `descent` offers a shell."""
    done = subprocess.run(
        [sys.executable, "-c", "from service.cli import main; main(prog_name='descent')"],
        capture_output=True,
        text=True,
        env=environment_of("", **environment),
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("descent models gauss", "gaussian"),
        ("descent fit a.csv logis", "logistic4"),
        ("descent fit --optimizer lev", "levenberg_marquardt"),
        ("descent fit --loss hu", "huber"),
        ("descent wa", "watch"),
    ],
)
def test_names_are_completed(words: str, offered: str) -> None:
    last = str(len(words.split()) - 1)
    said = completing(_DESCENT_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=last)
    assert offered in said.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_completion(shell: str) -> None:
    assert f"complete_{shell}" in completing(_DESCENT_COMPLETE=f"source_{shell}")
