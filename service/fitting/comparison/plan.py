"""Converts a request of POST /compare to the plans of its fits."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from service.catalogue.families import FAMILIES
from service.engine.formula import Formula
from service.engine.problem import Problem
from service.errors import BudgetExceeded, FieldError, InvalidRequest, UnknownName
from service.fitting.checking import NUMBER_BYTES, check
from service.fitting.columns import check_shape
from service.fitting.comparison import curves
from service.fitting.comparison.counts import check_likelihood, check_noise, default_tests
from service.fitting.comparison.requests import fit_request
from service.fitting.groups import check_keys
from service.fitting.likelihoods import with_bins
from service.fitting.models import resolve
from service.fitting.plan import Plan, to_plan, usable, without_missing
from service.fitting.row_filter import with_rows
from service.schemas.compare import Candidate, Catalogue, CompareRequest
from service.schemas.comparisons import SkippedModel, TestName
from service.schemas.fit import FitRequest
from service.schemas.models import NamedModel
from service.settings import Settings

_NUMBERS_OF_GROUP = 14
"""Numbers of a model in one group, besides two for each param."""
_FOR_ALL = (
    "/data", "/sigma", "/weights", "/likelihood", "/bins", "/group_by", "/null", "/alternative",
    "/rows", "/missing", "/time_limit_s", "/dtype",
)  # fmt: skip
"""Places that are the same in this request as in that of a fit."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One of the models."""

    label: str
    index: int
    """Its place in the request; of curves, that of the hypothesis: the alternative is the last."""
    plan: Plan
    shared: frozenset[str] | None = None
    """Where curves are compared: the free params that the groups share."""

    @property
    def problem(self) -> Problem:
        return self.plan.task.problem

    @property
    def free(self) -> int:
        """Number of free params, those of all groups where curves are compared."""
        if self.shared is not None:
            return curves.free_params(self.plan)
        return len(self.problem.free_params)


@dataclass(frozen=True, slots=True)
class ComparisonPlan:
    """A parsed request: the plan of each fit, on the same rows."""

    request: CompareRequest
    entries: tuple[Entry, ...]
    skipped: tuple[SkippedModel, ...]
    tests: tuple[TestName, ...]
    dropped: tuple[int, ...]

    @property
    def is_catalogue(self) -> bool:
        return isinstance(self.request.models, Catalogue)

    @property
    def title(self) -> str:
        """The models for display."""
        if self.is_catalogue:
            return f"the catalogue: {len(self.entries)} models"
        labels = [entry.label for entry in self.entries]
        if self.request.compares_curves:
            labels[0] = f"{self.entries[0].problem.formula.text}: {labels[0]}"
        more = f" | and {len(labels) - 4} more" if len(labels) > 4 else ""
        return " | ".join(labels[:4]) + more

    def to(self, place: Callable[[Plan], Plan]) -> ComparisonPlan:
        """The same with the plan of each fit moved to a device by `place`."""
        moved = tuple(replace(each, plan=place(each.plan)) for each in self.entries)
        return replace(self, entries=moved)


def to_comparison(request: CompareRequest, settings: Settings | None = None) -> ComparisonPlan:
    """The plan of a request. With `settings` its cost is checked, that of all fits together.
    Raises InvalidRequest, with pointers."""
    check_shape(request.data, 2**62 if settings is None else settings.max_rows)
    request = with_rows(request)
    curves.check_curves(request)
    check_likelihood(request)
    check_noise(request)
    if request.group_by is not None:
        check_keys(request.group_by, request.data)
        if request.group_by.history:
            raise InvalidRequest(
                "a comparison keeps no history; omit it, or fit one model by POST /fit",
                pointer="/group_by/history",
            )
        if request.group_by.is_pooled:
            raise InvalidRequest(
                "models are compared in each group by itself, and curves by the params that `null` "
                "and `alternative` share; omit `shared` and `noise`",
                pointer="/group_by",
            )
    candidates = _candidates(request)
    labels = _labels(candidates)
    asked, dropped = _same_rows(request, [fit_request(request, each) for each in candidates])
    if request.compares_curves:
        return _to_curves(request, asked[0], candidates[0], dropped, settings)
    entries, refused = [], []
    for i, (candidate, fit) in enumerate(zip(candidates, asked, strict=True)):
        try:
            plan = to_plan(fit) if settings is None else check(fit, settings)
        except BudgetExceeded:
            raise
        except InvalidRequest as error:
            if not isinstance(request.models, Catalogue):
                raise _placed(error, i, candidate) from None
            refused.append((SkippedModel(label=labels[i], reason=str(error)), error))
        else:
            entries.append(Entry(labels[i], i, plan))
    if not entries:
        first = refused[0][1]
        raise InvalidRequest(f"no family can be fitted to these data: {first}", pointer="/models")
    if isinstance(request.models, Catalogue):
        entries, apart = _same_target(entries)
        refused += apart
    _check_alike(entries, candidates)
    _check_declared(request, labels, entries)
    tests = request.tests
    if tests is None:
        tests = [] if isinstance(request.models, Catalogue) else default_tests(request)
    if settings is not None:
        _check_cost(entries, settings)
    skipped = tuple(each for each, _ in refused)
    return ComparisonPlan(request, tuple(entries), skipped, tuple(dict.fromkeys(tests)), dropped)


def _to_curves(
    request: CompareRequest,
    fit: FitRequest,
    candidate: Candidate,
    dropped: tuple[int, ...],
    settings: Settings | None,
) -> ComparisonPlan:
    """The plan of a comparison of curves."""
    entries = []
    try:
        for i, each in enumerate(curves.hypotheses(request, fit)):
            asked = curves.fit_of(fit, each)
            try:
                plan = to_plan(asked) if settings is None else check(asked, settings)
            except InvalidRequest as error:
                raise curves.placed(error, each) from None
            curves.check_groups(plan)
            entries.append(Entry(each.label, i, plan, curves.shared_of(plan)))
    except BudgetExceeded:
        raise
    except InvalidRequest as error:
        raise _placed(error, 0, candidate) from None
    if settings is not None:
        _check_cost(entries, settings)
    tests = default_tests(request) if request.tests is None else request.tests
    return ComparisonPlan(request, tuple(entries), (), tuple(dict.fromkeys(tests)), dropped)


def _candidates(request: CompareRequest) -> Sequence[Candidate]:
    asked = request.models
    if not isinstance(asked, Catalogue):
        return asked
    _check_columns(request, asked)
    given = {"inputs": asked.inputs, "target": asked.target}
    return [
        Candidate(model=NamedModel.model_validate({"name": name, **given}), label=name)
        for name in FAMILIES
    ]


def _check_columns(request: CompareRequest, asked: Catalogue) -> None:
    """Raises InvalidRequest where the input of the families is not clear."""
    columns = usable(with_bins(fit_request(request, Candidate(model="linear"))))
    target = asked.target or ("y" if "y" in columns else columns[-1] if columns else "")
    others = [name for name in columns if name != target]
    if asked.inputs is None and "x" not in others and len(others) > 1:
        example = {"name": "catalogue", "inputs": others[:1], "target": target}
        raise InvalidRequest(
            f"which of {', '.join(columns)} are the input and the target? Name them `x` and `y`, "
            f"or give `models` as {json.dumps(example)}",
            pointer="/models",
        )


def _labels(candidates: Sequence[Candidate]) -> list[str]:
    """The label of each model. Raises InvalidRequest for one that occurs twice."""
    labels: list[str] = []
    for i, candidate in enumerate(candidates):
        model = candidate.model
        if candidate.label is not None:
            label = candidate.label
        elif isinstance(model, str):
            label = " ".join(model.split())
        else:
            options = model.model_dump(exclude={"name", "inputs", "target"}, exclude_unset=True)
            label = " ".join([model.name, *(f"{name} {v}" for name, v in options.items())])
        if label in labels:
            raise InvalidRequest(
                f"two models are named '{label}'; give one of them a `label`: "
                '{"model": …, "label": …}',
                pointer=f"/models/{i}",
            )
        labels.append(label)
    return labels


def _same_rows(
    request: CompareRequest, asked: list[FitRequest]
) -> tuple[list[FitRequest], tuple[int, ...]]:
    """The requests on the rows that are complete for all of them."""
    if request.missing == "error":
        return asked, ()
    used: dict[str, None] = {}
    for fit in asked:
        try:
            formula = resolve(fit.model, usable(with_bins(fit))).formula
        except InvalidRequest:
            continue  # refused where its plan is made
        names = (*formula.inputs, *formula.target_columns, *(fit.bins or ()))
        used |= dict.fromkeys(name for name in names if name in fit.data)
    kept, dropped = without_missing(asked[0], list(used))
    noise = {"sigma": kept.sigma, "weights": kept.weights}
    rows = {"data": kept.data, "missing": "error", **noise}
    return [fit.model_copy(update=rows) for fit in asked], dropped


def _placed(error: InvalidRequest, index: int, candidate: Candidate) -> InvalidRequest:
    """The error with its pointers into this request."""
    at = f"/models/{index}"
    bare = candidate.model_fields_set == {"model"}

    def moved(pointer: str) -> str:
        if pointer.startswith(_FOR_ALL if candidate.report else (*_FOR_ALL, "/report")):
            return pointer
        return at + (pointer.removeprefix("/model") if bare else pointer)

    error.errors = tuple(FieldError(moved(c.pointer), c.detail) for c in error.errors)
    return error


def _same_target(
    entries: list[Entry],
) -> tuple[list[Entry], list[tuple[SkippedModel, InvalidRequest]]]:
    """The families that explain the target itself, and the others, which transform it."""
    kept, apart = [], []
    for entry in entries:
        target, columns = entry.problem.formula.target, entry.problem.formula.target_columns
        if target == columns[0]:
            kept.append(entry)
        else:
            reason = f"its left side is {target}: likelihoods of other left sides do not compare"
            apart.append((SkippedModel(label=entry.label, reason=reason), InvalidRequest(reason)))
    return kept, apart


def _check_alike(entries: Sequence[Entry], candidates: Sequence[Candidate]) -> None:
    """Raises InvalidRequest where the likelihoods cannot be compared: for different left sides,
    and for networks."""
    first = entries[0]
    for entry in entries:
        at = f"/models/{entry.index}"
        formula = entry.problem.formula
        if not isinstance(formula, Formula):
            raise InvalidRequest(
                "a network has no criterion: its params are not identifiable; compare formulas",
                pointer=at,
            )
        if formula.target != first.problem.formula.target:
            raise InvalidRequest(
                f"the left side of '{entry.label}' is {formula.target}, and that of "
                f"'{first.label}' is {first.problem.formula.target}: likelihoods of different "
                "left sides cannot be compared; write all models for the same one",
                pointer=at
                if candidates[entry.index].model_fields_set == {"model"}
                else f"{at}/model",
            )


def _check_declared(
    request: CompareRequest, labels: Sequence[str], entries: Sequence[Entry]
) -> None:
    free = {entry.label: len(entry.problem.free_params) for entry in entries}
    for i, (smaller, larger) in enumerate(request.nested):
        for j, label in enumerate((smaller, larger)):
            if label not in labels:
                raise UnknownName("model", label, labels, pointer=f"/nested/{i}/{j}")
        if smaller in free and larger in free and free[smaller] >= free[larger]:
            raise InvalidRequest(
                f"'{smaller}' has {free[smaller]} free params and '{larger}' {free[larger]}; a "
                "pair is a smaller model and a larger one with more free params",
                pointer=f"/nested/{i}",
            )


def _check_cost(entries: Sequence[Entry], settings: Settings) -> None:
    """Raises BudgetExceeded if all fits together cost too much, or their answer is too long."""
    cost = sum(
        float(e.plan.task.options.epochs) * e.problem.rows * e.problem.formula.operations
        for e in entries
    )
    if cost > settings.max_operations:
        raise BudgetExceeded(
            f"the fits of {len(entries)} models are {cost:.2g} operations, more than the "
            f"{settings.max_operations:.2g} allowed for one comparison; compare fewer models, or "
            "limit their `epochs`",
            pointer="/models",
        )
    groups = entries[0].plan.groups
    if groups is None:
        return
    numbers = sum(
        _NUMBERS_OF_GROUP
        + (2 if entry.shared is None else 2 + len(entry.plan.task.local_places))
        * len(entry.problem.params)
        for entry in entries
    )
    length = len(groups.keys) * numbers * NUMBER_BYTES
    if length > settings.max_answer_bytes:
        raise BudgetExceeded(
            f"the answer for {len(entries)} models in {len(groups.keys):,} groups would have up to "
            f"{length:,} bytes, more than the {settings.max_answer_bytes:,} allowed; compare fewer "
            "models or send fewer groups per request",
            pointer="/group_by",
        )
