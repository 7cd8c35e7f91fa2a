"""Data and options shared by the tests of the client and of the command line."""

from __future__ import annotations

from typing import Any

from tests.thermometer import DATA, MODEL

LINE = {"w": 0.5367719209075441, "b": -17.304785503010788}
"""The thermometer's least squares: Sxy/Sxx, and ȳ − w·x̄."""
DECAY = "y = a * exp(-b * x) + c"
DECAY_DATA: dict[str, list[float]] = {
    "x": [0, 1, 2, 3, 4, 5, 6, 7],
    "y": [5.1, 3.4, 2.4, 1.8, 1.4, 1.3, 1.1, 1.1],
}
ENDLESS: dict[str, Any] = {"optimizer": "adam", "epochs": 10**8, "record_every": 10**6}
"""Options of a fit that runs until it is cancelled."""

__all__ = ["DATA", "DECAY", "DECAY_DATA", "ENDLESS", "LINE", "MODEL"]
