"""Schema -> problem, result -> schema: the only seam between the wire and the engine."""

from service.translate.answer import to_fit, to_history
from service.translate.catalogue import (
    diagnostic,
    diagnostic_list,
    loss_list,
    model_list,
    optimizer_list,
)
from service.translate.checking import NUMBER_BYTES, check
from service.translate.compute import gradient, loss, predict
from service.translate.costs import is_little
from service.translate.curves import Curve, curve, curve_nbytes, predict_from
from service.translate.devices import OUT_OF_MEMORY, NoDevice, has_cuda, is_out_of_memory, must_have
from service.translate.grouped_answer import to_grouped_fit
from service.translate.of_job import note_of, plot_of_job
from service.translate.plan import Plan, to_plan
from service.translate.plotted import needed
from service.translate.scenes import scene
from service.translate.threads import use_threads

__all__ = [
    "NUMBER_BYTES",
    "OUT_OF_MEMORY",
    "Curve",
    "NoDevice",
    "Plan",
    "check",
    "curve",
    "curve_nbytes",
    "diagnostic",
    "diagnostic_list",
    "gradient",
    "has_cuda",
    "is_little",
    "is_out_of_memory",
    "loss",
    "loss_list",
    "model_list",
    "must_have",
    "needed",
    "note_of",
    "optimizer_list",
    "plot_of_job",
    "predict",
    "predict_from",
    "scene",
    "to_fit",
    "to_grouped_fit",
    "to_history",
    "to_plan",
    "use_threads",
]
