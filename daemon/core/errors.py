"""The one place that turns errors into a sentence on stderr and an exit code that tells their kind."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

import click

from music.errors import HousebandError, UserError

#: what the exit codes of every command mean
EXIT_CODES = {
    0: "all went well",
    1: "it failed",
    2: "a wrong option, value, file, port or configuration",
    3: "no band answers on the control socket",
}
#: characters of a file's name that an error repeats
_SHOWN_CHARACTERS = 300
_NO_MEMORY = (
    "there is not enough memory, or too many threads run; close other programs, or raise the limit "
    "(`ulimit -v`, `ulimit -u`, MemoryMax= of the service)"
)


@contextlib.contextmanager
def report_errors() -> Iterator[None]:
    """Turn an error into the exception that click ends a program with. The only place that does so.

    What is no HousebandError is one where the user can do something about it: a file that cannot be used, and too
    little memory.
    """
    try:
        yield
    except HousebandError as error:
        raise _make_ending(error) from None
    except OSError as error:
        if error.errno == errno.EPIPE:  # whoever read the output has enough of it, as click knows
            raise
        raise _make_ending(UserError(_describe_os_error(error))) from None
    except MemoryError:
        raise _make_ending(HousebandError(_NO_MEMORY)) from None
    except RuntimeError as error:
        if "can't start new thread" not in str(error):
            raise
        raise _make_ending(HousebandError(_NO_MEMORY)) from None


def _describe_os_error(error: OSError) -> str:
    """Return one line that names the file, of which a long name is cut."""
    if error.filename is None or error.strerror is None:
        return str(error)
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
    return f"{name if len(name) <= _SHOWN_CHARACTERS else f'{name[:_SHOWN_CHARACTERS]}...'}: {error.strerror}"


def _make_ending(error: HousebandError) -> click.ClickException:
    """Return the exception that click ends a program with."""
    ending = click.ClickException(str(error))
    ending.exit_code = error.exit_code  # type: ignore[misc]  # declared for the class, read from the instance
    return ending
