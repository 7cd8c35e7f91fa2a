"""Fish and other populations: growth of individuals, and recruitment."""

from __future__ import annotations

from service.catalogue.families.record import Family, Meaning

RICKER = Family(
    name="ricker",
    title="Ricker stock and recruitment",
    formula="y = a * x * exp(-b * x)",
    params={
        "a": Meaning("young per parent at small stock", "[y]/[x]"),
        "b": Meaning("how crowding curbs them; 1/b is the stock with the most young", "1/[x]"),
    },
    when_to_use="Recruits against stock, with a maximum and then a fall.",
    reference="Ricker, J. Fisheries Research Board of Canada 11 (1954) 559",
)

VON_BERTALANFFY = Family(
    name="von_bertalanffy",
    title="Von Bertalanffy growth",
    formula="y = Linf * (1 - exp(-K * (x - t0)))",
    params={
        "Linf": Meaning("length at great age", "[y]"),
        "K": Meaning("growth coefficient", "1/[x]"),
        "t0": Meaning("age at which the length would be 0", "[x]"),
    },
    when_to_use="Length against age, of fish above all.",
    reference="Von Bertalanffy, Human Biology 10 (1938) 181",
)
