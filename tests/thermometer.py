"""The worked example of `service.certification`: an unlabelled thermometer."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from service.certification.case import DATA as DATA_FILES

TUTORIAL: dict[str, Any] = json.loads((DATA_FILES / "thermometer.json").read_text())
DATA: dict[str, list[float]] = TUTORIAL["data"]
MODEL = "t_c = w * t_u + b"
START = {"w": 1.0, "b": 0.0}

LOSS_RELATIVE = 2e-6
VALUE_ABSOLUTE, VALUE_RELATIVE = 1.5e-4, 2e-6
LARGE, LARGE_RELATIVE = 1e5, 2e-4
"""Issue 2: so that any sensible order of float32 operations passes."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table, and the run that it is of."""

    run: dict[str, Any]
    expected: dict[str, Any]

    @property
    def epoch(self) -> int:
        return int(self.expected["epoch"])

    def __str__(self) -> str:
        return f"{self.run['learning_rate']:g}x{self.run['scale']:g}-{self.epoch}"


ROWS = [Row(run, row) for run in TUTORIAL["runs"] for row in run["rows"]]


def agree(found: float, expected: float | str, *, loss: bool = False) -> bool:
    """Whether a number is the table's, which writes non-finite ones as words."""
    wanted = float(expected)
    if math.isnan(wanted):
        return math.isnan(found)
    if math.isinf(wanted):
        return found == wanted
    if loss:
        allowed = LOSS_RELATIVE * abs(wanted)
    elif abs(wanted) > LARGE:
        allowed = LARGE_RELATIVE * abs(wanted)
    else:
        allowed = VALUE_ABSOLUTE + VALUE_RELATIVE * abs(wanted)
    return abs(found - wanted) <= allowed
