"""JSON objects that name a thing twice: parsers keep the last in silence, and forget a column.

RFC 8259 leaves it open what such an object means, so that a request with one is refused, as an
`.npz` or a CSV with two columns of one name is.
"""

from __future__ import annotations

import json
import re
import unicodedata

from service.api.validation_errors import pointer
from service.api.validation_messages import clip
from service.errors import InvalidRequest

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"\s*:?|[{}]', re.DOTALL)
"""Texts, names (those with a colon), and where objects begin and end."""
_PLAIN = re.compile(rb'"([^"]*)"(\s*:)?')
"""Texts of a body without escapes, and the colons of those that are names."""


def refuse_repeats(body: bytes | bytearray) -> None:
    """Raises InvalidRequest where an object of a JSON body has a name twice, once folded."""
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
                    f"'{clip(name)}' is there twice; give each a name of its own",
                    pointer=pointer(tuple(path)),
                )
            seen[-1].add(name)


def _name(text: bytes) -> str:
    name: str = json.loads(text) if b"\\" in text else text[1:-1].decode()
    return name if name.isascii() else unicodedata.normalize("NFKC", name)
