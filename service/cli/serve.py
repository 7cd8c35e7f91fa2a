"""`descent serve`: run the service."""

from __future__ import annotations

import gc
import logging
import logging.config
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from service.settings import Settings

_ONE_PROCESS = (
    "Descent serves from one process: its jobs live in that process's memory, and another would "
    "not know them. For more fits at once set DESCENT_WORKERS (worker processes; the default is "
    "one a core); for more machines run one service on each behind a load balancer that keeps a "
    "caller on the same one."
)

_NO_KEYS = (
    "--host={host} can be reached from other machines, and no API keys are asked for: refused. "
    "`descent key NAME` makes a key and the line for DESCENT_KEYS_FILE (or DESCENT_KEYS). Where "
    "something else lets in only whom it should, say --allow-public or DESCENT_ALLOW_PUBLIC=1. (Of "
    "a container's port `-p 127.0.0.1:8000:8000` lets in this machine alone.)"
)
_OTHER_FILES = 512
"""Libraries, workers' sockets, logs."""
_LOOPBACK_HOSTS = "local"
_SWITCH_S = 0.001
"""Seconds for which a thread may keep the event loop from going on."""


def serve(
    host: Annotated[
        str, typer.Option(envvar="DESCENT_HOST", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            envvar="DESCENT_PORT", min=0, max=65535, help="Port to listen on; 0 is any free one."
        ),
    ] = 8000,
    access_log: Annotated[
        bool,
        typer.Option("--access-log", envvar="DESCENT_ACCESS_LOG", help="Log each request."),
    ] = False,
    allow_public: Annotated[
        bool,
        typer.Option(
            "--allow-public",
            envvar="DESCENT_ALLOW_PUBLIC",
            help="Listen where others can reach it without asking for API keys.",
        ),
    ] = False,
    workers: Annotated[int, typer.Option(hidden=True)] = 1,
) -> None:
    """Run the service. Every switch is an environment variable DESCENT_*: see settings.py.
    More than one process is refused; DESCENT_WORKERS is the way to more fits at once."""
    for source, asked in (("--workers", str(workers)), _web_concurrency()):
        if asked not in {"", "1"}:
            _refuse(f"{source}={asked} is refused. {_ONE_PROCESS}")
    settings = _guarded(_settings(), host, allow_public=allow_public)
    settings = settings.model_copy(update={"access_log": access_log or settings.access_log})
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, _leave)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as `nohup` has it
        signal.signal(signal.SIGHUP, _hang_up)
    # Numpy's are small matrices: a second thread would wait for the first, and a core for both.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.setswitchinterval(_SWITCH_S)
    gc.disable()  # all that is made now stays
    from service.api.tracing import NoTelemetry
    from service.app import create_app
    from service.cli import kernel
    from service.fitting import NoDevice
    from service.jobs.processes import close_forkserver, start_forkserver
    from service.server import logs
    from service.server.run import run

    try:
        app = create_app(settings)
    except (NoTelemetry, NoDevice) as error:
        _refuse(str(error))
    logging.config.dictConfig(logs.config(settings.log_format, alone=True))
    kernel.prepare()
    start_forkserver()
    gc.enable()
    try:
        _allow_files(settings.max_connections)
        run(app, host, port, settings=settings)
    except SystemExit as end:
        close_forkserver()
        _end(end.code)


def _guarded(settings: Settings, host: str, *, allow_public: bool) -> Settings:
    """The settings, if it is safe to listen there with them."""
    from service.api.keys import UnusableKeys, keyring

    try:
        keys = keyring(settings)
    except UnusableKeys as error:
        _refuse(str(error))
    if _is_loopback(host):
        # A page in a browser can have a name of its own point here (DNS rebinding).
        hosts = settings.allowed_hosts or _LOOPBACK_HOSTS
        return settings.model_copy(update={"allowed_hosts": hosts})
    if not keys and not allow_public:
        _refuse(_NO_KEYS.format(host=host))
    return settings


def _allow_files(connections: int) -> None:
    """Room for that many connections among the open files, as far as this process may make it."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _is_loopback(host: str) -> bool:
    from ipaddress import ip_address

    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _end(code: object) -> NoReturn:
    """Ends at once: all is closed, and putting torch away would take longer than all the rest."""
    logging.shutdown()
    with suppress(OSError):  # where the terminal is gone
        sys.stdout.flush()
    os._exit(code if isinstance(code, int) else 1)


def _web_concurrency() -> tuple[str, str]:
    return "WEB_CONCURRENCY", os.environ.get("WEB_CONCURRENCY", "").strip()


def _settings() -> Settings:
    from pydantic import ValidationError

    from service.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        slips = error.errors(include_url=False)
        names = (f"DESCENT_{str(slip['loc'][0]).upper()}: {slip['msg']}" for slip in slips)
        _refuse("\n".join(names))


def _refuse(why: str) -> NoReturn:
    typer.echo(why, err=True)
    raise typer.Exit(2)


def _hang_up(signum: int, frame: FrameType | None) -> None:
    """The terminal was closed: an end like any other, with its grace."""
    signal.raise_signal(signal.SIGTERM)


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    """Before the server runs, and again once it has closed down: uvicorn raises the signal anew.
    Without this the process would count as killed, however cleanly it ended."""
    sys.exit(0 if signum == signal.SIGTERM else 128 + signum)
