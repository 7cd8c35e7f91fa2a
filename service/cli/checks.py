"""The checks of `descent doctor`."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Literal

from service import __version__

if TYPE_CHECKING:
    from service.client import Descent

_DISTRIBUTION = "descent-fit"
_SECRETS = {"keys", "redis_url", "broker_url"}
"""Settings whose values are not shown."""
_FILES = 1024
"""Open files that suit the default of 512 streams."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check."""

    state: Literal["ok", "note", "FAIL"]
    text: str
    unreachable: bool = False


def installation() -> Iterator[CheckResult]:
    """The package, its Python, and what the service needs."""
    from packaging.requirements import Requirement

    yield CheckResult("ok", f"descent {__version__}, Python {platform.python_version()}")
    try:
        needed = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield CheckResult("note", "descent runs from its source and is not installed")
        return
    there = []
    for requirement in map(Requirement, needed):
        if requirement.marker and not requirement.marker.evaluate({"extra": "server"}):
            continue
        try:
            there.append(f"{requirement.name} {metadata.version(requirement.name)}")
        except metadata.PackageNotFoundError:
            yield CheckResult("FAIL", f"{requirement.name} is not installed: make install")
    yield CheckResult("ok", ", ".join(there))


def machine() -> Iterator[CheckResult]:
    """Cores, memory and open files."""
    from service.jobs.system import cores

    count = cores()
    cores_here = os.cpu_count() or count
    share = "" if count == cores_here else f" of {cores_here}, by affinity or quota"
    yield CheckResult("ok", f"{count} core{'s' if count > 1 else ''}{share}")
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError, AttributeError):
        memory = None
    if memory is not None:
        yield CheckResult("ok" if memory >= 2 else "note", f"{memory:.1f} GiB of memory")
    if sys.platform != "win32":
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        few = soft != resource.RLIM_INFINITY and soft < _FILES
        mend = f": `ulimit -n {_FILES}` before serving many streams" if few else ""
        yield CheckResult("note" if few else "ok", f"{soft} open files{mend}")


def settings() -> Iterator[CheckResult]:
    """The settings that a service started here would have."""
    from pydantic import ValidationError

    from service.jobs.system import cores
    from service.settings import Settings

    try:
        found = Settings()
    except ValidationError as error:
        for error_details in error.errors(include_url=False):
            yield CheckResult(
                "FAIL", f"DESCENT_{str(error_details['loc'][0]).upper()}: {error_details['msg']}"
            )
        return
    values = {name: getattr(found, name) for name in found.model_fields_set}
    values |= dict.fromkeys(_SECRETS & values.keys(), "…")
    own = [f"DESCENT_{name.upper()}={value}" for name, value in values.items()]
    workers = found.workers or cores()
    threads = max(1, cores() // workers)
    yield CheckResult("ok", f"limits: {', '.join(sorted(own)) or 'the defaults'}")
    yield CheckResult("ok", f"{workers} workers with {threads} threads each")
    if os.environ.get("WEB_CONCURRENCY", "") not in {"", "1"}:
        yield CheckResult("FAIL", "WEB_CONCURRENCY is set, and a service would refuse to start")


def service(url: str | None, key: str | None = None) -> Iterator[CheckResult]:
    """Certified cases, by the service at `url` or by a temporary one."""
    from service.client import ClientError, ConnectionFailed, Descent, embedded

    try:
        if url is not None:
            with Descent(url, retries=1, timeout=60, api_key=key) as client:
                yield from _ask(client)
            return
        started = time.perf_counter()
        with embedded.running() as address, Descent(address, timeout=60) as client:
            took = time.perf_counter() - started
            yield CheckResult("ok", f"a service starts here in {took:.1f} s")
            yield from _ask(client)
    except embedded.CannotStart as error:
        yield CheckResult("FAIL", f"no service starts here: {error}")
    except ConnectionFailed as error:
        yield CheckResult("FAIL", str(error), unreachable=True)
    except (ClientError, ValueError) as error:
        yield CheckResult("FAIL", str(error))


def _ask(client: Descent) -> Iterator[CheckResult]:
    from service.render.report_certification import summary

    client.ready()
    yield CheckResult("ok", f"{client.url} is ready")
    found = client.certify()
    yield CheckResult("ok" if found.passed else "FAIL", summary(found.summary))
    for case in found.cases:
        if not case.passed:
            yield CheckResult("FAIL", f"{case.name}: {case.reason}")
