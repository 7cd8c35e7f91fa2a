"""The log, on stderr: a line for a person, or a JSON object a line for what collects logs."""

from __future__ import annotations

import logging
import queue
import threading
import time
from contextlib import suppress
from typing import Any, TextIO

from service.api import request_id, trace

_CONSOLE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_FIELDS = ["asctime", "levelname", "name", "message"]


ROOM = 10_000
"""Lines that wait to be written."""
_FLUSH_S = 1.0


class InItsOwnTime(logging.StreamHandler[TextIO]):
    """Writes in a thread of its own. While whoever reads the stream does not, nobody waits: the
    first lines are kept, and those for which there is no room are counted."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: queue.Queue[str] = queue.Queue(ROOM)
        self._left_out = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Leaves the line to the thread."""
        try:
            if self._left_out:
                self._lines.put_nowait(self._note())
                self._left_out = 0
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._left_out += 1
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Waits for what is there to be written, but not for a reader who does not read."""
        deadline = time.monotonic() + _FLUSH_S
        while self._lines.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(_FLUSH_S / 100)
        super().close()

    def flush(self) -> None:
        """The thread does."""

    def _note(self) -> str:
        said = "%d lines were left out here: nobody read the log in time"
        record = logging.LogRecord(
            "descent.log", logging.WARNING, __file__, 0, said, (self._left_out,), None
        )
        return self.format(record)

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            with suppress(OSError, ValueError):  # a stream that is closed has no reader either
                self.stream.write(line + self.terminator)
                self.stream.flush()
            self._lines.task_done()


class Context(logging.Filter):
    """Adds the ids of the request that is answered. (A job's id is added where it is logged.)"""

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets everything through."""
        if not hasattr(record, "request_id") and (identity := request_id.CURRENT.get()):
            record.request_id = identity
        if span := trace.CURRENT.get():
            record.trace_id, record.span_id = span.trace_id, span.span_id
        return True


def config(form: str, *, alone: bool = False) -> dict[str, Any]:
    """For `logging.config.dictConfig`; `form` is `console` or `json`. `alone` is for the time until
    the process may have threads."""
    handler = logging.StreamHandler if alone else InItsOwnTime
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
            # Its notes of every start and stop; the one line on stdout says what matters.
            "uvicorn.error": {"level": "WARNING"},
            # A line for each body that is none: whoever sends many would fill the log.
            "python_multipart": {"level": "ERROR"},
        },
    }
