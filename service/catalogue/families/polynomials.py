"""The line and the polynomial: linear in their params."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le

from service.catalogue.families.record import Family, Meaning
from service.catalogue.options import Option

LINEAR = Family(
    name="linear",
    title="Line",
    formula="y = w * x + b",
    params={
        "w": Meaning("slope", "[y]/[x]"),
        "b": Meaning("intercept: y at x = 0", "[y]"),
    },
    when_to_use="y grows by the same amount for each unit of x.",
    reference="Gauss, Theoria motus (1809)",
)


def polynomial(degree: int) -> Family:
    """c0 + c1·x + … + c_degree·x^degree."""
    terms = ["c0", "c1 * x", *(f"c{k} * x**{k}" for k in range(2, degree + 1))]
    return Family(
        name="polynomial",
        title="Polynomial",
        formula="y = " + " + ".join(terms[: degree + 1]),
        params={
            f"c{k}": Meaning(f"coefficient of x^{k}", "[y]" if k == 0 else f"[y]/[x]^{k}")
            for k in range(degree + 1)
        },
        when_to_use="A smooth curve with no theory behind it, inside the range of the data.",
        reference="Legendre, Nouvelles méthodes (1805)",
        options=(Option("degree", Annotated[int, Ge(0), Le(20)], 2, "Degree"),),
        vary=polynomial,
    )


POLYNOMIAL = polynomial(2)
