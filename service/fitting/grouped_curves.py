"""What predictions and unknowns need of the fits of groups."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from service.engine.expressions import Texts
from service.engine.problem import Model
from service.fitting.groups import Codes, Value
from service.fitting.models import resolve
from service.fitting.noise_at import sigma_at
from service.fitting.ties import Ties
from service.schemas.columns import Data, Numbers
from service.schemas.grouped import GroupedFit
from service.schemas.models import Model as ModelRequest
from service.schemas.names import DType

_TEXT_BYTES = 150
"""Bytes of a group's text and its index."""
_MODEL: TypeAdapter[ModelRequest] = TypeAdapter(ModelRequest)


@dataclass(frozen=True)
class Curves:
    """What predictions need of the fits of groups, as columns with one row per group."""

    model: str | dict[str, Any]
    scaling: dict[str, dict[str, float]] | None
    dtype: DType
    by: tuple[str, ...]
    keys: Numbers | bytes
    """(groups,) numbers, or the JSON of texts, or of keys of several columns, which is parsed at
    the first prediction."""
    names: tuple[str, ...]
    theta: Numbers
    """(groups, params)"""
    ties: Texts = ()
    """The tied params with their expressions."""
    free: tuple[str, ...] = ()
    """The params of the covariance."""
    covariance: Numbers | None = None
    """(groups, free, free), with the next two for bands; None unless the fit returned it."""
    residual_std: Numbers | None = None
    """The standard deviation of a new observation, (groups,); None where `sigma` gives one for each
    row."""
    sigma_scale: Numbers | None = None
    """The same in units of `sigma`, (groups,); None without it."""
    degrees_of_freedom: Numbers | None = None
    """(groups,)"""
    input_range: Mapping[str, Sequence[float]] | None = None
    """The smallest and largest value of each input, over all groups."""
    noise: str | None = None
    """`sigma` of a new observation as an expression,"""
    noise_names: tuple[str, ...] = ()
    """and the params of that,"""
    noise_values: Numbers | None = None
    """(groups, params)"""
    units: Texts = ()
    """Columns with their units."""

    @classmethod
    def of(cls, fit: GroupedFit) -> Curves:
        """The curves of a fit's response body."""
        groups, body = fit.groups, fit.predict
        shared = {} if fit.shared is None else fit.shared.params
        texts = [key for key in groups.key if not isinstance(key, float | int)]
        is_text = len(texts) == len(groups.key) and any(text is not None for text in texts)
        keys = to_json(texts) if is_text else np.array(groups.key, dtype=np.float64)
        names = (*groups.params, *shared)
        theta = np.empty((len(groups.key), len(names)))
        for i, name in enumerate(names):
            theta[:, i] = shared[name] if name in shared else groups.params[name]
        ties, noise = tuple(fit.model.expressions.items()), _noise(fit)
        has_scale = not body.has_residual_std and groups.likelihood is None
        made = cls(
            body.model, body.scaling, body.dtype, groups.columns, keys, names, theta, ties,
            sigma_scale=noise if has_scale else None,
            input_range=body.input_range, units=tuple(body.units.items()),
        )._with_noise(fit)  # fmt: skip
        return made if groups.covariance is None else made._with_covariance(fit, noise)

    def _with_noise(self, fit: GroupedFit) -> Curves:
        """The same with σ as an expression, where the fit has one."""
        body, found = fit.predict.noise, fit.groups.noise
        if body is None:
            return self
        params = {} if found is None else found.params
        values = np.empty((len(self.theta), len(params)))
        for i, column in enumerate(params.values()):
            values[:, i] = column
        return replace(self, noise=body.expr, noise_names=tuple(params), noise_values=values)

    def sigma(self, at: Codes, predictions: Numbers, data: Data) -> Numbers:
        """The standard deviation of a new observation in each row of those groups."""
        assert self.noise is not None
        assert self.noise_values is not None
        assert self.sigma_scale is not None
        values = self.noise_values[at]
        own = sigma_at(self.noise, self.noise_names, values, predictions, data)
        return np.asarray(self.sigma_scale[at] * own)

    def _with_covariance(self, fit: GroupedFit, noise: Numbers) -> Curves:
        """The same with what bands need."""
        groups, body, pooled = fit.groups, fit.predict, fit.statistics
        assert groups.covariance is not None
        across = {} if fit.shared is None else fit.shared.covariance or {}
        local, many = len(groups.covariance), len(self.theta)
        free = (*groups.covariance, *across)
        covariance = np.full((many, len(free), len(free)), np.nan)
        for i, a in enumerate(free):
            row = groups.covariance[a] if i < local else across[a]
            for j, b in enumerate(free[i:], start=i):
                covariance[:, i, j] = covariance[:, j, i] = row[b]
        degrees = np.array(groups.n, dtype=np.float64) - len(free)
        if pooled is not None:
            degrees[:] = pooled.degrees_of_freedom
        if body.is_normal:
            degrees[:] = np.inf
        return replace(
            self,
            free=free,
            covariance=covariance,
            residual_std=noise if body.has_residual_std else None,
            degrees_of_freedom=degrees,
        )

    @property
    def column(self) -> str | list[str]:
        """The grouping column, or columns, as in a request."""
        return self.by[0] if len(self.by) == 1 else list(self.by)

    @property
    def nbytes(self) -> int:
        """Size in bytes, including `order` or `places`."""
        rows = self.theta.nbytes
        noise = (self.residual_std, self.sigma_scale)
        for column in (self.covariance, *noise, self.degrees_of_freedom, self.noise_values):
            rows += 0 if column is None else column.nbytes
        if isinstance(self.keys, bytes):
            return len(self.keys) + rows + _TEXT_BYTES * len(self.theta)
        return 2 * self.keys.nbytes + rows

    def formula(self, columns: Collection[str]) -> Model:
        """The formula or network, for data of these columns."""
        model = _MODEL.validate_python(self.model)
        ties = Ties(self.ties, frozenset(self.names))
        return resolve(model, columns, self.names, ties).formula

    @cached_property
    def order(self) -> Codes:
        """The groups in ascending order of their numbers, null last."""
        assert not isinstance(self.keys, bytes)
        return np.argsort(self.keys, kind="stable")

    @property
    def null(self) -> int:
        """The group of the rows without a key; −1 if there is none."""
        if isinstance(self.keys, bytes):
            return self.places.get(None, -1)
        last = int(self.order[-1])
        return last if np.isnan(self.keys[last]) else -1

    @cached_property
    def places(self) -> Mapping[str | None, int]:
        """The index of each text; None is the key of the rows without one."""
        assert isinstance(self.keys, bytes)
        return {text: i for i, text in enumerate(from_json(self.keys))}

    @cached_property
    def places_of_several(self) -> Mapping[tuple[Value, ...], int]:
        """The index of each key of several columns."""
        assert isinstance(self.keys, bytes)
        return {tuple(key): i for i, key in enumerate(from_json(self.keys))}


def _noise(fit: GroupedFit) -> Numbers:
    """The standard deviation of the noise of each group, in units of `sigma` where the fit has
    one, (groups,)."""
    groups, pooled = fit.groups, fit.statistics
    if fit.predict.is_normal:
        return np.ones(len(groups.key))
    whole = None if pooled is None else [pooled.residual_std] * len(groups.key)
    return np.array([np.nan if s is None else s for s in whole or groups.residual_std])
