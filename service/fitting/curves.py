"""What /predict takes of a finished fit, kept beside its document: nothing is read again for it."""

from __future__ import annotations

import math

from service.fitting.compute import predict_from_fit
from service.fitting.grouped_predict import Curves, predict_from_groups
from service.schemas.answers import Fit, GroupedFit, PredictBody
from service.schemas.compute import Predictions, PredictRequest

Curve = bytes | Curves
"""The JSON of a fit's own `predict`, or the columns of many fits."""


def curve(fit: Fit | GroupedFit) -> Curve:
    """That of a fit's document."""
    return Curves.of(fit) if isinstance(fit, GroupedFit) else fit.predict.document()


def curve_nbytes(curve: Curve) -> int:
    """Bytes that it holds."""
    return len(curve) if isinstance(curve, bytes) else curve.nbytes


def predict_from(
    request: PredictRequest,
    curve: Curve,
    max_rows: int = 2**62,
    max_operations: float = math.inf,
) -> Predictions:
    """f(x; θ) at each row, by a finished fit. Raises InvalidRequest."""
    if isinstance(curve, Curves):
        return predict_from_groups(request, curve, max_rows, max_operations)
    body = PredictBody.model_validate_json(curve)
    return predict_from_fit(request, body, max_rows, max_operations)
