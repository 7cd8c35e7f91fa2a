"""The log, on stderr: a line for a person, or a JSON object a line for what collects logs."""

from __future__ import annotations

import logging
from typing import Any

from service.api import request_id, trace

_CONSOLE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_FIELDS = ["asctime", "levelname", "name", "message"]


class Context(logging.Filter):
    """Adds the ids of the request that is answered. (A job's id is added where it is logged.)"""

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets everything through."""
        if not hasattr(record, "request_id") and (identity := request_id.CURRENT.get()):
            record.request_id = identity
        if span := trace.CURRENT.get():
            record.trace_id, record.span_id = span.trace_id, span.span_id
        return True


def config(form: str) -> dict[str, Any]:
    """For `logging.config.dictConfig`; `form` is `console` or `json`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"context": {"()": Context}},
        "formatters": {
            "console": {"format": _CONSOLE},
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "fmt": _FIELDS,
                "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
            },
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": form,
                "filters": ["context"],
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            # Its notes of every start and stop; the one line on stdout says what matters.
            "uvicorn.error": {"level": "WARNING"},
            # A line for each body that is none: whoever sends many would fill the log.
            "python_multipart": {"level": "ERROR"},
        },
    }
