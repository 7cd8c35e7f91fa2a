"""Descent beside its alternatives: `python -m benchmarks [--quick] [name…]`.

Each benchmark is a file with a `BENCHMARK`, and a name in `registry.py`. What is compared is
measured in the same run, in turns, so that a busy machine slows both; a result is a ratio.
"""
