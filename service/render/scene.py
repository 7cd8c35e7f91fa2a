"""A scene: the numbers of a picture, and how they are drawn as a figure and in characters.

Arrays are float64 and have NaN where there is nothing to draw. Each view has a scene of its own, in
a file of `service/render/views`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.schemas.answers import Fit
from service.schemas.plot import PlotRequest

if TYPE_CHECKING:  # it is imported only where a figure is drawn
    from matplotlib.figure import Figure

    from service.render.figure import Palette


@dataclass(frozen=True, slots=True)
class PlotInput:
    """What a scene is computed from."""

    request: PlotRequest
    """With the fields that the view requires."""
    fit: Fit | None = None
    """The fit of the job that is shown, if there is one."""
    max_rows: int = 2**62


@dataclass(frozen=True, slots=True)
class Quantity:
    """The quantity of an axis."""

    name: str
    unit: str | None = None

    def __str__(self) -> str:
        return f"{self.name} [{self.unit}]" if self.unit else self.name


def quantity(name: str, units: Mapping[str, str] | None) -> Quantity:
    """A column or a param, with its unit if known."""
    return Quantity(name, (units or {}).get(name))


@dataclass(frozen=True, slots=True, eq=False)
class Scene(ABC):
    """The numbers of a picture, with its title and notes."""

    title: str
    notes: tuple[str, ...] = field(default=(), kw_only=True)

    @abstractmethod
    def draw(self, figure: Figure, palette: Palette) -> None:
        """Draws the figure in the colours of `palette`. matplotlib is imported here, not at the
        head of the module."""

    @abstractmethod
    def characters(self, width: int, lines: int) -> list[str]:
        """The picture in characters, at most `width` columns wide; a canvas has `lines` lines."""
