"""The web pages and their files: no framework, no build step, nothing from other hosts.

`js/` and `css/` are the playground's own. `vendor/` has an unmodified library with its licence:
uPlot draws the charts. Swagger UI, for `/docs`, is part of the package fastapi-offline.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

MEDIA_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""Media type by suffix of the served files."""

_HERE = Path(__file__).parent
_SWAGGER = ("swagger-ui-bundle.js", "swagger-ui.css")


@dataclass(frozen=True, slots=True)
class Asset:
    """A served file."""

    content: bytes
    media_type: str
    etag: str
    """The entity tag of its content, with quotes (RFC 9110, section 8.8.3)."""


@cache
def assets() -> Mapping[str, Asset]:
    """Every file by its path below `/assets/`: `js/main.js`, `vendor/swagger-ui/swagger-ui.css`.
    Read at the first call; about 2 MB."""
    return {name: _asset(path) for name, path in sorted(_files())}


def _files() -> Iterator[tuple[str, Path]]:
    for path in _HERE.rglob("*"):
        if path.suffix in MEDIA_TYPES:
            yield path.relative_to(_HERE).as_posix(), path
    for name in _SWAGGER:
        yield f"vendor/swagger-ui/{name}", _swagger_ui() / name


def _swagger_ui() -> Path:
    """The folder of fastapi-offline, found without importing it, which would import FastAPI."""
    spec = find_spec("fastapi_offline")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("fastapi-offline, which holds Swagger UI, is not installed")
    return Path(spec.origin).parent / "static"


def _asset(path: Path) -> Asset:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:32]
    return Asset(content, MEDIA_TYPES[path.suffix], f'"{digest}"')
