"""The engine's kernel, made ready to be called: its machine code is loaded, or compiled first."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

from service.engine.kernel import cache, warm
from service.jobs.cores import cores

LOG = logging.getLogger("descent.kernel")


def prepare() -> bool:
    """Loads the machine code. Where it is not on disk it is compiled, and a line in the log says so
    first. Whether it had to be."""
    if warm.load():
        return False
    folder = cache.writable()
    if folder is None:
        LOG.warning(
            "Compiling the numerical kernel, for about two minutes and at every start anew: there "
            "is no folder to keep its machine code in (%s). DESCENT_KERNEL_CACHE names another.",
            tried(),
        )
    else:
        LOG.info(
            "Compiling the numerical kernel, for a minute or two; its machine code is kept in %s",
            folder,
        )
        _compile_apart()
    warm.call_all()
    return True


def tried() -> str:
    """The folders in which machine code may be kept, for people."""
    return ", ".join(map(str, cache.FOLDERS))


def _compile_apart() -> None:
    """In processes of their own, whose memory (700 MiB) goes with them. What one of them does not
    come to is left to whoever loads the code."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-P", "-m", warm.__name__]
    at_once, running = cores() > 1, []
    try:
        for half in range(len(warm.HALVES)):
            running.append(subprocess.Popen([*command, str(half)], env=environment))
            if not at_once:
                running[-1].wait()
        for process in running:
            process.wait()
    finally:
        for process in running:
            process.kill()
            process.wait()
