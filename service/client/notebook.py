"""Fits in notebooks: their pictures, and their tables as HTML."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from service.client import errors
from service.schemas import answers as wire
from service.schemas.names import PictureFormat

if TYPE_CHECKING:
    from service.client.answers import Event

_CELL = "text-align:right;padding:2px 10px"
_COLOURS = {"info": "#3b6ea5", "warning": "#9a6700", "error": "#b42318"}


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture; a notebook shows it."""

    content: bytes
    kind: PictureFormat

    def save(self, path: str | Path) -> None:
        """Writes it to a file."""
        Path(path).write_bytes(self.content)

    def __str__(self) -> str:
        binary = self.kind in ("png", "pdf")
        return f"<{self.kind} of {len(self.content)} bytes>" if binary else self._text()

    def _text(self) -> str:
        return self.content.decode()

    def _repr_svg_(self) -> str | None:
        return self._text() if self.kind == "svg" else None

    def _repr_png_(self) -> bytes | None:
        return self.content if self.kind == "png" else None


def query_of(look: Mapping[str, Any]) -> dict[str, str]:
    """The query of a picture."""
    return {name: _queried(name, value) for name, value in look.items() if value is not None}


def _queried(name: str, value: Any) -> str:
    if name == "along" and not isinstance(value, str):
        return ",".join(value)
    return value if isinstance(value, str) else to_json(value).decode()


def shown(plot: Callable[[], Any]) -> str | None:
    """A fit's picture for a notebook. None where it is not available, and of an asynchronous
    client, whose `plot` has to be awaited."""
    if iscoroutinefunction(plot):
        return None
    try:
        return str(plot())
    except errors.ClientError:
        return None


@dataclass(slots=True)
class Bar:
    """The progress of a job in a notebook, drawn again with each event. Elsewhere nothing."""

    event: Event | None = None
    _display: Any = None

    def show(self, event: Event) -> None:
        """Draws the bar as of an event."""
        self.event = event
        if self._display is None:
            self._display = _displayed(self)
        else:
            self._display.update(self)

    def _repr_html_(self) -> str:
        if self.event is None or self.event.event == "done":
            return ""
        if self.event.status == "queued":
            return f"<p>queued, {self.event.queue_position or 0} before it</p>"
        now = self.event.progress
        loss = "" if now.loss is None else f", loss {now.loss:.4g}"
        return (
            f'<p><progress max="{now.epochs}" value="{now.epoch}"></progress> '
            f"{escape(now.unit)} {now.epoch:,} of {now.epochs:,}{loss}</p>"
        )

    def __repr__(self) -> str:
        return "<progress of a job>"


class _Undisplayed:
    """Where there is no notebook."""

    def update(self, shown: Any) -> None:
        """Draws nothing."""


def _displayed(shown: Any) -> Any:
    """A handle to draw it again; in a notebook IPython is imported already."""
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        return _Undisplayed()
    return ipython.display.display(shown, display_id=True)


def html_table(fit: wire.Fit, svg: str | None = None) -> str:
    """The fit as self-contained HTML, for a notebook: its params, quality and diagnostics, and its
    picture where there is one."""
    parts = [
        f"<p><code>{escape(fit.model.formula)}</code> "
        f"({escape(fit.optimizer)}, {escape(fit.stop_reason)}, {fit.verdict})</p>",
        _rows(["param", "value", "standard error", "from", "to"], _params(fit)),
        f"<p>{escape(_quality(fit))}</p>",
        *(_diagnostic(found.severity, found.code, found.message) for found in fit.diagnostics),
    ]
    if svg is not None:
        parts.append(f'<div style="max-width:640px">{svg}</div>')
    return f"<div>{''.join(parts)}</div>"


def _params(fit: wire.Fit) -> Iterator[list[str]]:
    stderr = fit.statistics.stderr or {}
    interval = fit.statistics.confidence_interval
    for name, value in fit.params.items():
        limits = ("", "")
        if interval is not None and name in interval.lower:
            limits = (_number(interval.lower[name]), _number(interval.upper[name]))
        yield [name, _number(value), _number(stderr[name]) if name in stderr else "", *limits]


def _quality(fit: wire.Fit) -> str:
    found = fit.statistics
    parts = [f"loss {_number(fit.loss)}", f"n {found.n}"]
    if found.r_squared is not None:
        parts.append(f"R² {_number(found.r_squared)}")
    if found.residual_std is not None:
        parts.append(f"residual standard deviation {_number(found.residual_std)}")
    return ", ".join(parts)


def _rows(head: list[str], rows: Iterator[list[str]]) -> str:
    body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{_cells('th', head)}</tr></thead><tbody>{body}</tbody></table>"


def _cells(tag: str, cells: list[str]) -> str:
    return "".join(f'<{tag} style="{_CELL}">{escape(cell)}</{tag}>' for cell in cells)


def _diagnostic(severity: str, code: str, message: str) -> str:
    colour = _COLOURS.get(severity, "inherit")
    return f'<p><b style="color:{colour}">{escape(code)}</b> {escape(message)}</p>'


def _number(value: float) -> str:
    return f"{value:.6g}"
