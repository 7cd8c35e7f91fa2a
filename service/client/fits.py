"""Fits without a connection: printed as reports, shown in notebooks, saved; and their pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, Self, TypeVar, overload

from pydantic_core import from_json, to_json

from service.client import answers, bodies, errors
from service.client.bodies import Payload
from service.schemas import answers as wire
from service.schemas.names import Status, StopReason, Verdict

T = TypeVar("T")
View = Literal["fit", "loss", "residuals", "path"]
Kind = Literal["svg", "png", "txt"]

MEDIA_TYPES: dict[str, str] = {"svg": "image/svg+xml", "png": "image/png", "txt": "text/plain"}
_CELL = "text-align:right;padding:2px 10px"
_COLOURS = {"info": "#3b6ea5", "warning": "#9a6700", "error": "#b42318"}


class _Member(Generic[T]):
    """A member of the document, by its own name."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...
    @overload
    def __get__(self, owner: _AnyFit, kind: type) -> T: ...
    def __get__(self, owner: _AnyFit | None, kind: type) -> T | Self:
        if owner is None:
            return self
        found: T = getattr(owner.document, self.name)
        return found


class _AnyFit:
    """Shared by fits of one curve and of groups."""

    document: wire.Fit | wire.GroupedFit

    job_id = _Member[str]()
    status = _Member[Status]()
    stop_reason = _Member[StopReason]()
    converged = _Member[bool]()
    model = _Member[wire.ModelSummary]()
    epochs = _Member[int]()
    optimizer = _Member[str]()
    diagnostics = _Member[list[wire.Diagnostic]]()
    verdict = _Member[Verdict]()
    trustworthy = _Member[bool]()
    dropped = _Member["wire.Dropped | None"]()
    timings = _Member[wire.Timings]()
    urls = _Member[wire.FitUrls]()

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw

    def to_json(self) -> bytes:
        """The document as the service sent it."""
        return to_json(self.raw)

    def save(self, path: str | Path) -> None:
        """Writes its JSON document."""
        Path(path).write_bytes(self.to_json() + b"\n")

    def report(self, *, width: int = 80, color: bool = False) -> str:
        """The report as text, at most `width` columns wide."""
        from service.render.report import report

        return report(self.document, width=width, color=color)

    def __str__(self) -> str:
        return self.report()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _AnyFit) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]


class FitDocument(_AnyFit):
    """One curve's fit, without a connection to a service."""

    document: wire.Fit

    params = _Member[dict[str, float]]()
    params_unscaled = _Member["wire.UnscaledParams | None"]()
    loss = _Member[float]()
    curvature = _Member["wire.Curvature | None"]()
    best = _Member[wire.Best]()
    statistics = _Member[wire.Statistics]()
    history = _Member[wire.History]()

    def __init__(self, raw: dict[str, Any]) -> None:
        super().__init__(raw)
        self.document = answers.parse(raw, wire.Fit)

    @property
    def stderr(self) -> dict[str, float]:
        """Standard errors of the params that have one; `statistics.covariance_reason` says why
        there are none."""
        return self.statistics.stderr or {}

    @property
    def reported(self) -> dict[str, wire.Report]:
        """The quantities derived from the params, by name; none unless `report` asked for them."""
        return self.document.report or {}

    def prediction(self, data: Any, interval: Any) -> Payload:
        """The request for predictions at the rows of `data`, without the job."""
        return bodies.ask("/predict", data, {**self.raw["predict"], "interval": interval})

    def inversion(self, data: Any, options: Mapping[str, Any]) -> Payload:
        """The request for the unknowns of the readings in `data`, without the job."""
        return bodies.ask("/invert", data, {**self.raw["predict"], **options})

    def _picture_path(self, view: str, kind: str) -> str:
        return f"{self.urls.self}/plot/{view}.{kind}"

    def __repr__(self) -> str:
        found = ", ".join(f"{name}={value:.6g}" for name, value in self.params.items())
        return f"<Fit {self.model.formula}: {found}; {self.stop_reason}, {self.verdict}>"


class Group(NamedTuple):
    """The fit of one group."""

    key: float | str | None
    n: int
    status: Status
    stop_reason: StopReason | None
    epochs: int
    verdict: Verdict
    trustworthy: bool
    loss: float
    r_squared: float | None
    residual_std: float | None
    params: dict[str, float]
    stderr: dict[str, float]
    diagnostics: list[str]
    lower: dict[str, float]
    """The profile intervals' limits, if requested."""
    upper: dict[str, float]


class GroupedFit(_AnyFit):
    """The fits of groups: a sequence of them, in order of appearance."""

    document: wire.GroupedFit

    groups = _Member[wire.Groups]()

    def __init__(self, raw: dict[str, Any]) -> None:
        super().__init__(raw)
        self.document = answers.parse(raw, wire.GroupedFit)

    def __len__(self) -> int:
        return len(self.groups.key)

    def __getitem__(self, place: int) -> Group:
        """The group at a place; `of` finds one by its key."""
        groups, interval = self.groups, self.groups.confidence_interval
        tables = {
            "params": groups.params,
            "stderr": groups.stderr,
            "lower": {} if interval is None else interval.lower,
            "upper": {} if interval is None else interval.upper,
        }
        single = (name for name in Group._fields if name not in tables)
        row: dict[str, Any] = {name: getattr(groups, name)[place] for name in single}
        for name, table in tables.items():
            row[name] = {param: values[place] for param, values in table.items()}
        return Group(**row)

    def of(self, key: float | str | None) -> Group:
        """The group with that key; KeyError where there is none."""
        try:
            return self[self.groups.key.index(key)]
        except ValueError:
            raise KeyError(key) from None

    def columns(self) -> dict[str, list[Any]]:
        """A table with one row per group, for a data frame."""
        groups = self.groups
        found: dict[str, list[Any]] = {groups.by: groups.key}
        for param in groups.params:
            found[param] = groups.params[param]
            none = [math.nan] * len(self)
            found[f"{param}_stderr"] = groups.stderr.get(param, none)
            if groups.confidence_interval is not None:
                found[f"{param}_lower"] = groups.confidence_interval.lower.get(param, none)
                found[f"{param}_upper"] = groups.confidence_interval.upper.get(param, none)
        for name, each in (groups.report or {}).items():
            found |= {name: each.value, f"{name}_stderr": each.stderr}
            found |= {f"{name}_lower": each.lower, f"{name}_upper": each.upper}
        for name in ("n", "loss", "r_squared", "residual_std", "epochs"):
            found[name] = getattr(groups, name)
        found |= {"stop_reason": groups.stop_reason, "verdict": groups.verdict}
        return found

    def __repr__(self) -> str:
        trusted = sum(self.groups.trustworthy)
        return f"<GroupedFit {self.model.formula}: {len(self)} groups, {trusted} trustworthy>"


def is_grouped(raw: dict[str, Any]) -> bool:
    """Whether a document is the fits of groups."""
    return "groups" in raw


def shown(plot: Callable[[], Any]) -> str | None:
    """A fit's picture for a notebook. None where it is not available, and of an asynchronous
    client, whose `plot` has to be awaited."""
    if iscoroutinefunction(plot):
        return None
    try:
        return str(plot())
    except errors.ClientError:
        return None


def load(path: str | Path) -> dict[str, Any]:
    """Loads a saved document."""
    found = from_json(Path(path).read_bytes())
    if not isinstance(found, dict):
        raise errors.UnreadableAnswer(f"{path} is not a fit")
    return found


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
