"""Files that follow the layouts of instruments' documentation, each with the options that fit it.

The numbers are made up, y = 2x + 1 in each, so that the fit shows which rows were read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

FILES = Path(__file__).parent / "data" / "csv" / "instruments"


class Case(NamedTuple):
    """A file and the fit of it."""

    file: str
    model: str
    n: int
    """The rows that are fitted."""
    options: Mapping[str, str] = {}


CASES = [
    pytest.param(case, id=case.file)
    for case in (
        # Settings of two cells above a table of two columns; the units below the source's name.
        Case("siglent_sds.csv", "CH1 ~ a*Source + b", 7),
        # Settings of three cells, and a column that stayed empty.
        Case("tds_npv.csv", "CH1 ~ a*TIME + b", 6),
        # LabVIEW's measurement file: decimal commas, two headers, a column of comments.
        Case("labview.lvm", "Voltage ~ a*X_Value + b", 5),
        Case("tdms_export.csv", "Force ~ a*Time + b", 8),
        # Chromatography: a table of peaks above, another trace below with a header of its own.
        Case("shimadzu.txt", "Intensity ~ a*R_Time + b", 12),
        # Plate readers: a kinetic with times, and a plate as a grid.
        Case("softmax_kinetic.txt", "A1 ~ a*Time + b", 5),
        Case("gen5_plate.csv", "value ~ a*column + b", 96, {"stack": "column"}),
        # A circuit simulator's steps, one below the other.
        Case("ltspice_step.txt", "V_out ~ a*time + b", 5, {"max_rows": "5"}),
        # A logger's events below its readings.
        Case("hobo.csv", "Temp ~ a*index + b", 8, {"missing": "drop"}),
        # Quantitative PCR: a mark for no amplification, and a Cyrillic letter in a name.
        Case("stepone.txt", "Ct ~ a*Quantity + b", 6, {"missing": "drop"}),
        # Cytometry: percentages, and their mean below them.
        Case(
            "flowjo.csv",
            "Freq_of_Parent_Lymphocytes ~ a*Dose + b",
            6,
            {"rows": "index != 'Mean' and index != 'SD'"},
        ),
        # A semiconductor analyser, whose lines begin with what they are.
        Case("b1500.csv", "Id ~ a*Vg + b", 6),
        # A network analyser's Touchstone file, and a diffractometer's.
        Case("touchstone.s1p", "ReS11 ~ a*freq + b", 6),
        Case("bruker.xy", "y ~ a*x + b", 8),
    )
]
