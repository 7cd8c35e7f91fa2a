"""Refits of resampled and simulated data: the bootstrap, and the coverage of intervals."""
