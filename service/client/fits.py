"""Fits and comparisons without a connection: printed as reports, as tables, saved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, Self, TypeVar, overload

from pydantic_core import from_json, to_json

from service.client import answers, bodies, errors
from service.client.bodies import Payload
from service.schemas import answers as wire
from service.schemas import comparisons, grouped, resampled
from service.schemas.answers import ErrorsInX
from service.schemas.jobs import JobResult
from service.schemas.names import Status, StopReason, Verdict
from service.schemas.noise_answers import FittedNoise, FoundOutliers
from service.schemas.prior_answers import FittedPrior
from service.schemas.reading import Reading
from service.schemas.statistics import Statistics

T = TypeVar("T")


class _Member(Generic[T]):
    """A member of the document, by its own name."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...
    @overload
    def __get__(self, owner: _Document, kind: type) -> T: ...
    def __get__(self, owner: _Document | None, kind: type) -> T | Self:
        if owner is None:
            return self
        found: T = getattr(owner.document, self.name)
        return found


class _Document:
    """Shared by fits and comparisons: the answer of a job."""

    document: JobResult

    job_id = _Member[str]()
    status = _Member[Status]()
    stop_reason = _Member[StopReason]()
    diagnostics = _Member[list[wire.Diagnostic]]()
    verdict = _Member[Verdict]()
    trustworthy = _Member[bool]()
    dropped = _Member["wire.Dropped | None"]()
    rows = _Member["wire.RowsUsed | None"]()
    timings = _Member[wire.Timings]()

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
        return isinstance(other, _Document) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]


class _AnyFit(_Document):
    """Shared by fits of one curve and of groups."""

    document: wire.Fit | grouped.GroupedFit

    converged = _Member[bool]()
    model = _Member[wire.ModelSummary]()
    units = _Member[dict[str, str]]()
    reading = _Member[Reading | None]()
    epochs = _Member[int]()
    optimizer = _Member[str]()
    urls = _Member[wire.FitUrls]()


class FitDocument(_AnyFit):
    """One curve's fit, without a connection to a service."""

    document: wire.Fit

    params = _Member[dict[str, float]]()
    params_unscaled = _Member["wire.UnscaledParams | None"]()
    loss = _Member[float]()
    curvature = _Member["wire.Curvature | None"]()
    best = _Member[wire.Best]()
    statistics = _Member[Statistics]()
    coverage = _Member[resampled.Coverage | None]()
    design = _Member[resampled.Design | None]()
    errors_in_x = _Member[wire.ErrorsInX | None]()
    noise = _Member[FittedNoise | None]()
    outliers = _Member[FoundOutliers | None]()
    prior = _Member[FittedPrior | None]()
    errors_in_x = _Member[ErrorsInX | None]()
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


class GroupedFit(_AnyFit):
    """The fits of groups: a sequence of them, in order of appearance."""

    document: grouped.GroupedFit

    groups = _Member[grouped.Groups]()
    shared = _Member["grouped.SharedParams | None"]()
    statistics = _Member["grouped.PooledStatistics | None"]()

    def __init__(self, raw: dict[str, Any]) -> None:
        super().__init__(raw)
        self.document = answers.parse(raw, grouped.GroupedFit)

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
        for name, each in (groups.report or {}).items():
            found |= {name: each.value, f"{name}_stderr": each.stderr}
            found |= {f"{name}_lower": each.lower, f"{name}_upper": each.upper}
        for param, value in ({} if self.shared is None else self.shared.params).items():
            errors = None if self.shared is None else self.shared.stderr
            found[param] = [value] * len(self)
            found[f"{param}_stderr"] = [(errors or {}).get(param, math.nan)] * len(self)
        for name in ("n", "loss", "r_squared", "residual_std", "epochs"):
            found[name] = getattr(groups, name)
        if groups.likelihood is not None:
            for name in ("deviance", "pearson", "dispersion", "log_likelihood"):
                found[name] = getattr(groups.likelihood, name)
        found |= {"stop_reason": groups.stop_reason, "verdict": groups.verdict}
        return found

    def __repr__(self) -> str:
        trusted = sum(self.groups.trustworthy)
        return f"<GroupedFit {self.model.formula}: {len(self)} groups, {trusted} trustworthy>"


class Comparison(_Document):
    """Models compared, the first first; with `group_by` in each group. `print` shows a report."""

    document: comparisons.Comparison | comparisons.GroupedComparison

    criterion = _Member[str]()
    target = _Member[str]()
    n = _Member["int | list[int]"]()
    by = _Member[str]()
    """The grouping column; only with `group_by`, as `key`."""
    key = _Member[list[Any]]()
    best = _Member["str | None | list[str | None]"]()
    models = _Member[list[Any]]()
    skipped = _Member[list[comparisons.SkippedModel]]()
    tests = _Member[list[Any]]()
    urls = _Member[comparisons.ComparisonUrls]()

    def __init__(self, raw: dict[str, Any]) -> None:
        super().__init__(raw)
        if "by" in raw:
            self.document = answers.parse(raw, comparisons.GroupedComparison)
        else:
            self.document = answers.parse(raw, comparisons.Comparison)

    def __getitem__(self, label: str) -> Any:
        """The model with that label; KeyError where there is none."""
        found = next((model for model in self.models if model.label == label), None)
        if found is None:
            raise KeyError(label)
        return found

    def columns(self) -> dict[str, list[Any]]:
        """A table with one row per model, or per group and model, for a data frame."""
        from service.render.tables import table

        return {name: list(column) for name, column in table(self.document).items()}

    def __repr__(self) -> str:
        return f"<Comparison of {len(self.models)} models: {self.best} by {self.criterion}>"


def is_comparison(raw: dict[str, Any]) -> bool:
    """Whether a document is a comparison of models."""
    return "criterion" in raw


def is_grouped(raw: dict[str, Any]) -> bool:
    """Whether a document is the fits of groups."""
    return "groups" in raw


def load(path: str | Path) -> dict[str, Any]:
    """Loads a saved document."""
    found = from_json(Path(path).read_bytes())
    if not isinstance(found, dict):
        raise errors.UnreadableAnswer(f"{path} is not a fit")
    return found
