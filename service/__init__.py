"""Descent fits parametric models to data and says how far to trust the fit.

The map, from the root up: `errors` (what can go wrong) and `settings` (every limit); beside each
other `engine` (torch: formulas, losses, optimizers) and `schemas` (pydantic: what goes over the
wire); `fitting` (the seam between the two); `jobs` (every fit is one: store, workers, life);
`api` (HTTP: one router a noun); `app` (puts them together); `cli` (the command line).
"""

__version__ = "0.1.0"
