"""The Prefer header (RFC 7240): how long a caller will wait for a fit."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.datastructures import Headers

from service.api.header_values import LONGEST, split, unquoted

_NAME = re.compile(r"[\w-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Preference:
    """`respond-async`: rather a job now than a fit later. `wait=N`: seconds worth waiting."""

    respond_async: bool = False
    wait_s: int | None = None

    def wait(self, longest_s: float) -> float:
        """Seconds to wait for the fit, of at most `longest_s`."""
        if self.wait_s is not None:
            return min(float(self.wait_s), longest_s)
        return 0.0 if self.respond_async else longest_s

    def applied(self, *, finished: bool) -> dict[str, str]:
        """The Preference-Applied header: `wait` where it was heeded, `respond-async` on a 202."""
        honoured = [] if self.wait_s is None else [f"wait={self.wait_s}"]
        if self.respond_async and not finished:
            honoured.insert(0, "respond-async")
        return {"Preference-Applied": ", ".join(honoured)} if honoured else {}


def preference(headers: Headers) -> Preference:
    """Reads Prefer; the first of each preference counts, and what is not understood is ignored,
    as the RFC asks."""
    asked: dict[str, str] = {}
    line = ",".join(headers.getlist("prefer"))
    for each in split(line, ",") if len(line) <= LONGEST else ():
        name, _, value = split(each, ";")[0].partition("=")
        if _NAME.fullmatch(name.strip()):
            asked.setdefault(name.strip().lower(), unquoted(value))
    wait = asked.get("wait", "")
    return Preference(
        respond_async="respond-async" in asked,
        wait_s=int(wait) if wait.isascii() and wait.isdigit() and len(wait) < 10 else None,
    )
