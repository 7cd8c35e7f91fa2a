"""The catalogue: one record for each loss, optimizer, learning-rate schedule and model family.

A record has a name, a description, a formula, when to use it, a reference, options and capability
flags. The schemas, the engine, the catalogue routes, the docs' tables, the page and the command
line all read these tables, and nothing else lists the names. Records import neither torch, numba
nor pydantic: their functions use the methods of the tensors that they are given.
"""
