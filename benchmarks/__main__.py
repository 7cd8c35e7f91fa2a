"""`python -m benchmarks [--quick] [name…]`: runs all or those named, prints a table of each and
writes docs/explanation/benchmarks.md. With `--quick` the sizes are tiny and nothing is
written: it shows only that each benchmark works."""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context

from benchmarks import report
from benchmarks.harness import machine, missing
from benchmarks.registry import NAMES, measure


def main() -> None:
    """Runs what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="tiny sizes; nothing is written")
    asked = parser.parse_args()
    names = asked.names or list(NAMES)
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(NAMES)}")
    if missing() and not asked.quick:
        parser.error(f"not installed: {', '.join(missing())}. Try: make bench")
    measured = f"Measured on {machine()}; {date.today():%Y-%m-%d}."
    # A process each: what one has imported is not in the memory or the caches of the next.
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for name in names:
            about, results = pool.submit(measure, name, quick=asked.quick).result()
            print(f"{name}\n{report.table(results.comparisons)}\n", flush=True)
            if not asked.quick:
                report.write(name, report.section(name, about, results.comparisons, measured))
                if results.accuracy:
                    report.write_accuracy(name, f"{results.accuracy}\n\n{measured}")
    print(measured)


if __name__ == "__main__":
    main()
