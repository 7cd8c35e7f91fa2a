"""What may be said with a request beside its model and its data, as keywords; the schemas say what
each means. What is not said is left to the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from service.schemas.compare import Candidate, Catalogue, Sharing
    from service.schemas.comparisons import Criterion, TestName
    from service.schemas.compute import GridAxis
    from service.schemas.likelihoods import LikelihoodOptions
    from service.schemas.losses import LossOptions as AnyLoss
    from service.schemas.models import MlpModel, NamedModel
    from service.schemas.names import (
        AxisScale,
        BandKind,
        CovarianceKind,
        DType,
        GradientMethod,
        InversionKind,
        LikelihoodName,
        LossName,
        Missing,
        OnDivergence,
        OptimizerName,
        ScalingMethod,
        Theme,
    )
    from service.schemas.noise import KnownNoise, NoiseModel, OutlierOptions
    from service.schemas.optimizers import GradientOptions, OptimizerOptions
    from service.schemas.options import (
        BandOptions,
        ConfidenceOptions,
        GroupOptions,
        Param,
        ReportOptions,
        Scale,
        Tolerance,
    )
    from service.schemas.priors import JointPrior
    from service.schemas.resampling import CoverageOptions, DesignOptions
    from service.schemas.unknowns import CalibratorOptions, InversionOptions

    Object = Mapping[str, Any]
    Model = str | NamedModel | MlpModel | Object
    Models = str | Sequence[Model | Candidate] | Catalogue | Object
    Sigma = str | float | Sequence[float] | Any
    Loss = LossName | AnyLoss | Object
    Likelihood = LikelihoodName | LikelihoodOptions | Object
    Scaling = ScalingMethod | Mapping[str, Scale | Object]
    Gradient = GradientMethod | GradientOptions | Object
    GroupBy = str | Sequence[str] | GroupOptions | Object
    Band = BandKind | BandOptions | Object
    Inversion = InversionKind | InversionOptions | Object


class FitOptions(TypedDict, total=False):
    """Of a fit, `group_by` apart: see `service.schemas.fit.FitRequest`."""

    units: Mapping[str, str]
    sigma: Sigma | NoiseModel | Object | None
    sigma_absolute: bool
    sigma_x: Mapping[str, str | float]
    weights: str | Sequence[float] | Any | None
    outliers: Literal["rout"] | OutlierOptions | Object | None
    rows: str | None
    missing: Missing
    params: Mapping[str, float | Param | Object]
    loss: Loss
    likelihood: Likelihood | None
    bins: Sequence[str] | None
    prior: JointPrior | Object | None
    constraints: Sequence[str]
    optimizer: OptimizerName | OptimizerOptions | Object
    scaling: Scaling | None
    epochs: int | None
    tolerance: Tolerance | Object
    time_limit_s: float | None
    record_every: int | None
    confidence_interval: ConfidenceOptions | Object
    covariance: CovarianceKind
    coverage: CoverageOptions | Object | None
    design: DesignOptions | Object | None
    report: Literal["default"] | Mapping[str, str | ReportOptions | Object] | None
    on_divergence: OnDivergence
    dtype: DType
    challenge: bool
    seed: int
    tags: Mapping[str, str]


class CompareOptions(TypedDict, total=False):
    """Of a comparison: see `service.schemas.compare.CompareRequest`."""

    report: Literal["default"] | Mapping[str, str | ReportOptions | Object] | None
    rows: str | None
    null: str | Sharing | Object | Sequence[Sharing | Object] | None
    alternative: str | Sharing | Object | None
    criterion: Criterion
    tests: Sequence[TestName] | None
    nested: Sequence[tuple[str, str]]
    group_by: GroupBy | None
    units: Mapping[str, str]
    sigma: Sigma | None
    sigma_absolute: bool
    weights: str | Sequence[float] | Any | None
    likelihood: Likelihood | None
    bins: Sequence[str] | None
    missing: Missing
    dtype: DType
    seed: int
    time_limit_s: float | None
    tags: Mapping[str, str]


class PredictOptions(TypedDict, total=False):
    """Of predictions: see `service.schemas.compute.PredictRequest`."""

    units: Mapping[str, str]
    rows: str | None
    scaling: Scaling | None
    job_id: str | None
    interval: Band | None
    covariance: Mapping[str, Mapping[str, float]] | None
    residual_std: float | None
    sigma_scale: float | None
    noise: KnownNoise | Object | None
    degrees_of_freedom: int | None
    input_range: Mapping[str, Sequence[float]] | None
    dtype: DType


class PictureKeywords(TypedDict, total=False):
    """How a picture looks, and what it shows: see GET /jobs/{job_id}/plot/{view}.{format}."""

    theme: Theme
    transparent: bool
    width: int
    height: int
    columns: int
    level: float
    x_axis: AxisScale
    y_axis: AxisScale
    title: str
    group: Any
    """The key of the group to draw; of several columns a sequence of its values."""
    along: Sequence[str]


class InversionKeywords(TypedDict, total=False):
    """Of unknowns, besides what a fit has: see `service.schemas.unknowns.InvertRequest`."""

    rows: str | None
    solve_for: str | None
    replicates_by: str | None
    dilution: str | float | None
    sigma: Sigma | None
    missing: Missing
    interval: Inversion | None
    range: Sequence[float] | None
    calibrators: CalibratorOptions | Object


class InvertOptions(InversionKeywords, total=False):
    """Of unknowns, with what a fit has."""

    scaling: Scaling | None
    job_id: str | None
    covariance: Mapping[str, Mapping[str, float]] | None
    residual_std: float | None
    sigma_scale: float | None
    noise: KnownNoise | Object | None
    degrees_of_freedom: int | None
    input_range: Mapping[str, Sequence[float]] | None
    dtype: DType


class LossOptions(TypedDict, total=False):
    """Of a loss: see `service.schemas.compute.LossRequest`."""

    rows: str | None
    sigma: Sigma | None
    loss: Loss
    likelihood: Likelihood | None
    scaling: Scaling | None
    residuals: bool
    surface: Mapping[str, GridAxis | Object] | None
    dtype: DType


class GradientCallOptions(TypedDict, total=False):
    """Of a gradient: see `service.schemas.compute.GradientRequest`."""

    rows: str | None
    sigma: Sigma | None
    loss: Loss
    likelihood: Likelihood | None
    gradient: Gradient
    scaling: Scaling | None
    check: bool
    explain: bool
    dtype: DType
