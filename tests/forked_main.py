"""What a process of tests/forked.py does; imported once, by the fork server."""

from __future__ import annotations

import atexit
import json
import os
import runpy
import socket
import sys
import traceback
from typing import Any, NoReturn

import service.app
import service.cli
import service.jobs.redis.node
import service.jobs.worker
import service.server.run  # noqa: F401  each is there when a process is forked


def run(sock: socket.socket, threads: int) -> NoReturn:
    """What a forked process does: `python -m` that module, with the descriptors, arguments and
    environment that come through `sock`."""
    with sock:
        _, descriptors, _, _ = socket.recv_fds(sock, 1, 3)
        with sock.makefile("rb") as received:
            asked = json.load(received)
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    if asked["new_session"]:
        os.setsid()
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    sys.argv = [asked["module"], *asked["arguments"]]
    os._exit(_code(asked["module"]))


def _code(module: str) -> int:
    """Runs the module; the exit code that its interpreter would have."""
    code: Any = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)
