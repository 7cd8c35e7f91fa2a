"""The entry of a temporary service, which `service.client.embedded` starts as a process."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1


def _end_with(parent: int) -> None:
    """On Linux, ends this process when the command ends, even if killed; elsewhere no effect."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit()


if __name__ == "__main__":
    from service.cli import main

    _end_with(int(sys.argv[1]))
    logging.getLogger("descent.kernel").addHandler(logging.StreamHandler(sys.stdout))
    main(["serve", "--port", "0"], prog_name="descent")
