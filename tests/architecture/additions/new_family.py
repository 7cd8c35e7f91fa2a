"""A throw-away model family, with an option."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le

from service.catalogue.families.record import Family, Meaning
from service.catalogue.options import Option


def new_family(order: int) -> Family:
    """a·(1 − exp(−kx))^order."""
    return Family(
        name="new_family",
        title="Rise in steps",
        formula=f"y = a * (1 - exp(-k * x))**{order}",
        params={"a": Meaning("plateau", "[y]"), "k": Meaning("rate", "1/[x]")},
        when_to_use="A rise that begins late.",
        reference="this test",
        options=(Option("order", Annotated[int, Ge(1), Le(5)], 2, "Number of steps"),),
        vary=new_family,
    )


NEW_FAMILY = new_family(2)
