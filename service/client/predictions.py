"""Predictions that NumPy takes as an array, and unknowns that print as a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.schemas import compute, unknowns

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Predictions(compute.Predictions):
    """One prediction a row, on the scale of the formula's left side."""

    def __len__(self) -> int:
        return len(self.predictions)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[np.float64]:
        import numpy as np

        return np.array(self.predictions, dtype=dtype or np.float64)


class Unknowns(unknowns.Unknowns):
    """The unknowns, one row per sample. `print(found)` is their report."""

    def __len__(self) -> int:
        return len(self.key)

    def columns(self) -> dict[str, list[Any]]:
        """A table of the unknowns and then the calibrators, for a data frame."""
        from service.render.tables import listed, table

        return {name: list(listed(column)) for name, column in table(self).items()}

    def report(self, *, width: int = 80, color: bool = False) -> str:
        """The report as text, at most `width` columns wide."""
        from service.render.report import report

        return report(self, width=width, color=color)

    def __str__(self) -> str:
        return self.report()
