"""Statistical inference: standard errors, intervals and bands."""
