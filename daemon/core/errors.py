"""What the command line says when it cannot do what it was asked: one sentence on stderr, exit code 2."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click


class Refusal(click.ClickException):
    """The user can mend this; the message says what is wrong and how."""

    exit_code = 2


@contextlib.contextmanager
def refusing(*errors: type[Exception]) -> Iterator[None]:
    """Turns errors whose message is one sentence for the user into a Refusal."""
    try:
        yield
    except errors as error:
        raise Refusal(str(error)) from None
