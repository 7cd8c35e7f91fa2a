"""API keys: reading, verifying and creating them; and the middleware that requires one, and limits
requests by it.

Only a key's SHA-256 is stored, so reading the settings gives no access. A slow hash such as scrypt
is meant for guessable secrets; a key has 256 random bits, so a fast hash is as hard to invert, and
it is computed on every request.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.error_handlers import refuse
from service.errors import QuotaExceeded, Unauthorized
from service.settings import Settings

OWNER = "descent.owner"
"""Key in a request's scope: the name of its API key."""
_PREFIX = "descent_"
"""Identifies a leaked key, also to secret scanners."""
_LINE = re.compile(r"([A-Za-z0-9][\w.@+-]{0,63}):(?:sha256:)?([0-9a-fA-F]{64})", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][\w.@+-]{0,63}", re.ASCII)
RELOAD_S = 1.0
"""Seconds between two checks of the file of keys."""

log = logging.getLogger("descent.keys")


class UnusableKeys(ValueError):
    """The settings name keys that cannot be read."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """The accepted keys: pairs of a name and a digest. A name may have several, so that a new key
    can be issued before the old one is revoked."""

    known: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.known)

    def owner(self, key: bytes) -> str | None:
        """The name that owns the key, or None. Every digest is compared, each in constant time, so
        that timing reveals nothing about a guess."""
        digest = hashlib.sha256(key).hexdigest()
        found = None
        for name, known in self.known:
            if hmac.compare_digest(digest, known):
                found = name
        return found


def keyring(settings: Settings) -> Keyring:
    """The keys of DESCENT_KEYS and DESCENT_KEYS_FILE. Raises UnusableKeys."""
    lines = re.split(r"[\s,]+", settings.keys)
    if settings.keys_file is not None:
        try:
            lines += settings.keys_file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UnusableKeys(f"DESCENT_KEYS_FILE cannot be read: {error}") from None
        if not any(map(_content, lines)):
            raise UnusableKeys("DESCENT_KEYS_FILE has no key in it: `descent key NAME` makes one")
    known = tuple(dict.fromkeys(_parsed(lines)))
    _refuse_shared(known)
    return Keyring(known)


def _refuse_shared(known: Iterable[tuple[str, str]]) -> None:
    """Raises UnusableKeys where one key has two names: the owner of its jobs would be ambiguous."""
    names: dict[str, str] = {}
    for name, digest in known:
        if names.setdefault(digest, name) != name:
            raise UnusableKeys(f"'{names[digest]}' and '{name}' have the same key; make a new one")


class LiveKeys:
    """The configured keys, reloaded when their file changes: a removed key stops working within two
    seconds. A file that changed between two checks is not read yet, since it may be half written.
    One that cannot be read or has no key is logged as an error, and the keys stay as they were."""

    def __init__(self, settings: Settings, monotonic: Callable[[], float]) -> None:
        """Raises UnusableKeys."""
        self._settings, self._monotonic = settings, monotonic
        self._file_state = self._seen = _file_state(settings.keys_file)
        self._ring = keyring(settings)
        self._check_at = monotonic() + RELOAD_S

    def __bool__(self) -> bool:
        return bool(self._ring)

    def owner(self, key: bytes) -> str | None:
        """The name that owns the key, or None."""
        if self._settings.keys_file is not None and self._monotonic() >= self._check_at:
            self._reload()
        return self._ring.owner(key)

    def _reload(self) -> None:
        self._check_at = self._monotonic() + RELOAD_S
        mark = _file_state(self._settings.keys_file)
        settled, self._seen = mark == self._seen, mark
        if mark == self._file_state or not settled:
            return
        try:
            ring = keyring(self._settings)
        except UnusableKeys as error:
            self._file_state = mark
            log.error("the keys stay as they were: %s", error)
            return
        if _file_state(self._settings.keys_file) == mark:  # else it has just been written to
            self._file_state, self._ring = mark, ring
            log.info("the keys were reloaded: there are %d", len(ring.known))


def _file_state(path: Path | None) -> tuple[int, ...] | None:
    """Times, size and inode of the file; None where it cannot be read."""
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    # The ctime too: the mtime can be set back.
    return found and (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)


def new_key(name: str) -> tuple[str, str]:
    """A new key, and its `name:sha256` line for the settings. Raises UnusableKeys for a bad
    name."""
    if not _NAME.fullmatch(name):
        raise UnusableKeys(
            "a name has 1 to 64 letters, digits or . _ @ + -, and begins with a letter or a digit"
        )
    key = _PREFIX + secrets.token_urlsafe(32)
    return key, f"{name}:{hashlib.sha256(key.encode()).hexdigest()}"


def _parsed(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for number, line in enumerate(lines, 1):
        content = _content(line)
        if not content:
            continue
        found = _LINE.fullmatch(content)
        if found is None:
            # The line itself is not shown: it may be a key put there by mistake.
            raise UnusableKeys(
                f"key {number} is not `name:sha256`, as `descent key NAME` prints it"
            )
        yield found[1], found[2].lower()


def _content(line: str) -> str:
    return line.partition("#")[0].strip()


OPEN = frozenset({"/", "/livez", "/readyz", "/docs", "/guide", "/openapi.json"})
"""Pages and health checks: they hold no caller's data."""
OPEN_BELOW = ("/problems/", "/assets/", "/guide/")

_WINDOW_S = 60.0


def is_open(path: str) -> bool:
    """Whether that path needs no key."""
    return path in OPEN or path.startswith(OPEN_BELOW)


class KeyMiddleware:
    """Requires a valid API key, stores its name in the request's scope, and limits its request
    rate."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: LiveKeys,
        requests_per_minute: int,
        open_metrics: bool,
        monotonic: Callable[[], float],
    ) -> None:
        self.app = app
        self._keys = keys
        self._open = {"/metrics"} if open_metrics else frozenset[str]()
        self._rates = RateLimiter(requests_per_minute, monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope["path"]) or scope["path"] in self._open:
            await self.app(scope, receive, send)
            return
        owner = self._owner(scope)
        if owner is None:
            await refuse(Unauthorized(), scope, receive, send)
            return
        wait_s = self._rates.wait(owner)
        if wait_s > 0:
            error = QuotaExceeded(
                f"This key may send {self._rates.most} requests a minute; try again later.",
                retry_after_s=math.ceil(wait_s),
            )
            await refuse(error, scope, receive, send)
            return
        scope[OWNER] = owner
        await self.app(scope, receive, send)

    def _owner(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        key = credentials.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        return self._keys.owner(key.encode("latin-1")) if key else None


class RateLimiter:
    """Limits requests a minute by name, as a token bucket (GCRA).


    It keeps one number a name, the time at which its bucket is full again; names are those of the
    keys, so there are few.
    """

    def __init__(self, most: int, monotonic: Callable[[], float]) -> None:
        self.most = most
        self._monotonic = monotonic
        self._full_at: dict[str, float] = {}

    def wait(self, name: str) -> float:
        """0 where the request is allowed, and counts it; else the seconds until one is."""
        now = self._monotonic()
        full_at = max(self._full_at.get(name, now), now) + _WINDOW_S / self.most
        over = full_at - now - _WINDOW_S
        if over > 0:
            return over
        self._full_at[name] = full_at
        return 0.0
