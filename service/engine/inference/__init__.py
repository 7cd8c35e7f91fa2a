"""Statistical inference: covariances of each kind, standard errors, intervals, bands, and
quantities derived from the params."""
