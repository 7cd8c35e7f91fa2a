"""What /predict needs of a finished fit. It is stored with the response body, so that the body need
not be parsed again."""

from __future__ import annotations

import math

from service.fitting.compute import predict_from_fit
from service.fitting.grouped_predict import Curves, predict_from_groups
from service.schemas.answers import Fit, PredictBody
from service.schemas.compute import Predictions, PredictRequest
from service.schemas.grouped import GroupedFit

Curve = bytes | Curves
"""The JSON of a fit's `predict`, or the columns of the fits of groups."""


def curve(fit: Fit | GroupedFit) -> Curve:
    """The curve of a fit."""
    return Curves.of(fit) if isinstance(fit, GroupedFit) else fit.predict.document()


def curve_nbytes(curve: Curve) -> int:
    """Size of a curve in bytes."""
    return len(curve) if isinstance(curve, bytes) else curve.nbytes


def predict_from(
    request: PredictRequest,
    curve: Curve,
    max_rows: int = 2**62,
    max_operations: float = math.inf,
) -> Predictions:
    """f(x; θ) at each row, with the model of a finished fit. Raises InvalidRequest."""
    if isinstance(curve, Curves):
        return predict_from_groups(request, curve, max_rows, max_operations)
    body = PredictBody.model_validate_json(curve)
    return predict_from_fit(request, body, max_rows, max_operations)
