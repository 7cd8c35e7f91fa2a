"""What a report says of the priors of a fit."""

from __future__ import annotations

from service.render.cells import clipped, visible
from service.render.digits import number
from service.render.page import Page
from service.schemas.answers import Fit

_LONGEST_NAME = 24


def write_prior(page: Page, fit: Fit) -> None:
    """The prior of each param, and what the data add to it."""
    if fit.prior is None:
        return
    page.heading("Prior")
    page.text(
        f"It adds {number(fit.prior.chi_squared)} to χ². The data remove this part of its variance:"
    )
    rows = []
    for name, each in fit.prior.params.items():
        share = "" if each.share is None else f"{100 * each.share:.3g} %"
        named = clipped(visible(name), _LONGEST_NAME)
        rows.append((named, number(each.mean), f"± {number(each.sd)}", share))
    page.table(rows, "<><>")
