"""The solvers, one algorithm per file, with a common protocol: see `contract`."""
