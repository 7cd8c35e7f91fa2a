"""The catalogue of families, by name."""

from __future__ import annotations

from collections.abc import Mapping

from service.engine.models.family import Family, Meaning
from service.engine.models.polynomials import LINEAR, polynomial

FAMILIES: Mapping[str, Family] = {family.name: family for family in (LINEAR, polynomial(2))}
"""Every family, by name; `polynomial` stands there with its default degree."""

__all__ = ["FAMILIES", "Family", "Meaning", "polynomial"]
