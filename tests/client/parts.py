"""What the tests of the client and of the command line share."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.thermometer import DATA, MODEL

LINE = {"w": 0.5367719209075441, "b": -17.304785503010788}
"""The thermometer's least squares: Sxy/Sxx, and ȳ − w·x̄."""
DECAY = "y = a * exp(-b * x) + c"
DECAY_DATA: dict[str, list[float]] = {
    "x": [0, 1, 2, 3, 4, 5, 6, 7],
    "y": [5.1, 3.4, 2.4, 1.8, 1.4, 1.3, 1.1, 1.1],
}
ENDLESS: dict[str, Any] = {"optimizer": "adam", "epochs": 10**8, "record_every": 10**6}
"""Options of a fit that does not end by itself."""

_OPENAPI = Path(__file__).parents[2] / "openapi.json"

needs_report = pytest.mark.skipif(
    find_spec("service.render") is None, reason="the house has no renderer yet"
)
_TOLD = _OPENAPI.read_text(encoding="utf-8")
needs_groups = pytest.mark.skipif(
    "#/components/schemas/GroupedFit" not in _TOLD, reason="the service fits no groups yet"
)
needs_arrow = pytest.mark.skipif(
    "application/vnd.apache.arrow.stream" not in _TOLD, reason="the service reads no Arrow yet"
)
needs_pictures = pytest.mark.skipif("/plot/" not in _TOLD, reason="the service draws nothing yet")

__all__ = ["DATA", "DECAY", "DECAY_DATA", "ENDLESS", "LINE", "MODEL"]
