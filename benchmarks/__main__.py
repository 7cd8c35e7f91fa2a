"""`python -m benchmarks [name…]`: runs all or those named, prints a table, writes the page."""

from __future__ import annotations

import argparse
from datetime import date

from benchmarks import report
from benchmarks.harness import machine
from benchmarks.registry import BENCHMARKS


def main() -> None:
    """Runs what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(BENCHMARKS)}")
    measured = f"Measured on {machine()}; {date.today():%Y-%m-%d}."
    sections = {}
    for name in names:
        results = BENCHMARKS[name].run()
        sections[name] = report.section(name, BENCHMARKS[name], results, measured)
        print(f"{name}\n{report.table(results)}\n", flush=True)
    print(measured)
    report.write(sections, list(BENCHMARKS))


main()
