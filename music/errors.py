"""The errors that houseband tells its user of: one tree, whose root is HousebandError.

Wherever one is raised, its message is one sentence that names what is wrong and how to mend it. The command line turns
it into that sentence on stderr and into its `exit_code`, in one place (`daemon.core.errors.report_errors`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class HousebandError(Exception):
    """Something failed; the message is one sentence for the user."""

    #: the exit code of a command that it ends
    exit_code = 1


class UserError(HousebandError):
    """The user can mend this: a wrong option, value, file, port or configuration. Trying again does not help."""

    exit_code = 2


def describe_error(error: Exception) -> str:
    """Return one line about any error: its message where that was written for the user, else also its kind."""
    text = " ".join(str(error).split())
    is_plain = isinstance(error, HousebandError | ValueError | OSError)
    return text if text and is_plain else f"{type(error).__name__}: {text}"


@contextlib.contextmanager
def report_os_errors() -> Iterator[None]:
    """Turn an OSError into a UserError that names the file it is about."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from None
