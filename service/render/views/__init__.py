"""The views, one a file: its scene, computed from a plot request and drawn as a figure and in
characters. `table.py` has them by name."""
