"""One algorithm a file, all under one contract: see `contract`."""
