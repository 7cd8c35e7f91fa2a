"""What the command line's exit codes mean, and how it says what went wrong."""

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
"""The service, or the fit, failed; what was asked for was right as far as one can tell."""
USAGE = 2
UNTRUSTWORTHY = 3
REJECTED = 4
UNREACHABLE = 5
INTERRUPTED = 130


@contextmanager
def told() -> Iterator[None]:
    """What goes wrong within is said on stderr, and becomes an exit code."""
    from service.client import errors

    try:
        yield
    except errors.AccessError as error:
        say_problem(error)
        print("  the key goes into DESCENT_API_KEY, or after --api-key", file=sys.stderr)
        raise typer.Exit(REJECTED) from None
    except errors.ProblemError as error:
        say_problem(error)
        raise typer.Exit(_code(error)) from None
    except errors.ConnectionFailed as error:
        leave(UNREACHABLE, str(error), "  `descent serve` starts a service; --url says where it is")
    except errors.UnreadableAnswer as error:
        leave(UNREACHABLE, str(error))
    except errors.WaitTimeout as error:
        leave(FAILED, f"the job goes on: descent watch {error.job_id}")
    except KeyboardInterrupt:
        leave(INTERRUPTED, "interrupted")


def leave(code: int, *lines: str) -> NoReturn:
    """Says why on stderr, and ends."""
    first, *others = lines
    print(f"{paint('descent:', 'red', sys.stderr)} {first}", *others, sep="\n", file=sys.stderr)
    raise typer.Exit(code) from None


def say(line: str) -> None:
    """Something to know that is no reason to end otherwise, on stderr."""
    print(f"{paint('descent:', 'yellow', sys.stderr)} {line}", file=sys.stderr)


def usage(why: str) -> NoReturn:
    """The command is not what one can do."""
    leave(USAGE, why)


def say_problem(error: errors.ProblemError) -> None:
    """A problem: its title, its detail, and where in the request each part of it is."""
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
