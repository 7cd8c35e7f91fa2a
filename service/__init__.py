"""Descent fits parametric models to data and says how far to trust the fit.

Imports go one way, from the root up: `errors` (what can go wrong); `catalogue` (what can be chosen)
and `settings` (every limit); beside each other `engine` (torch and numba: how to fit) and `schemas`
(pydantic: what goes over the wire); `fitting` (the only seam between the two); `jobs`; `render` and
`certification`; `api` (HTTP); `app` (puts them together); `server` and `cli`.
"""

__version__ = "0.1.0"
