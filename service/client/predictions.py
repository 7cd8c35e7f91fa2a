"""Predictions that NumPy takes as an array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.schemas import compute

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
