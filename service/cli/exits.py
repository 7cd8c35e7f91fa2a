"""The command line's exit codes and error messages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

from service.cli.terminal import paint

if TYPE_CHECKING:
    from service.client import errors

DONE = 0
FAILED = 1
"""The service or the fit failed, for a valid request."""
USAGE = 2
UNTRUSTWORTHY = 3
REJECTED = 4
UNREACHABLE = 5
INTERRUPTED = 130


def need_the_service() -> None:
    """Exits where only the client is installed."""
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("fastapi") is None:
        leave(
            USAGE,
            "only the client is installed here: set --url (or DESCENT_URL) to a service,",
            "  or install the service too: the extra `server` (pip install '.[server]')",
        )


@contextmanager
def reported() -> Iterator[None]:
    """Converts exceptions to a message on stderr and an exit code."""
    from service.client import errors

    try:
        yield
    except errors.AccessError as error:
        print_problem(error)
        print("  set DESCENT_API_KEY, or --api-key", file=sys.stderr)
        raise typer.Exit(REJECTED) from None
    except errors.ProblemError as error:
        print_problem(error)
        raise typer.Exit(_code(error)) from None
    except errors.ConnectionFailed as error:
        leave(UNREACHABLE, str(error), "  start a service with `descent serve`, or set --url")
    except errors.UnreadableAnswer as error:
        leave(UNREACHABLE, str(error))
    except errors.WaitTimeout as error:
        leave(FAILED, f"the job continues: descent watch {error.job_id}")
    except KeyboardInterrupt:
        leave(INTERRUPTED, "interrupted")


def leave(code: int, *lines: str) -> NoReturn:
    """Prints the reason on stderr, and exits."""
    first, *others = lines
    print(f"{paint('descent:', 'red', sys.stderr)} {first}", *others, sep="\n", file=sys.stderr)
    raise typer.Exit(code) from None


def warn(line: str) -> None:
    """Prints a warning on stderr."""
    print(f"{paint('descent:', 'yellow', sys.stderr)} {line}", file=sys.stderr)


def usage(why: str) -> NoReturn:
    """Exits because of invalid usage."""
    leave(USAGE, why)


def print_problem(error: errors.ProblemError) -> None:
    """Prints a problem: its title, its detail, and its places in the request."""
    problem = error.problem
    lines = [f"{paint('descent:', 'red', sys.stderr)} {problem.title}"]
    places = [f"{each.pointer or 'the request'}: {each.detail}" for each in error.errors]
    lines += [f"  {line}" for line in places or [problem.detail]]
    if problem.job_id is not None:
        lines.append(f"  job: {problem.job_id}")
    print(*lines, sep="\n", file=sys.stderr)


def _code(error: errors.ProblemError) -> int:
    from service.client import errors

    if isinstance(error, errors.ServiceUnavailable):
        return UNREACHABLE
    if isinstance(error, errors.FitFailedError | errors.ServerError):
        return FAILED
    return REJECTED
