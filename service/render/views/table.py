"""Computes the scene of a plot request by its view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from service.catalogue.pictures import VIEWS
from service.errors import InvalidRequest
from service.fitting import note_of
from service.render.scene import PlotInput, Scene
from service.render.views import comparison, fit, loss, losses, path, residuals

SCENES: Mapping[str, Callable[[PlotInput], Scene]] = {
    "fit": fit.scene,
    "loss": loss.scene,
    "residuals": residuals.scene,
    "path": path.scene,
    "comparison": comparison.scene,
    "losses": losses.scene,
}
"""The function that computes the scene of each view. The work is bounded: of long data, some rows
are chosen."""


def scene(given: PlotInput) -> Scene:
    """The scene of a plot request. Raises InvalidRequest."""
    view = VIEWS[given.request.view]
    for name in view.requires:
        if getattr(given.request, name) is None:
            raise InvalidRequest(f"the view '{view.name}' requires `{name}`", pointer=f"/{name}")
    made = SCENES[view.name](given)
    if given.fit is None or "params" not in view.requires:
        return made
    return replace(made, notes=(*note_of(given.fit), *made.notes))
