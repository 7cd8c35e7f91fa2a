"""Prepares the engine's kernel: loads its machine code, or compiles it first."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

from service.engine.kernel import cache, warm
from service.jobs.system import cores

LOG = logging.getLogger("descent.kernel")


def prepare() -> bool:
    """Loads the machine code, or compiles it with a message in the log if it is not on disk.
    Returns whether it was compiled."""
    if warm.load():
        return False
    folder = cache.writable()
    if folder is None:
        LOG.warning(
            "Compiling the numerical kernel, for about two minutes at every start: no folder "
            "for its machine code is writable (%s). Set DESCENT_KERNEL_CACHE to another.",
            tried(),
        )
    else:
        LOG.info(
            "Compiling the numerical kernel, for a minute or two; its machine code is cached in %s",
            folder,
        )
        _compile_in_children()
    warm.call_all()
    return True


def tried() -> str:
    """The folders tried for machine code, for messages."""
    return ", ".join(map(str, cache.FOLDERS))


def _compile_in_children() -> None:
    """Compiles in child processes, whose memory (700 MiB) is freed when they end. What a failed one
    did not compile is compiled on load."""
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
