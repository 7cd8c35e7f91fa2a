"""Checks the cost of a fit and its data before a job is created."""

from __future__ import annotations

import torch

from service.engine.faults import fault
from service.engine.formula import Formula
from service.engine.reweighted_state import most_epochs
from service.errors import BudgetExceeded, InvalidData, token
from service.fitting.errors_in_x import DISTANCE
from service.fitting.plan import Plan, to_plan
from service.fitting.resampling import check_cost
from service.fitting.ties import texts_of
from service.schemas.fit import FitRequest
from service.settings import Settings

PROFILE_STEPS = 300
"""Approximate number of trial steps for the profile of one param."""
NUMBER_BYTES = 25
"""Bytes of a number in JSON, at most: 17 digits, a sign, a point, an exponent and a comma."""
MOST_OBSERVED = 24
"""Most free params of an observed covariance, which has as many second derivatives squared."""
SECOND = 10
"""Approximate cost of the second derivatives by one param, in units of the first ones."""
MOST_FACTORS = 2**25
"""Most numbers of the R factors of groups that share params: 256 MiB."""
_GROUP_NUMBERS = 12
"""Size of a group's row without its params, as a count of numbers."""


def check(request: FitRequest, settings: Settings) -> Plan:
    """The plan of a request that is within the limits. Raises InvalidRequest, with pointers."""
    plan = to_plan(request, max_rows=settings.max_rows, max_groups=settings.max_groups)
    options, problem = plan.task.options, plan.task.problem
    if request.group_by is None:
        _check_domain(plan)
    if len(problem.params) > settings.max_params:
        raise BudgetExceeded(
            f"{len(problem.params):,} params are more than the {settings.max_params:,} allowed",
            pointer="/model",
        )
    if options.epochs > settings.max_epochs:
        raise BudgetExceeded(
            f"{options.epochs:,} epochs are more than the {settings.max_epochs:,} allowed",
            pointer="/epochs",
        )
    operations = problem.formula.operations * (DISTANCE if problem.sigma_x else 1)
    epochs = most_epochs(plan.task)
    cost = float(epochs) * problem.rows * operations
    if cost > settings.max_operations:
        most = int(settings.max_operations / (problem.rows * operations))
        raise BudgetExceeded(
            f"{epochs:,} epochs × {problem.rows:,} rows × {operations} operations are {cost:.2g}, "
            f"more than the {settings.max_operations:.2g} allowed for one fit; use at "
            f"most {most:,} epochs",
            pointer="/epochs",
        )
    _check_inference(plan, settings)
    check_cost(plan, settings)
    if request.time_limit_s is not None and request.time_limit_s > settings.max_time_limit_s:
        raise BudgetExceeded(
            f"time_limit_s is at most {settings.max_time_limit_s:g}", pointer="/time_limit_s"
        )
    _check_answer(plan, settings)
    return plan


def _check_inference(plan: Plan, settings: Settings) -> None:
    """Raises BudgetExceeded if profiles or second derivatives would take too long."""
    problem, asked = plan.task.problem, plan.request.confidence_interval
    free, most = len(problem.free_params), settings.max_profile_operations
    reading = float(problem.rows) * problem.formula.operations
    reading *= DISTANCE if problem.sigma_x else 1
    walked = len(plan.task.shared_places) if plan.task.shared else free
    profile = PROFILE_STEPS * walked * reading
    if asked.method == "profile" and profile > most:
        raise BudgetExceeded(
            f"profile intervals would take about {profile:.2g} operations, more than the "
            f"{most:.2g} allowed; use the method 't'",
            pointer="/confidence_interval/method",
        )
    grouped = plan.request.group_by
    if plan.groups is not None and grouped is not None and grouped.relative_to is not None:
        relative = grouped.relative_to
        many = (len(plan.groups.keys) - 1) * len(relative.of or problem.params)
        ratios = PROFILE_STEPS * many * reading
        if relative.method == "profile" and ratios > most:
            raise BudgetExceeded(
                f"the profiles of the ratios would take about {ratios:.2g} operations, more than "
                f"the {most:.2g} allowed; use the method 'fieller'",
                pointer="/group_by/relative_to/method",
            )
    reports = PROFILE_STEPS * plan.report.profiled * reading
    if reports > most:
        raise BudgetExceeded(
            f"the profiles of `report` would take about {reports:.2g} operations, more than the "
            f"{most:.2g} allowed; use the method 'delta'",
            pointer="/report",
        )
    if plan.request.covariance == "observed" and free > MOST_OBSERVED:
        raise BudgetExceeded(
            f"the observed covariance is for at most {MOST_OBSERVED} free params, not {free}; use "
            "'expected'",
            pointer="/covariance",
        )
    if plan.request.covariance == "observed" and SECOND * free * reading > most:
        raise BudgetExceeded(
            f"the second derivatives would take about {SECOND * free * reading:.2g} operations, "
            f"more than the {most:.2g} allowed; use 'expected'",
            pointer="/covariance",
        )


def check_sharing(groups: int, free: int) -> None:
    """Raises BudgetExceeded if the R factors of groups that share params would be too large."""
    numbers = groups * (free + 1) ** 2
    if numbers > MOST_FACTORS:
        raise BudgetExceeded(
            f"the R factors of {groups:,} groups with {free} free params would have {numbers:,} "
            f"numbers, more than the {MOST_FACTORS:,} allowed; fix some params, or send fewer "
            "groups per request",
            pointer="/group_by",
        )


def _check_answer(plan: Plan, settings: Settings) -> None:
    """Raises BudgetExceeded if the answer for many groups would be too long."""
    options, asked, problem = plan.task.options, plan.request.group_by, plan.task.problem
    if asked is None or plan.groups is None:
        return
    groups, params = len(plan.groups.keys), len(problem.params)
    recorded = options.epochs // options.record_every + 2 if asked.history else 0
    if asked.is_pooled:
        check_sharing(groups, len(problem.free_params))
    columns = {"t": 2, "profile": 4, "bootstrap": 6}[plan.request.confidence_interval.method]
    params += len(texts_of(problem.formula))
    numbers = _GROUP_NUMBERS + columns * params + recorded * (2 + 2 * params)
    if asked.is_pooled:
        numbers += len(plan.task.local_places) * params
    elif asked.covariance:
        numbers += params * (params + 1) // 2
    # A report has four numbers and a reason of the length of four.
    reported = len(plan.report.quantities)
    if asked.relative_to is not None:
        reported += len(asked.relative_to.of or (*problem.params, *plan.report.quantities))
    numbers += 8 * reported
    length = groups * numbers * NUMBER_BYTES
    if length > settings.max_answer_bytes:
        fewer = "omit the history, record fewer epochs" if asked.history else "use fewer params"
        if asked.covariance or plan.report:
            fewer = "omit `covariance` and `report`"
        raise BudgetExceeded(
            f"the answer for {groups:,} groups would have up to {length:,} bytes, more than the "
            f"{settings.max_answer_bytes:,} allowed; {fewer} or send fewer groups per request",
            pointer="/group_by",
        )


def _check_domain(plan: Plan) -> None:
    """Raises InvalidData if the formula is not finite in some row whatever the params."""
    problem, formula = plan.task.problem, plan.task.problem.formula
    if not isinstance(formula, Formula) or not formula.full.acts_on_columns_alone:
        return
    bound = formula.bind(problem.columns, problem.rows, problem.target)
    rows = (~torch.isfinite(bound.predict(problem.initial))).nonzero().flatten()
    found = fault(formula.tape, problem.columns, problem.target, rows) if len(rows) else None
    if found is not None:
        text, row = found
        name = next((n for n in formula.inputs if n in text), formula.inputs[0])
        values = ", ".join(_value(plan, n, row) for n in formula.inputs)
        raise InvalidData(
            f"'{text}' is not finite in row {row + 1} ({values}), whatever the params",
            pointer=f"/data/{token(name)}/{row}",
        )


def _value(plan: Plan, name: str, row: int) -> str:
    scaled = f", scaled {float(plan.task.problem.columns[name][row]):g}"
    return f"{name} = {float(plan.raw[name][row]):g}{scaled if name in plan.scaling else ''}"
