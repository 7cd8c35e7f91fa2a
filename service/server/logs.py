"""The log on stderr: lines for the console, or JSON objects for log collectors."""

from __future__ import annotations

import logging
import queue
import threading
import time
from contextlib import suppress
from typing import Any, TextIO

from service.api.middleware.request_ids import CURRENT_ID, CURRENT_SPAN

_CONSOLE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_FIELDS = ["asctime", "levelname", "name", "message"]


CAPACITY = 10_000
"""The most lines waiting to be written."""
_FLUSH_S = 1.0


class QueuedHandler(logging.StreamHandler[TextIO]):
    """Writes in a separate thread, so that a blocked stream blocks no caller: up to CAPACITY lines
    are queued, later ones are dropped and counted."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: queue.Queue[str] = queue.Queue(CAPACITY)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queues the line."""
        try:
            if self._dropped:
                self._lines.put_nowait(self._note())
                self._dropped = 0
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._dropped += 1
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Waits up to a second for the queued lines to be written."""
        deadline = time.monotonic() + _FLUSH_S
        while self._lines.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(_FLUSH_S / 100)
        super().close()

    def flush(self) -> None:
        """No effect: the thread flushes."""

    def _note(self) -> str:
        message = "%d lines were dropped here: the log was not read in time"
        record = logging.LogRecord(
            "descent.log", logging.WARNING, __file__, 0, message, (self._dropped,), None
        )
        return self.format(record)

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            with suppress(OSError, ValueError):  # the stream may be closed
                self.stream.write(line + self.terminator)
                self.stream.flush()
            self._lines.task_done()


class Context(logging.Filter):
    """Adds the current request's id and span. (A job's id is added where it is logged.)"""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true."""
        if not hasattr(record, "request_id") and (identity := CURRENT_ID.get()):
            record.request_id = identity
        if span := CURRENT_SPAN.get():
            record.trace_id, record.span_id = span.trace_id, span.span_id
        return True


def config(form: str, *, alone: bool = False) -> dict[str, Any]:
    """For `logging.config.dictConfig`. `form`: `console` or `json`. `alone`: without a thread, for
    the time before the fork server is forked."""
    handler = logging.StreamHandler if alone else QueuedHandler
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
                "()": handler,
                "formatter": form,
                "filters": ["context"],
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            # Omits its messages of every start and stop; one line on stdout has the address.
            "uvicorn.error": {"level": "WARNING"},
            # Omits a line for each invalid body, which could fill the log.
            "python_multipart": {"level": "ERROR"},
        },
    }
