"""Pictures of a fit, as the service draws them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

View = Literal["fit", "loss", "residuals", "path"]
Kind = Literal["svg", "png", "txt"]

MEDIA_TYPES: dict[str, str] = {"svg": "image/svg+xml", "png": "image/png", "txt": "text/plain"}


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture; a notebook shows it."""

    content: bytes
    kind: Kind

    def save(self, path: str | Path) -> None:
        """Writes it to a file."""
        Path(path).write_bytes(self.content)

    def __str__(self) -> str:
        return f"<{self.kind} of {len(self.content)} bytes>" if self.kind == "png" else self._text()

    def _text(self) -> str:
        return self.content.decode()

    def _repr_svg_(self) -> str | None:
        return self._text() if self.kind == "svg" else None

    def _repr_png_(self) -> bytes | None:
        return self.content if self.kind == "png" else None
