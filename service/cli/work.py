"""`descent work`: run a worker node."""

from __future__ import annotations

import asyncio
import gc
import logging
import logging.config
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import exits
from service.cli.serve import end_process, read_settings, refuse

if TYPE_CHECKING:
    from service.api.middleware.metrics import Metrics
    from service.settings import Settings

_NO_REDIS = (
    "A worker node takes jobs from Redis: set DESCENT_REDIS_URL, such as redis://localhost:6379/0, "
    "to that of the API replicas. One machine needs no node: `descent serve` has its own workers."
)


def work(
    metrics_port: Annotated[
        int,
        typer.Option(
            envvar="DESCENT_METRICS_PORT",
            min=0,
            max=65535,
            help="Port of /metrics for Prometheus; 0: none.",
        ),
    ] = 0,
) -> None:
    """Run a worker node: it takes jobs from the Redis of DESCENT_REDIS_URL and runs DESCENT_WORKERS
    of them at a time. Every setting is an environment variable DESCENT_*."""
    exits.need_the_service()
    settings = read_settings()
    if not settings.redis_url:
        refuse(_NO_REDIS)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.disable()  # objects made at start-up stay
    import service.jobs.worker  # noqa: F401  the workers are forks of what is imported here
    from service.api.middleware.metrics import Metrics
    from service.cli import kernel
    from service.fitting import NoDevice, must_have
    from service.jobs.processes import close_forkserver, start_forkserver
    from service.jobs.scale import BadRedis, NoScale, check
    from service.server import logs

    try:
        check(settings)
        must_have(settings.device)
    except (NoScale, BadRedis, NoDevice) as error:
        refuse(str(error))
    logging.config.dictConfig(logs.config(settings.log_format, alone=True))
    kernel.prepare()
    start_forkserver()
    gc.enable()
    logging.config.dictConfig(logs.config(settings.log_format))
    try:
        asyncio.run(_run(settings, Metrics(), metrics_port))
    except RuntimeError as error:
        refuse(str(error))
    finally:
        close_forkserver()
    end_process(0)


async def _run(settings: Settings, metrics: Metrics, metrics_port: int) -> None:
    from prometheus_client import start_http_server

    from service.jobs.redis.node import Node

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with suppress(ValueError):
            loop.add_signal_handler(signum, stop.set)
    node = Node(settings, observer=metrics)
    await node.start()
    if metrics_port:
        start_http_server(metrics_port, registry=metrics.registry)
    print(f"Descent node {node.name} takes jobs of cell {settings.redis_cell}", flush=True)
    await stop.wait()
    await node.stop()
