"""What the command line says when it cannot do what it was asked: one sentence on stderr, exit code 2."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click


class UserError(click.ClickException):
    """The user can mend this; the message says what is wrong and how."""

    exit_code = 2


@contextlib.contextmanager
def user_errors(*errors: type[Exception]) -> Iterator[None]:
    """Turns errors whose message is one sentence for the user into a UserError."""
    try:
        yield
    except errors as error:
        raise UserError(str(error)) from None
