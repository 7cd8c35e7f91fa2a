"""Descent beside its alternatives: `python -m benchmarks [name…]`.

Each benchmark is a file with a `BENCHMARK`, and a line in `registry.py`. What is compared is
measured in the same run, in turns, so that a busy machine slows both; a result is a ratio.
"""
