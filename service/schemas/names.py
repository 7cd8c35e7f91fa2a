"""The catalogue's names as types. A test compares them with the engine's tables."""

from __future__ import annotations

from typing import Literal

LossName = Literal[
    "mse", "mae", "huber", "soft_l1", "cauchy", "log_cosh", "arctan", "tukey", "quantile"
]
OptimizerName = Literal[
    "auto", "exact", "levenberg_marquardt", "lbfgs", "sgd", "adam", "adamw", "rmsprop", "adagrad"
]
ScheduleName = Literal["step", "multi_step", "exponential", "cosine", "linear", "polynomial"]
ModelName = Literal[
    "linear",
    "polynomial",
    "piecewise_linear",
    "exponential_decay",
    "double_exponential_decay",
    "exponential_growth",
    "power_law",
    "logarithmic",
    "michaelis_menten",
    "hill",
    "langmuir",
    "saturating_growth",
    "logistic3",
    "logistic4",
    "logistic5",
    "gompertz",
    "weibull",
    "gaussian",
    "lorentzian",
    "pseudo_voigt",
    "sine",
    "damped_sine",
    "arrhenius",
    "antoine",
    "nernst",
    "ricker",
    "von_bertalanffy",
]
GradientMethod = Literal["analytic", "autograd", "numeric"]
ScalingMethod = Literal["standardize", "min_max"]
Activation = Literal["tanh", "sigmoid", "relu", "softplus"]
DType = Literal["float32", "float64"]
Missing = Literal["error", "drop"]
IntervalMethod = Literal["t", "profile"]
BandKind = Literal["confidence", "prediction"]
OnDivergence = Literal["stop", "continue"]
Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
StopReason = Literal["converged", "max_epochs", "diverged", "stalled", "time_limit", "cancelled"]
Severity = Literal["info", "warning", "error"]
Verdict = Literal["trustworthy", "doubtful", "untrustworthy"]
View = Literal["fit", "loss", "residuals", "path", "losses"]
PictureFormat = Literal["svg", "png", "txt"]
Theme = Literal["light", "dark"]
