"""Converts request schemas to engine problems, and engine results to response schemas."""

from service.fitting.answer import to_fit, to_history
from service.fitting.catalogue import (
    diagnostic,
    diagnostic_list,
    likelihood_list,
    loss_list,
    model_list,
    optimizer_list,
)
from service.fitting.checking import NUMBER_BYTES, check
from service.fitting.comparison import (
    ComparisonPlan,
    ComparisonRun,
    to_compared,
    to_comparison,
)
from service.fitting.compute import gradient, loss, predict
from service.fitting.costs import is_little
from service.fitting.curves import Curve, curve, curve_nbytes, predict_from
from service.fitting.devices import OUT_OF_MEMORY, NoDevice, has_cuda, is_out_of_memory, must_have
from service.fitting.drawn import Drawn
from service.fitting.from_comparison import ComparedPlot, plot_of_comparison, plot_of_models
from service.fitting.from_groups import group_of, plots_of_groups
from service.fitting.from_job import note_of, plot_of_job
from service.fitting.grouped_answer import to_grouped_fit
from service.fitting.plan import Plan, to_plan
from service.fitting.row_filter import rows_used, with_rows
from service.fitting.threads import use_threads
from service.fitting.unknowns import (
    MAX_ROOTS,
    ROOTS_OF_ONE,
    sample_column,
    unknowns,
    unknowns_from,
)

__all__ = [
    "MAX_ROOTS",
    "NUMBER_BYTES",
    "OUT_OF_MEMORY",
    "ROOTS_OF_ONE",
    "ComparedPlot",
    "ComparisonPlan",
    "ComparisonRun",
    "Curve",
    "Drawn",
    "NoDevice",
    "Plan",
    "check",
    "curve",
    "curve_nbytes",
    "diagnostic",
    "diagnostic_list",
    "gradient",
    "group_of",
    "has_cuda",
    "is_little",
    "is_out_of_memory",
    "likelihood_list",
    "loss",
    "loss_list",
    "model_list",
    "must_have",
    "note_of",
    "optimizer_list",
    "plot_of_comparison",
    "plot_of_job",
    "plot_of_models",
    "plots_of_groups",
    "predict",
    "predict_from",
    "rows_used",
    "sample_column",
    "to_compared",
    "to_comparison",
    "to_fit",
    "to_grouped_fit",
    "to_history",
    "to_plan",
    "unknowns",
    "unknowns_from",
    "use_threads",
    "with_rows",
]
