"""A line of the log for each request, where DESCENT_ACCESS_LOG is set."""

from __future__ import annotations

import logging

from starlette.types import Scope

from service.api.answers import PROBLEM
from service.api.middleware.api_keys import OWNER
from service.api.middleware.metrics import Answered, route_label
from service.api.middleware.request_ids import request_id

log = logging.getLogger("descent.access")


class AccessLog(Answered):
    """Logs each request when it has been answered."""

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        _log(scope, status, 1000 * seconds)


def _log(scope: Scope, status: int, took_ms: float) -> None:
    client = scope["client"][0] if scope.get("client") else None
    # Not decoded: it could contain line breaks that forge log lines.
    path = scope.get("raw_path", b"").decode("latin-1")
    fields = {
        "method": scope["method"],
        "path": path,
        "route": route_label(scope),
        "status": status,
        "duration_ms": round(took_ms, 3),
        "client": client,
        "key": scope.get(OWNER),
        "job_id": scope.get("path_params", {}).get("job_id"),
        "problem": scope.get(PROBLEM),
    }
    present = {name: value for name, value in fields.items() if value is not None}
    named = request_id(scope)
    log.info("%s %s %d %.1f ms [%s]", scope["method"], path, status, took_ms, named, extra=present)
