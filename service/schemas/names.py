"""Names as types; those of the catalogue's entries are read from its tables."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator

from service.catalogue.families import FAMILIES
from service.catalogue.likelihoods import LIKELIHOODS
from service.catalogue.losses import LOSSES
from service.catalogue.optimizers import OPTIMIZERS
from service.catalogue.pictures import FORMATS, VIEWS
from service.catalogue.schedules import SCHEDULES

if TYPE_CHECKING:
    LikelihoodName = str
    LossName = str
    OptimizerName = str
    ScheduleName = str
    ModelName = str
    ViewName = str
    PictureFormat = str
else:
    LikelihoodName = Literal[tuple(LIKELIHOODS)]
    LossName = Literal[tuple(LOSSES)]
    OptimizerName = Literal[tuple(OPTIMIZERS)]
    ScheduleName = Literal[tuple(SCHEDULES)]
    ModelName = Literal[tuple(FAMILIES)]
    ViewName = Literal[tuple(VIEWS)]
    PictureFormat = Literal[tuple(FORMATS)]
GradientMethod = Literal["analytic", "autograd", "numeric"]
ScalingMethod = Literal["standardize", "min_max"]
Activation = Literal["tanh", "sigmoid", "relu", "softplus"]
DType = Literal["float32", "float64"]
Missing = Literal["error", "drop"]
IntervalMethod = Literal["t", "profile", "bootstrap"]
ReportMethod = Literal["delta", "fieller", "profile", "bootstrap"]
BootstrapKind = Literal["residual", "case", "parametric", "wild"]
BootstrapInterval = Literal["percentile", "bca"]
DesignCriterion = Literal["c", "D"]
Overdispersion = Literal["pearson"]
CovarianceKind = Literal["expected", "observed", "sandwich"]
AnsweredCovariance = Literal["expected", "observed", "sandwich", "robust"]
BandKind = Literal["confidence", "prediction"]
InversionKind = Literal["inversion", "wald", "bootstrap", "none"]
ReadingKind = Literal["observation", "mean"]
InversionStatus = Literal[
    "ok",
    "below_curve",
    "above_curve",
    "extrapolated",
    "not_monotone",
    "unbounded",
    "no_curve",
]
OnDivergence = Literal["stop", "continue"]
Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
StopReason = Literal["converged", "max_epochs", "diverged", "stalled", "time_limit", "cancelled"]
Severity = Literal["info", "warning", "error"]
Verdict = Literal["trustworthy", "doubtful", "untrustworthy"]
Theme = Literal["light", "dark"]
AxisScale = Literal["auto", "linear", "log"]

Noise = Literal["pooled", "per_group"]
"""Whether groups have one standard deviation of the noise, or one each."""

Name = Annotated[str, AfterValidator(lambda name: unicodedata.normalize("NFKC", name))]
"""Name of a column or a param, NFKC-normalized as the names in a formula are."""
