"""The likelihoods, one a file. To add one, write its file and put its record into the table."""

from __future__ import annotations

from collections.abc import Mapping

from service.catalogue.likelihoods.binomial import BINOMIAL
from service.catalogue.likelihoods.poisson import POISSON
from service.catalogue.likelihoods.record import Likelihood
from service.catalogue.options import table

LIKELIHOODS: Mapping[str, Likelihood] = table((POISSON, BINOMIAL))
"""Every likelihood, by name."""

__all__ = ["LIKELIHOODS", "Likelihood"]
