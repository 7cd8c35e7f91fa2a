"""The priors of a request: what is known of params before the fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from service.catalogue.losses import LOSSES
from service.engine.formula import Formula
from service.engine.kernel.types import Floats
from service.engine.noise import Noise
from service.engine.normal import NormalPrior
from service.engine.prior import are_mixed
from service.engine.problem import Model, Problem
from service.errors import InvalidRequest, UnknownName, token
from service.fitting.sharing import shared_positions
from service.schemas.fit import FitRequest
from service.schemas.options import Param

CONDITION = 1e-12
"""The smallest eigenvalue of a correlation matrix that is positive definite."""
SYMMETRIC = 1e-6
"""The most by which a correlation may differ from that on the other side of the diagonal."""


def pointer_of(request: FitRequest) -> str | None:
    """The pointer to the first prior of a request; None without one."""
    if request.prior is not None:
        return "/prior"
    for name, param in request.params.items():
        if isinstance(param, Param) and param.prior is not None:
            return f"/params/{token(name)}/prior"
    return None


def with_starts(request: FitRequest, formula: Model) -> FitRequest:
    """The request with the mean of its prior as the initial value of each param that has none."""
    means = {} if request.prior is None else dict(request.prior.mean)
    for name, param in request.params.items():
        if isinstance(param, Param) and param.prior is not None:
            means[name] = param.prior.mean
    params = dict(request.params)
    for name, mean in means.items():
        given = params.get(name, Param())
        if name not in formula.params:
            continue
        if not isinstance(given, Param) or given.value is not None or given.expr is not None:
            continue
        low = mean if given.min is None else max(mean, given.min)
        value = low if given.max is None else min(low, given.max)
        params[name] = given.model_copy(update={"value": value})
    return request if params == request.params else request.model_copy(update={"params": params})


def with_prior(problem: Problem, request: FitRequest) -> Problem:
    """The problem with the prior of the request. Raises InvalidRequest."""
    at = pointer_of(request)
    if at is None:
        return problem
    check_prior(request, problem.formula, problem.noise, at)
    prior, shared = _prior(request, problem), shared_positions(request, problem.formula)
    if shared and are_mixed(problem, prior, shared):
        raise InvalidRequest(
            "a prior of shared params and of params that each group has for itself is no prior of "
            "one group; give those of the shared params, with their part of the covariance",
            pointer="/prior",
        )
    return replace(problem, prior=prior)


def check_prior(request: FitRequest, formula: Model, noise: Noise | None, at: str) -> None:
    """Raises InvalidRequest for what has no meaning, or no method, with a prior."""
    if not isinstance(formula, Formula):
        raise InvalidRequest("a prior is for the params of a formula, not of a network", pointer=at)
    if request.sigma_x:
        raise InvalidRequest(
            "a prior is added to the χ² of a fit with exact inputs; omit `sigma_x`, or the prior",
            pointer="/sigma_x",
        )
    if request.likelihood is not None:
        raise InvalidRequest(
            "a prior is added to the χ² of a fit by least squares, not to the deviance of a "
            "likelihood; omit one of the two",
            pointer=at,
        )
    if not LOSSES[request.loss.name].is_likelihood:
        raise InvalidRequest(
            f"a prior is added to the χ² of the loss 'mse', not to '{request.loss.name}'",
            pointer=at,
        )
    if noise is not None:
        raise InvalidRequest(
            "a prior is weighed against noise that is known before the fit, and here sigma follows "
            "from the fit; give `sigma` as a column or a number, in the units of the target: that "
            "of the expression at the predictions of a fit without the prior will do",
            pointer=at,
        )
    if not request.sigma_absolute or (request.sigma is None and request.weights is None):
        raise InvalidRequest(
            "a prior is weighed against the data by their noise, which must be known: give `sigma` "
            "in the units of the target, and `sigma_absolute` true",
            pointer="/sigma_absolute" if request.sigma is not None else "/sigma",
        )
    if request.scaling is not None:
        raise InvalidRequest(
            "a prior is of params in raw units; omit `scaling`, with which the params of the fit "
            "are others",
            pointer="/scaling",
        )
    _check_inference(request)


def _check_inference(request: FitRequest) -> None:
    """Raises InvalidRequest for a part of the answer that does not count the rows of a prior."""
    asked = request.confidence_interval
    refused = {
        "/outliers": request.outliers is not None,
        "/coverage": request.coverage is not None,
        "/design": request.design is not None,
        "/confidence_interval/method": asked.method == "bootstrap",
    }
    what = {
        "/outliers": "outliers are tested without a prior; omit `outliers`",
        "/coverage": "coverage is simulated without a prior; omit `coverage`",
        "/design": "a design is computed without a prior; omit `design`",
        "/confidence_interval/method": "a bootstrap draws data, not priors; use 't' or 'profile'",
    }
    for pointer, is_asked in refused.items():
        if is_asked:
            raise InvalidRequest(what[pointer], pointer=pointer)
    if request.covariance == "sandwich":
        raise InvalidRequest(
            "the covariance 'sandwich' is of the rows of data alone; with a prior use 'expected'",
            pointer="/covariance",
        )
    for name, each in request.report.items() if isinstance(request.report, dict) else ():
        if each.method == "profile":
            raise InvalidRequest(
                "the profile of a report does not count a prior; use the method 'delta'",
                pointer=f"/report/{token(name)}/method",
            )


def _prior(request: FitRequest, problem: Problem) -> NormalPrior:
    """The prior of the params alone, and of several. Raises InvalidRequest."""
    formula = problem.formula
    assert isinstance(formula, Formula)
    free = dict(zip(problem.params, problem.free, strict=True))
    known = [*problem.params, *(name for name, _ in formula.ties)]
    names: list[str] = []
    means: list[float] = []
    for name, param in request.params.items():
        if not isinstance(param, Param) or param.prior is None:
            continue
        at = f"/params/{token(name)}/prior"
        if name not in known:
            raise UnknownName("param", name, known, pointer=f"/params/{token(name)}")
        if not free.get(name, True):
            raise InvalidRequest(
                f"'{name}' is fixed, so that its prior has no effect; omit `fixed` or `prior`",
                pointer=at,
            )
        names.append(name)
        means.append(param.prior.mean)
    alone = len(names)
    covariance = np.zeros((alone, alone))
    for i, name in enumerate(names):
        own = request.params[name]
        assert isinstance(own, Param)
        assert own.prior is not None
        covariance[i, i] = own.prior.sd**2
    if request.prior is not None:
        for name in request.prior.mean:
            if name not in known:
                raise UnknownName("param", name, known, pointer=f"/prior/mean/{token(name)}")
            if name in names:
                raise InvalidRequest(
                    f"'{name}' has two priors, here and in `prior`; omit one of them",
                    pointer=f"/params/{token(name)}/prior",
                )
        joint = _matrix(request.prior.mean, request.prior.covariance)
        names += request.prior.mean
        means += request.prior.mean.values()
        covariance = np.block(
            [
                [covariance, np.zeros((alone, len(joint)))],
                [np.zeros((len(joint), alone)), joint],
            ]
        )
    sd = np.sqrt(np.diag(covariance))
    root = np.linalg.cholesky(covariance / sd[:, None] / sd)
    return NormalPrior(tuple(names), np.array(means), sd, np.linalg.inv(root) / sd)


def _matrix(mean: Mapping[str, float], given: Mapping[str, Mapping[str, float]]) -> Floats:
    """The covariance in the order of the means. Raises InvalidRequest where it is none."""
    names = list(mean)
    for at, row in {"": given, **{f"/{token(name)}": row for name, row in given.items()}}.items():
        if set(row) != set(names):
            other = sorted(set(row) ^ set(names))
            raise InvalidRequest(
                f"`mean` and `covariance` must have the same params; {', '.join(other)} "
                f"{'is' if len(other) == 1 else 'are'} missing in one of them",
                pointer=f"/prior/covariance{at}",
            )
    matrix: Floats = np.array([[given[a][b] for b in names] for a in names], dtype=np.float64)
    for name, variance in zip(names, np.diag(matrix).tolist(), strict=True):
        if not variance > 0:
            raise InvalidRequest(
                f"the variance of '{name}' is {variance:g}; it must be above 0",
                pointer=f"/prior/covariance/{token(name)}/{token(name)}",
            )
    sd = np.sqrt(np.diag(matrix))
    correlation = matrix / sd[:, None] / sd
    apart = np.abs(correlation - correlation.T).max(initial=0.0)
    if apart > SYMMETRIC or not np.linalg.eigvalsh(correlation).min(initial=1.0) > CONDITION:
        raise InvalidRequest(
            "the covariance is not symmetric and positive definite: a combination of the params "
            "would be known exactly",
            pointer="/prior/covariance",
        )
    half: Floats = (matrix + matrix.T) / 2
    return half
