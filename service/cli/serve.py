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

from service.cli import exits

if TYPE_CHECKING:
    from service.settings import Settings

_ONE_PROCESS = (
    "Descent serves from one process: its jobs are in that process's memory, and another would "
    "not have them. For more parallel fits set DESCENT_WORKERS (worker processes; the default is "
    "one a core); for more machines set DESCENT_REDIS_URL, and run any number of replicas of "
    "`descent serve` and of nodes, `descent work`."
)

_NO_KEYS = (
    "--host={host} can be reached from other machines, and no API keys are set: refused. "
    "`descent key NAME` creates a key and the line for DESCENT_KEYS_FILE (or DESCENT_KEYS). If "
    "access is controlled elsewhere, set --allow-public or DESCENT_ALLOW_PUBLIC=1. (A container's "
    "port published by `-p 127.0.0.1:8000:8000` can be reached from this machine only.)"
)
_OTHER_FILES = 512
"""Open files besides connections: libraries, workers' sockets, logs."""
_LOOPBACK_HOSTS = "local"
_SWITCH_S = 0.001
"""Python's switch interval: seconds that a thread may delay the event loop."""


def serve(
    host: Annotated[
        str, typer.Option(envvar="DESCENT_HOST", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            envvar="DESCENT_PORT", min=0, max=65535, help="Port to listen on; 0: any free port."
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
            help="Allow a public address without API keys.",
        ),
    ] = False,
    workers: Annotated[int, typer.Option(hidden=True)] = 1,
) -> None:
    """Run the service. Every setting is an environment variable DESCENT_*. The service is one
    process; for more parallel fits set DESCENT_WORKERS.

    Documentation: /guide of the running service; its routes: /docs."""
    exits.need_the_service()
    for source, asked in (("--workers", str(workers)), _web_concurrency()):
        if asked not in {"", "1"}:
            refuse(f"{source}={asked} is refused. {_ONE_PROCESS}")
    settings = _guarded(read_settings(), host, allow_public=allow_public)
    settings = settings.model_copy(update={"access_log": access_log or settings.access_log})
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, _leave)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as `nohup` has it
        signal.signal(signal.SIGHUP, _hang_up)
    # NumPy's matrices are small here: a second BLAS thread costs more than it saves.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.setswitchinterval(_SWITCH_S)
    gc.disable()  # objects made at start-up stay
    from service.api.middleware.tracing import NoTelemetry
    from service.app import create_app
    from service.cli import kernel
    from service.fitting import NoDevice
    from service.jobs.processes import close_forkserver, start_forkserver
    from service.jobs.scale import BadRedis, NoScale
    from service.server import logs
    from service.server.run import run

    try:
        app = create_app(settings)
    except (NoTelemetry, NoDevice, NoScale, BadRedis) as error:
        refuse(str(error))
    logging.config.dictConfig(logs.config(settings.log_format, alone=True))
    kernel.prepare()
    start_forkserver()
    gc.enable()
    try:
        _allow_files(settings.max_connections)
        run(app, host, port, settings=settings)
    except SystemExit as end:
        close_forkserver()
        end_process(end.code)


def _guarded(settings: Settings, host: str, *, allow_public: bool) -> Settings:
    """The settings, if it is safe to listen on `host` with them; exits otherwise."""
    from service.api.middleware.api_keys import UnusableKeys, keyring

    try:
        keys = keyring(settings)
    except UnusableKeys as error:
        refuse(str(error))
    if _is_loopback(host):
        # A web page can point its own host name here (DNS rebinding).
        hosts = settings.allowed_hosts or _LOOPBACK_HOSTS
        return settings.model_copy(update={"allowed_hosts": hosts})
    if not keys and not allow_public:
        refuse(_NO_KEYS.format(host=host))
    return settings


def _allow_files(connections: int) -> None:
    """Raises the limit of open files for that many connections, as far as allowed."""
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


def end_process(code: object) -> NoReturn:
    """Exits without torch's slow shutdown; everything is closed already."""
    logging.shutdown()
    with suppress(OSError):  # the terminal may be closed
        sys.stdout.flush()
    os._exit(code if isinstance(code, int) else 1)


def _web_concurrency() -> tuple[str, str]:
    return "WEB_CONCURRENCY", os.environ.get("WEB_CONCURRENCY", "").strip()


def read_settings() -> Settings:
    """The settings of the environment; exits where one is not valid."""
    from pydantic import ValidationError

    from service.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        details = error.errors(include_url=False)
        names = (f"DESCENT_{str(each['loc'][0]).upper()}: {each['msg']}" for each in details)
        refuse("\n".join(names))


def refuse(why: str) -> NoReturn:
    """Exits with a message."""
    typer.echo(why, err=True)
    raise typer.Exit(2)


def _hang_up(signum: int, frame: FrameType | None) -> None:
    """Handles SIGHUP (the terminal was closed) like SIGTERM."""
    signal.raise_signal(signal.SIGTERM)


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    """Exits with 0 for SIGTERM. Uvicorn raises the signal again after its shutdown; without this
    the process would count as killed."""
    sys.exit(0 if signum == signal.SIGTERM else 128 + signum)
