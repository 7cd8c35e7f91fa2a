"""σ of new observations, where a fit has it as an expression of the prediction and of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from service.engine.formula import formula_names
from service.engine.kernel.composite import outputs_of
from service.engine.kernel.types import Floats
from service.engine.names import CONSTANTS
from service.engine.noise import PREDICTION
from service.errors import InvalidRequest
from service.fitting.columns import finite_arrays
from service.fitting.noise import parsed
from service.schemas.columns import Data
from service.schemas.noise import KnownNoise


def weights_as_noise(weights: str) -> str:
    """The expression of σ for that of weights."""
    return f"1/sqrt({weights})"


@np.errstate(all="ignore")
def sigma_at(
    expr: str, names: Sequence[str], values: Floats, predictions: Floats, data: Data,
    known: Mapping[str, Floats] | None = None, pointer: str = "/noise",
) -> Floats:  # fmt: skip
    """σ of each row; NaN where it is not a positive number. values: the params of the expression,
    (rows or 1, params); `known` are columns besides those of the data. Raises InvalidRequest."""
    given = known or {}
    columns = {PREDICTION, *data, *given}
    formula = parsed(expr, columns, tuple(names), f"{pointer}/expr")
    there = {PREDICTION: predictions, **given}
    needed = [name for name in formula.inputs if name not in there]
    there |= finite_arrays(data, needed)
    rows = len(predictions)
    inputs = [
        torch.from_numpy(np.array(there[name], dtype=np.float64)).unsqueeze(-1)
        for name in formula.inputs
    ]
    own = [list(names).index(name) for name in formula.params]
    theta = np.broadcast_to(values, (rows, len(names)))[:, own].copy()
    found = outputs_of(formula.forward.tensors, inputs, torch.from_numpy(theta))[0]
    sigma: Floats = found.expand(rows, 1).squeeze(-1).numpy().copy()
    return np.where(np.isfinite(sigma) & (sigma > 0), sigma, np.nan)


def needs_only(noise: KnownNoise, name: str | None) -> bool:
    """Whether an expression of σ has no other column than that."""
    used = formula_names(noise.expr) - noise.params.keys() - CONSTANTS.keys()
    return used <= {PREDICTION, name}


def must_scale(scale: float | None, pointer: str = "/sigma_scale") -> float:
    """The scale of a noise. Raises InvalidRequest without it."""
    if scale is None:
        raise InvalidRequest(
            "`noise` is in units of `sigma_scale`: give it too, 1 where it is the standard "
            "deviation itself",
            pointer=pointer,
        )
    return scale
