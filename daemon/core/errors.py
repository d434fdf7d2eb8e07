"""The one place that turns errors into a sentence on stderr and an exit code that tells their kind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

from music.errors import HousebandError

#: what the exit codes of every command mean
EXIT_CODES = {
    0: "all went well",
    1: "it failed",
    2: "a wrong option, value, file, port or configuration",
    3: "no band answers on the control socket",
}
_NO_MEMORY = (
    "there is not enough memory, or too many threads run; close other programs, or raise the limit "
    "(`ulimit -v`, `ulimit -u`, MemoryMax= of the service)"
)


@contextlib.contextmanager
def report_errors() -> Iterator[None]:
    """Turn a HousebandError into the exception that click ends a program with. The only place that does so."""
    try:
        yield
    except HousebandError as error:
        raise _make_ending(error) from None
    except MemoryError:
        raise _make_ending(HousebandError(_NO_MEMORY)) from None
    except RuntimeError as error:
        if "can't start new thread" not in str(error):
            raise
        raise _make_ending(HousebandError(_NO_MEMORY)) from None


def _make_ending(error: HousebandError) -> click.ClickException:
    """Return the exception that click ends a program with."""
    ending = click.ClickException(str(error))
    ending.exit_code = error.exit_code  # type: ignore[misc]  # declared for the class, read from the instance
    return ending
