"""API keys: who may ask.

The service knows a key by its SHA-256 alone, so that whoever reads its settings can ask nothing.
A slow hash such as scrypt is for secrets that can be guessed: a key has 256 bits of randomness, and
a fast one is as hard to turn round. It is asked at every request, so it had better be fast.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from service.settings import Settings

_PREFIX = "descent_"
"""So that who finds a key, or looks for leaked ones, can tell what it is."""
_LINE = re.compile(r"([A-Za-z0-9][\w.@+-]{0,63}):(?:sha256:)?([0-9a-fA-F]{64})", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][\w.@+-]{0,63}", re.ASCII)
LOOK_S = 1.0
"""Seconds between two looks at the file of keys."""

log = logging.getLogger("descent.keys")


class UnusableKeys(ValueError):
    """The settings name keys that cannot be read."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys that are known: pairs of a name and a digest. A name may have several, so that a new
    key can be handed out before the old one goes."""

    known: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.known)

    def owner(self, key: bytes) -> str | None:
        """Whose key it is; None if nobody's. All digests are compared, each in constant time, so
        that how long it takes says nothing of how near a guess was."""
        digest = hashlib.sha256(key).hexdigest()
        found = None
        for name, known in self.known:
            if hmac.compare_digest(digest, known):
                found = name
        return found


def keyring(settings: Settings) -> Keyring:
    """The keys that the settings name, in a file or themselves. Raises UnusableKeys."""
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
    """Raises UnusableKeys where one key has two names: whose jobs are its jobs?"""
    names: dict[str, str] = {}
    for name, digest in known:
        if names.setdefault(digest, name) != name:
            raise UnusableKeys(f"'{names[digest]}' and '{name}' have the same key; make one anew")


class LiveKeys:
    """The keys that the settings name, read anew when their file has changed: a key that is taken
    out of it lets nobody in two seconds later. A file that still changes is not read, for whoever
    rewrites it in place may not be done. One that cannot be read, or has no key in it, is said in
    the log, and the keys stay as they were: a slip neither opens nor shuts the door."""

    def __init__(self, settings: Settings, monotonic: Callable[[], float]) -> None:
        """Raises UnusableKeys."""
        self._settings, self._monotonic = settings, monotonic
        self._mark = self._seen = _mark(settings.keys_file)
        self._ring = keyring(settings)
        self._look_at = monotonic() + LOOK_S

    def __bool__(self) -> bool:
        return bool(self._ring)

    def owner(self, key: bytes) -> str | None:
        """Whose key it is; None if nobody's."""
        if self._settings.keys_file is not None and self._monotonic() >= self._look_at:
            self._look()
        return self._ring.owner(key)

    def _look(self) -> None:
        self._look_at = self._monotonic() + LOOK_S
        mark = _mark(self._settings.keys_file)
        settled, self._seen = mark == self._seen, mark
        if mark == self._mark or not settled:
            return
        try:
            ring = keyring(self._settings)
        except UnusableKeys as error:
            self._mark = mark
            log.error("the keys stay as they were: %s", error)
            return
        if _mark(self._settings.keys_file) == mark:  # else it has just been written to
            self._mark, self._ring = mark, ring
            log.info("the keys were read anew: there are %d", len(ring.known))


def _mark(path: Path | None) -> tuple[int, ...] | None:
    """What changes when a file does; None where it is not there."""
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    # The ctime too: the mtime can be set back.
    return found and (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)


def new_key(name: str) -> tuple[str, str]:
    """A key, and the line by which the service knows it. Raises UnusableKeys for a bad name."""
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
            # The line itself is not shown: who mistook one for the other has put a key there.
            raise UnusableKeys(
                f"key {number} is not `name:sha256`, as `descent key NAME` prints it"
            )
        yield found[1], found[2].lower()


def _content(line: str) -> str:
    return line.partition("#")[0].strip()
