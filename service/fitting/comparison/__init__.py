"""Comparison of models: the plans of their fits, the run, the figures and the answer."""

from service.fitting.comparison.answer import to_compared
from service.fitting.comparison.plan import ComparisonPlan, to_comparison
from service.fitting.comparison.run import ComparisonRun

__all__ = ["ComparisonPlan", "ComparisonRun", "to_compared", "to_comparison"]
