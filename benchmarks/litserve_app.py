"""`python -m benchmarks.litserve_app`: LitServe as it comes, with the arithmetic of `predict`.

It is sent the same body, of which it reads the line's params and column.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

import litserve
import numpy as np

START_S = 60.0
MAIN = os.getpid()


class Line(litserve.LitAPI):  # type: ignore[misc]
    """w·x + b."""

    def setup(self, device: str) -> None: ...

    # LitServe takes an annotation of `request` for a schema, and wants it without.
    def decode_request(self, request):  # type: ignore[no-untyped-def]
        params = request["params"]
        return params["w"], params["b"], np.array(request["data"]["t_u"])

    def predict(self, line: tuple[float, float, np.ndarray]) -> np.ndarray:
        w, b, x = line
        return w * x + b

    def encode_response(self, output: np.ndarray) -> dict[str, Any]:
        return {"predictions": output.tolist(), "target": "t_c"}


def main() -> None:
    """Serves until SIGTERM; prints its address when it answers."""
    signal.signal(signal.SIGTERM, _leave)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said, sys.stdout = sys.stdout, sys.stderr
    server = litserve.LitServer(Line(), accelerator="cpu")
    threading.Thread(target=_announce, args=(port, said), daemon=True).start()
    with suppress(KeyboardInterrupt):
        server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="warning")


def _announce(port: int, said: Any) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as asking:
                asking.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                if b" 200 " in asking.recv(64):
                    print(f"LitServe listens on http://127.0.0.1:{port}", file=said, flush=True)
                    return
        except OSError:
            pass
        time.sleep(0.1)


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    """As Ctrl-C, for which it stops its workers. They are forked and have this handler too, which
    uvicorn calls in them when it has closed down: there it is the end, and no error."""
    if os.getpid() != MAIN:
        raise SystemExit
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
