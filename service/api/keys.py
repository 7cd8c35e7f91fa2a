"""API keys: who may ask.

The service knows a key by its SHA-256 alone, so that whoever reads its settings can ask nothing.
A slow hash such as scrypt is for secrets that can be guessed: a key has 256 bits of randomness, and
a fast one is as hard to turn round. It is asked at every request, so it had better be fast.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from service.settings import Settings

_PREFIX = "descent_"
"""So that who finds a key, or looks for leaked ones, can tell what it is."""
_LINE = re.compile(r"([A-Za-z0-9][\w.@+-]{0,63}):(?:sha256:)?([0-9a-fA-F]{64})", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][\w.@+-]{0,63}", re.ASCII)


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
            lines += settings.keys_file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UnusableKeys(f"DESCENT_KEYS_FILE cannot be read: {error}") from None
        if not any(map(_content, lines)):
            raise UnusableKeys("DESCENT_KEYS_FILE has no key in it: `descent key NAME` makes one")
    return Keyring(tuple(_parsed(lines)))


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
