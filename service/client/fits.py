"""Fits: printed as reports, shown in notebooks, used for predictions, saved."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Generic, NamedTuple, Self, TypeVar, overload

from pydantic_core import from_json, to_json

from service.client import answers, bodies, errors
from service.client.bodies import Payload
from service.schemas import answers as wire
from service.schemas.names import Status, StopReason, Verdict

T = TypeVar("T")


class _Of(Generic[T]):
    """A member of the document, by its own name."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...
    @overload
    def __get__(self, owner: Kept, kind: type) -> T: ...
    def __get__(self, owner: Kept | None, kind: type) -> T | Self:
        if owner is None:
            return self
        found: T = getattr(owner.document, self.name)
        return found


class Kept:
    """Shared by fits of one curve and of groups."""

    document: wire.Fit | wire.GroupedFit

    job_id = _Of[str]()
    status = _Of[Status]()
    stop_reason = _Of[StopReason]()
    converged = _Of[bool]()
    model = _Of[wire.ModelSummary]()
    epochs = _Of[int]()
    optimizer = _Of[str]()
    diagnostics = _Of[list[wire.Diagnostic]]()
    verdict = _Of[Verdict]()
    trustworthy = _Of[bool]()
    dropped = _Of["wire.Dropped | None"]()
    timings = _Of[wire.Timings]()
    urls = _Of[wire.FitUrls]()

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
        return isinstance(other, Kept) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]


class FitDocument(Kept):
    """One curve's fit, without a connection to a service."""

    document: wire.Fit

    params = _Of[dict[str, float]]()
    params_unscaled = _Of["wire.UnscaledParams | None"]()
    loss = _Of[float]()
    curvature = _Of["wire.Curvature | None"]()
    best = _Of[wire.Best]()
    statistics = _Of[wire.Statistics]()
    history = _Of[wire.History]()

    def __init__(self, raw: dict[str, Any]) -> None:
        super().__init__(raw)
        self.document = answers.parse(raw, wire.Fit)

    @property
    def stderr(self) -> dict[str, float]:
        """Standard errors of the params that have one; `statistics.covariance_reason` says why
        there are none."""
        return self.statistics.stderr or {}

    def _prediction(self, data: Any, interval: Any) -> Payload:
        """The request for predictions: all that it needs is in the document."""
        return bodies.ask("/predict", data, {**self.raw["predict"], "interval": interval})

    def _picture_path(self, view: str, kind: str) -> str:
        return f"{self.urls.self}/plot/{view}.{kind}"

    def __repr__(self) -> str:
        found = ", ".join(f"{name}={value:.6g}" for name, value in self.params.items())
        return f"<Fit {self.model.formula}: {found}; {self.stop_reason}, {self.verdict}>"


class Group(NamedTuple):
    """The fit of one group."""

    key: float | str | list[float | str | None] | None
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


class GroupedFit(Kept):
    """The fits of groups: a sequence of them, in order of appearance."""

    document: wire.GroupedFit

    groups = _Of[wire.Groups]()
    shared = _Of["wire.SharedParams | None"]()
    statistics = _Of["wire.PooledStatistics | None"]()

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

    def of(self, *key: float | str | None) -> Group:
        """The group with that key, of one value for each column; KeyError where there is none."""
        try:
            return self[self.groups.values.index(key)]
        except ValueError:
            raise KeyError(key) from None

    def columns(self) -> dict[str, list[Any]]:
        """A table with one row per group, for a data frame."""
        groups = self.groups
        found: dict[str, list[Any]] = {**groups.key_columns()}
        for param in groups.params:
            found[param] = groups.params[param]
            none = [math.nan] * len(self)
            found[f"{param}_stderr"] = groups.stderr.get(param, none)
            if groups.confidence_interval is not None:
                found[f"{param}_lower"] = groups.confidence_interval.lower.get(param, none)
                found[f"{param}_upper"] = groups.confidence_interval.upper.get(param, none)
        for param, value in ({} if self.shared is None else self.shared.params).items():
            errors = None if self.shared is None else self.shared.stderr
            found[param] = [value] * len(self)
            found[f"{param}_stderr"] = [(errors or {}).get(param, math.nan)] * len(self)
        for name in ("n", "loss", "r_squared", "residual_std", "epochs"):
            found[name] = getattr(groups, name)
        found |= {"stop_reason": groups.stop_reason, "verdict": groups.verdict}
        return found

    def __repr__(self) -> str:
        trusted = sum(self.groups.trustworthy)
        return f"<GroupedFit {self.model.formula}: {len(self)} groups, {trusted} trustworthy>"


def grouped(raw: dict[str, Any]) -> bool:
    """The document as a fit of one curve or of groups."""
    return "groups" in raw


def load(path: str | Path) -> dict[str, Any]:
    """Loads a saved document."""
    found = from_json(Path(path).read_bytes())
    if not isinstance(found, dict):
        raise errors.UnreadableAnswer(f"{path} is not a fit")
    return found
