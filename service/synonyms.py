"""What other tools call the things of a request: SciPy, R, lmfit, Origin, Prism, torch and Keras.
An unknown name that stands here is answered with ours."""

from __future__ import annotations

from collections.abc import Collection, Mapping

_NAMES: Mapping[str, tuple[str, ...]] = {
    # fields of a request
    "model": ("formula", "function", "func", "equation", "expression", "expr", "fun", "f"),
    "epochs": (
        *("max_iter", "maxiter", "maxfev", "max_nfev", "max_epochs", "iterations", "n_iter"),
        *("niter", "steps", "maxit"),
    ),
    "tolerance": ("tol", "ftol", "xtol", "gtol", "eps", "epsilon"),
    "optimizer": ("method", "algorithm", "solver", "minimizer"),
    "sigma_absolute": ("absolute_sigma",),
    "weights": ("weight", "w", "sample_weight"),
    "group_by": ("group", "groups", "groupby", "by", "facet"),
    "confidence_interval": ("confidence", "confidence_level", "conf_level", "alpha", "ci", "level"),
    "time_limit_s": ("timeout", "time_limit", "max_time"),
    "scaling": ("scale", "normalize", "standardize", "preprocess"),
    "background": ("async", "wait"),
    "rows": ("filter", "where", "subset", "query", "mask"),
    "seed": ("random_state", "random_seed"),
    "learning_rate": ("lr", "step_size", "eta", "rate"),
    "batch_size": ("batch", "minibatch"),
    # fields of a param
    "min": ("lower", "lb", "lower_bound", "minimum", "low"),
    "max": ("upper", "ub", "upper_bound", "maximum", "high"),
    "value": ("init", "initial", "start", "guess", "initial_value", "initial_guess"),
    "fixed": ("constant", "frozen", "fix", "hold"),
    # functions
    "log": ("ln", "loge"),
    "log10": ("lg", "logten"),
    "asin": ("arcsin",),
    "acos": ("arccos",),
    "atan": ("arctan", "arctg", "tg"),
    "tan": ("tg",),
    "abs": ("fabs", "absolute"),
    "sqrt": ("root", "sqr"),
    "lgamma": ("gammaln", "loggamma"),
    "where": ("if", "ifelse", "piecewise", "heaviside"),
    # optimizers
    "levenberg_marquardt": (
        *("lm", "leastsq", "least_squares", "leastsquares", "curve_fit", "nls", "trf", "dogbox"),
        *("gauss_newton", "newton", "marquardt"),
    ),
    "lbfgs": ("bfgs", "l-bfgs-b", "l-bfgs", "lbfgsb", "cg", "quasi_newton"),
    "sgd": ("gd", "gradient_descent", "gradientdescent", "momentum", "nesterov"),
    "exact": ("ols", "lstsq", "normal_equations", "linear_regression"),
    # losses
    "mse": ("l2", "squared", "squared_error", "sse", "rss", "rmse", "chi2", "chi_squared"),
    "mae": ("l1", "absolute_error", "lad"),
    "quantile": ("pinball",),
    "tukey": ("bisquare", "biweight"),
    # models
    "logistic4": ("4pl", "four_parameter_logistic", "sigmoid", "ll.4", "dose_response"),
    "logistic5": ("5pl", "five_parameter_logistic", "ll.5"),
    "logistic3": ("3pl", "logistic", "ll.3"),
    "gaussian": ("gauss", "normal"),
    "lorentzian": ("cauchy", "lorentz"),
    "pseudo_voigt": ("voigt",),
    "linear": ("line", "straight_line"),
    "polynomial": ("quadratic", "cubic", "poly", "parabola"),
    "power_law": ("power", "allometric"),
    "michaelis_menten": ("mm", "michaelis", "ssmicmen"),
    "exponential_decay": ("exponential", "exp", "decay", "mono_exponential", "one_phase_decay"),
    "double_exponential_decay": (
        *("biexponential", "bi_exponential", "two_exponentials", "two_phase_decay"),
        "double_exponential",
    ),
    "sine": ("sinusoid", "sin", "cosine"),
}
_OURS: Mapping[str, tuple[str, ...]] = {
    theirs: tuple(ours for ours, names in _NAMES.items() if theirs in names)
    for names in _NAMES.values()
    for theirs in names
}

_NOISE = "the standard deviations of the target are sigma: a column's name, a list or a number"
_INITIAL = 'initial values are given by name, in params: {"a": 1, "b": 0.5}'
_BOUNDS = 'bounds stand with each param, in params: {"a": {"min": 0, "max": 10}}'
_SHARED = (
    "params that the groups share stand with the grouping: group_by.column=well&group_by.shared=k, "
    'or group_by: {"column": "well", "shared": ["k"]}'
)
_TARGET = (
    'the target is the left side of the formula, model: "target ~ a*input + b"; with a model of '
    'the catalogue it is model.target, as in model: {"name": "linear", "target": "…"}'
)
_RELATIVE = (
    "it stands with the grouping: group_by.column=well&group_by.relative_to=standard, or "
    'group_by: {"column": "well", "relative_to": "standard"}'
)
_BOOTSTRAP = (
    "a bootstrap is a method of the intervals: confidence_interval.method=bootstrap, or "
    'confidence_interval: {"method": "bootstrap"}'
)
_TARGETS = (
    'the target is the left side of each formula, models: ["target ~ a*input + b"]; with a model '
    'of the catalogue it stands in its entry, {"name": "linear", "target": "…", "inputs": ["…"]}'
)
_TARGET_NAMES = (
    *("target", "y_column", "ycol", "response", "dependent", "output", "inputs", "features"),
    *("x_column", "xcol", "independent"),
)
_DATA = 'columns go into data: {"x": [1, 2, 3], "y": [2, 4, 6]}'
_ADVICE: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("sigma", _NOISE): (
        *("yerr", "y_err", "error", "errors", "sd", "std", "stddev", "dy", "uncertainty", "noise"),
    ),
    ("params", _INITIAL): (
        *("p0", "y0", "x0", "beta0", "theta0", "init", "initial", "initial_values", "start"),
        *("guess", "initial_guess", "parameters", "initial_params"),
    ),
    ("params", _BOUNDS): ("bounds", "bound", "limits", "lower", "upper", "min", "max", "lb", "ub"),
    ("params", 'fixed params stand in params: {"a": {"value": 1, "fixed": true}}'): (
        *("fixed", "fix", "constants", "hold"),
    ),
    ("group_by", _SHARED): ("shared", "share", "global", "shared_params", "global_params"),
    ("group_by", _RELATIVE): ("relative_to", "reference", "relative", "control"),
    ("confidence_interval", _BOOTSTRAP): (
        *("bootstrap", "boot", "n_boot", "nboot", "resamples", "n_resamples", "replicates"),
    ),
    ("model", _TARGET): _TARGET_NAMES,
    ("models", _TARGETS): _TARGET_NAMES,
    ("data", _DATA): ("x", "y", "xdata", "ydata", "columns", "values", "points", "csv"),
    ("optimizer", 'it is an option of an optimizer: {"name": "sgd", "learning_rate": 0.01}'): (
        *("lr", "learning_rate", "momentum", "batch_size", "batch", "schedule", "step_size"),
    ),
    ("fixed", "a param that does not vary has fixed: true"): ("vary", "varying", "free"),
    ("min", "bounds are min and max"): ("bounds", "limits", "range", "bound"),
}
_ADVISED: Mapping[str, tuple[tuple[str, str], ...]] = {
    theirs: tuple(advice for advice, names in _ADVICE.items() if theirs in names)
    for names in _ADVICE.values()
    for theirs in names
}


def advice(name: str, known: Collection[str]) -> str | None:
    """What to write instead of a field that others know, where `known` are the fields there."""
    found = _ADVISED.get(name.casefold(), ())
    return next((text for field, text in found if field in known), None)


def meant(name: str, known: Collection[str]) -> str | None:
    """Our name of what others call `name`, if it is one of `known`."""
    return next((ours for ours in _OURS.get(name.casefold(), ()) if ours in known), None)
