"""The table that a command is given: a file or stdin, as bytes that the service reads."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.cli import exits

if TYPE_CHECKING:
    from service.client.bodies import File


def read(path: str) -> File | dict[str, list[Any]]:
    """The bytes of a file, or the columns of a JSON file; `-` is stdin. A file that cannot be read
    ends the command."""
    from service.client.bodies import File

    try:
        content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        exits.usage(f"{path}: {error.strerror}")
    if content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{":
        return _columns(path, content)
    return File("stdin" if path == "-" else Path(path).name, content)


def _columns(path: str, content: bytes) -> dict[str, list[Any]]:
    """`{"x": [...], "y": [...]}`, or a request that has this as its data."""
    try:
        found = json.loads(content.decode("utf-8-sig"))
    except ValueError as error:
        exits.leave(exits.REJECTED, f"{path}: it is not JSON: {error}")
    data = found["data"] if isinstance(found.get("data"), dict) else found
    if not all(isinstance(column, list) for column in data.values()):
        exits.leave(
            exits.REJECTED,
            f'{path}: its JSON is not an object of columns, such as {{"x": [1, 2], "y": [3, 4]}}',
        )
    columns: dict[str, list[Any]] = data
    return columns
