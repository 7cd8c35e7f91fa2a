"""The optimizers, one a file. To add one, write its file and put its record into the table."""

from __future__ import annotations

from collections.abc import Mapping

from service.catalogue.optimizers.adagrad import ADAGRAD
from service.catalogue.optimizers.adam import ADAM
from service.catalogue.optimizers.adamw import ADAMW
from service.catalogue.optimizers.auto import AUTO
from service.catalogue.optimizers.exact import EXACT
from service.catalogue.optimizers.lbfgs import LBFGS
from service.catalogue.optimizers.levenberg_marquardt import LEVENBERG_MARQUARDT
from service.catalogue.optimizers.record import FirstOrder, Optimizer, State
from service.catalogue.optimizers.rmsprop import RMSPROP
from service.catalogue.optimizers.sgd import SGD
from service.catalogue.options import table

OPTIMIZERS: Mapping[str, Optimizer] = table(
    (AUTO, EXACT, LEVENBERG_MARQUARDT, LBFGS, SGD, ADAM, ADAMW, RMSPROP, ADAGRAD)
)
"""Every optimizer, by name."""

__all__ = ["OPTIMIZERS", "FirstOrder", "Optimizer", "State"]
