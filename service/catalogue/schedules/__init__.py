"""The learning-rate schedules, one a file. To add one, write its file and put its record into the
table."""

from __future__ import annotations

from collections.abc import Mapping

from service.catalogue.options import table
from service.catalogue.schedules.cosine import COSINE
from service.catalogue.schedules.exponential import EXPONENTIAL
from service.catalogue.schedules.linear import LINEAR
from service.catalogue.schedules.multi_step import MULTI_STEP
from service.catalogue.schedules.polynomial import POLYNOMIAL
from service.catalogue.schedules.record import Constant, LearningRateSchedule, Schedule
from service.catalogue.schedules.step import STEP

SCHEDULES: Mapping[str, LearningRateSchedule] = table(
    (STEP, MULTI_STEP, EXPONENTIAL, COSINE, LINEAR, POLYNOMIAL)
)
"""Every schedule, by name."""

__all__ = ["SCHEDULES", "Constant", "LearningRateSchedule", "Schedule"]
