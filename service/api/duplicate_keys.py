"""Refuses JSON objects with duplicate names: a parser would keep the last one and drop a column.


RFC 8259 (section 4) leaves the meaning of such objects open. A CSV or an `.npz` with two columns of
one name is refused too.
"""

from __future__ import annotations

import json
import re
import unicodedata

from service.api.validation_errors import pointer
from service.api.validation_messages import clip
from service.errors import InvalidRequest

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"\s*:?|[{}]', re.DOTALL)
"""Strings, names (those with a colon), and the braces of objects."""
_PLAIN = re.compile(rb'"([^"]*)"(\s*:)?')
"""Strings of a body without escapes, and the colons of those that are names."""


def refuse_repeats(body: bytes | bytearray) -> None:
    """Raises InvalidRequest where an object has a name twice, after NFKC folding."""
    names = [text for text, colon in _PLAIN.findall(body) if colon]
    if len(set(names)) == len(names) and b"\\" not in body and body.isascii():
        return  # no name is there twice, in whatever object
    seen: list[set[str]] = []
    path: list[str] = []
    for found in _TOKEN.finditer(body):
        token = found[0]
        if token == b"{":
            seen.append(set())
            path.append("")
        elif token == b"}":
            seen.pop()
            path.pop()
        elif token.endswith(b":"):
            path[-1] = name = _name(token[:-1].rstrip())
            if name in seen[-1]:
                raise InvalidRequest(
                    f"'{clip(name)}' occurs twice; give each its own name",
                    pointer=pointer(tuple(path)),
                )
            seen[-1].add(name)


def _name(text: bytes) -> str:
    name: str = json.loads(text) if b"\\" in text else text[1:-1].decode()
    return name if name.isascii() else unicodedata.normalize("NFKC", name)
