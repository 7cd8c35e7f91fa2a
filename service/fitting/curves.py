"""What /predict needs of a finished fit. It is stored with the response body, so that the body need
not be parsed again."""

from __future__ import annotations

import math

from service.fitting.compute import predict_from_fit
from service.fitting.grouped_predict import Curves, predict_from_groups
from service.schemas.answers import PredictBody
from service.schemas.comparisons import Comparison, GroupedComparison
from service.schemas.compute import Predictions, PredictRequest
from service.schemas.grouped import GroupedFit
from service.schemas.jobs import JobResult

Curve = bytes | Curves
"""The JSON of a fit's `predict`, or the columns of the fits of groups."""


def curve(answer: JobResult) -> Curve | None:
    """The curve of a fit, or of the first model of a comparison, if it has one."""
    if isinstance(answer, GroupedFit):
        return Curves.of(answer)
    if isinstance(answer, GroupedComparison):
        return None
    if isinstance(answer, Comparison):
        first = answer.models[0]
        is_first = first.rank == 1 and first.predict is not None
        return first.predict.document() if is_first and first.predict is not None else None
    return answer.predict.document()


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
