"""The losses, one a file. To add one, write its file and put its record into the table."""

from __future__ import annotations

from collections.abc import Mapping

from service.catalogue.losses.arctan import ARCTAN
from service.catalogue.losses.cauchy import CAUCHY
from service.catalogue.losses.huber import HUBER
from service.catalogue.losses.log_cosh import LOG_COSH
from service.catalogue.losses.mae import MAE
from service.catalogue.losses.mse import MSE
from service.catalogue.losses.quantile import QUANTILE
from service.catalogue.losses.record import LossFunction
from service.catalogue.losses.soft_l1 import SOFT_L1
from service.catalogue.losses.tukey import TUKEY
from service.catalogue.options import table

LOSSES: Mapping[str, LossFunction] = table(
    (MSE, MAE, HUBER, SOFT_L1, CAUCHY, LOG_COSH, ARCTAN, TUKEY, QUANTILE)
)
"""Every loss, by name."""

__all__ = ["LOSSES", "LossFunction"]
