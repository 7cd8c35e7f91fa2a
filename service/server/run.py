"""Runs the application in uvicorn, in one process."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import uvicorn

from service.server import logs
from service.server.connection_limits import ConnectionLimits
from service.server.protocol import BoundedProtocol, Bounds
from service.settings import Settings

_GRACE_S = 5
"""Seconds for answers still being sent when all jobs have ended."""


def run(
    app: Callable[..., Any],
    host: str,
    port: int,
    *,
    settings: Settings | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT."""
    settings = settings or Settings()
    proxies = os.environ.get("FORWARDED_ALLOW_IPS", "")
    protocol = partial(
        BoundedProtocol, bounds=Bounds.of(settings), limits=ConnectionLimits(proxies)
    )
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=cast(type[asyncio.Protocol], protocol),
        ws="none",
        lifespan="on",
        access_log=False,  # api/middleware.py logs requests with route and id
        log_config=logs.config(settings.log_format),
        server_header=False,
        forwarded_allow_ips=proxies,
        timeout_graceful_shutdown=_GRACE_S,
    )
    _Server(config).run()


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(f"Descent listens on {self._address()}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops the jobs first, so that waiting callers are still answered; meanwhile new fits are
        refused and /readyz is 503. Uvicorn alone would wait for the connections first."""
        await self.lifespan.state["jobs"].stop()
        await super().shutdown(sockets)

    def _address(self) -> str:
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
