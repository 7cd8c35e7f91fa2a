"""Converts the target, sigma and the scaling of a request to tensors in the fit's precision."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from service.engine.problem import Model
from service.engine.scaling import METHODS, Scale
from service.errors import InvalidData, InvalidRequest, UnknownName, token
from service.fitting.columns import finite_columns, first_bad, is_finite
from service.schemas.columns import Data, Numbers
from service.schemas.options import Scaling as ScalingRequest

Sigma = str | float | list[float] | None

_ZERO = torch.zeros((), dtype=torch.float64)


def narrowed(column: Tensor, dtype: torch.dtype, name: str, known: Tensor | None = None) -> Tensor:
    """A column in the precision of the fit. A column that is `known` is not checked again. Raises
    InvalidData for a value out of range."""
    narrow = column.to(dtype)
    if narrow is known:
        return narrow
    if not is_finite(narrow):
        row = first_bad(narrow)
        raise InvalidData(
            f"column '{name}', row {row + 1} is {float(column[row]):g} after scaling, which is out "
            f"of the range of {str(dtype).removeprefix('torch.')}",
            pointer=f"/data/{token(name)}/{row}",
        )
    return narrow


def narrowed_sigma(sigma: Tensor, dtype: torch.dtype, pointer: str = "/sigma") -> Tensor:
    """Sigma in the precision of the fit. Raises InvalidData if 1/sigma is not finite."""
    narrow = sigma.to(dtype)
    if not (is_finite(narrow) and is_finite(1 / narrow)):
        row = first_bad(narrow + 1 / narrow)
        raise InvalidData(
            f"sigma is {float(sigma[row]):g} in row {row + 1}, too small or too "
            f"large to divide by in {str(dtype).removeprefix('torch.')}",
            pointer=pointer,
        )
    return narrow


def series(values: Tensor) -> Numbers:
    """Values as a float64 array, for an answer."""
    return values.double().numpy()


def explained(formula: Model, data: Data, rows: int) -> Tensor:
    """The values of the left side, (rows,) float64. Raises InvalidData if one is not finite."""
    columns = finite_columns(data, formula.target_columns)
    plain = columns.get(formula.target)
    if plain is not None:
        return plain
    target = formula.explained(columns, _ZERO).expand(rows)
    if not is_finite(target):
        row = first_bad(target)
        values = ", ".join(f"{name} = {float(column[row]):g}" for name, column in columns.items())
        raise InvalidData(
            f"the left side '{formula.target}' is not finite in row {row + 1} ({values})",
            pointer=f"/data/{token(formula.target_columns[0])}/{row}",
        )
    return target


def to_scaling(spec: ScalingRequest | None, raw: Mapping[str, Tensor]) -> dict[str, Scale]:
    """The scale of each input that has one. Raises InvalidData or InvalidRequest."""
    if spec is None:
        return {}
    if isinstance(spec, str):
        try:
            return {name: METHODS[spec](name, column) for name, column in raw.items()}
        except InvalidData as error:
            raise error.at("/scaling") from None
    for name, scale in spec.items():
        if name not in raw:
            raise UnknownName("input", name, raw, pointer=f"/scaling/{token(name)}")
        if scale.scale == 0.0:
            raise InvalidRequest("a scale must not be 0", pointer=f"/scaling/{token(name)}/scale")
    return {name: Scale(scale.scale, scale.offset) for name, scale in spec.items()}


def to_sigma(sigma: Sigma, data: Data, rows: int) -> Tensor | None:
    """σ of each row, (rows,) float64. Raises InvalidData or UnknownName."""
    if sigma is None:
        return None
    if isinstance(sigma, str):
        if sigma not in data:
            raise UnknownName("column", sigma, data, pointer="/sigma")
        column = finite_columns(data, [sigma])[sigma]
        bad = (column <= 0).nonzero().flatten()
        if len(bad):
            raise InvalidData(
                f"sigma must be above 0, but column '{sigma}' is not in row {int(bad[0]) + 1}",
                pointer=f"/data/{token(sigma)}/{int(bad[0])}",
            )
        return column
    if isinstance(sigma, list):
        if len(sigma) != rows:
            raise InvalidData(f"sigma has {len(sigma)} values for {rows} rows", pointer="/sigma")
        return torch.tensor(sigma, dtype=torch.float64)
    return torch.full((rows,), float(sigma), dtype=torch.float64)
