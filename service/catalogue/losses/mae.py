"""The mean of absolute values."""

from __future__ import annotations

from service.catalogue.losses.record import LossFunction

MAE = LossFunction(
    name="mae",
    description="The mean of absolute values.",
    formula="mean(|r|)",
    rho=lambda z, d: z.abs(),
    psi=lambda z, d: z.sign(),
    slope="sign({r})",
    when_to_use="Outliers in the target; the fit goes through medians.",
    reference="Laplace, Théorie analytique des probabilités (1812)",
    is_smooth=False,
)
