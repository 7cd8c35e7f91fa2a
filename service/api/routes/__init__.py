"""The routes, a file for each noun. An endpoint does HTTP and makes one call."""
