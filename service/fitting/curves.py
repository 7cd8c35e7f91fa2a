"""What /predict needs of a finished fit. It is stored with the response body, so that the body need
not be parsed again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import chain
from typing import Any

from service.errors import InvalidRequest
from service.fitting.compute import predict
from service.fitting.drawn import Drawn
from service.fitting.grouped_curves import Curves
from service.fitting.grouped_predict import predict_from_groups
from service.schemas.answers import PredictBody
from service.schemas.comparisons import Comparison, GroupedComparison
from service.schemas.compute import Predictions, PredictRequest
from service.schemas.grouped import GroupedFit
from service.schemas.jobs import JobResult

Curve = bytes | Curves | Drawn
"""The JSON of a fit's `predict`, also with the replicates of its bootstrap; or the columns of the
fits of groups."""


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
    if isinstance(answer.drawn, Drawn):
        return answer.drawn
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
    body = body_of(curve)
    return predict_from_fit(request, body, max_rows, max_operations)


def body_of(curve: bytes | Drawn) -> PredictBody:
    """A fit's `predict`."""
    document = curve.predict if isinstance(curve, Drawn) else curve
    return PredictBody.model_validate_json(document)


def predict_from_fit(
    request: PredictRequest,
    body: PredictBody,
    max_rows: int = 2**62,
    max_operations: float = math.inf,
) -> Predictions:
    """`predict` with a finished fit's model, params and scaling."""
    if request.params is not None or request.scaling is not None:
        raise InvalidRequest(
            "omit `params` and `scaling`: those of the job are used", pointer="/job_id"
        )
    filled = {**usable(body), "data": dict(request.data), "interval": request.interval}
    filled["rows"] = request.rows
    filled["units"] = body.units | request.units
    return predict(PredictRequest.model_validate(filled), max_rows, max_operations)


def usable(body: PredictBody) -> dict[str, Any]:
    """What a finished fit says of its curve, without numbers that are not finite. Raises
    InvalidRequest for such params."""
    values = {name: v for name, v in body.params.items() if isinstance(v, float)}
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if bad:
        raise InvalidRequest(
            f"the job's params are not finite: {', '.join(bad)}", pointer="/job_id"
        )
    known = body.model_dump()
    if not _are_finite(*(body.covariance or {}).values()):
        known["covariance"] = None
    noise = known["noise"]
    if noise is not None and not _are_finite(noise["params"]):
        known["noise"] = None
    for name in ("residual_std", "sigma_scale"):
        if not math.isfinite(known[name] or 0.0):
            known[name] = None
    return known


def _are_finite(*rows: Mapping[str, float]) -> bool:
    return all(map(math.isfinite, chain.from_iterable(row.values() for row in rows)))
