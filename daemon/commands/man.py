"""`houseband man`: the manual page, made from the same words as every `--help`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

from daemon.core.errors import EXIT_CODES
from daemon.core.version import find_installed_version
from daemon.system import paths
from music.errors import HousebandError


@click.command(short_help="Print the manual page.")
@click.pass_context
def command(context: click.Context) -> None:
    """Print the manual page of houseband and all its commands.

    Keep it as ~/.local/share/man/man1/houseband.1, or read it at once with `houseband man | man -l -`.
    """
    root = context.find_root()
    click.echo("\n".join(make_page(root.command, root.info_name or "houseband")))


def make_page(main: click.Command, name: str) -> Iterator[str]:
    """Yield the lines of the page, in man's own language."""
    yield f'.TH {name.upper()} 1 "" "{name} {find_installed_version()}" "User commands"'
    top = click.Context(main, info_name=name, **main.context_settings)
    yield from (".SH NAME", f"{name} \\- {_escape((main.help or '').strip().splitlines()[0])}")
    yield from (".SH SYNOPSIS", f".B {name}", _escape(" ".join(main.collect_usage_pieces(top))))
    yield from (".SH OPTIONS", *_list_options(main, top), ".SH COMMANDS", *_list_commands(main, top, name))
    yield from (
        ".SH ENVIRONMENT",
        *_format_entries(paths.VARIABLES.items()),
        ".SH FILES",
        *_format_entries(paths.FILES.items()),
    )
    yield from (".SH EXIT STATUS", *_format_entries((str(code), f"{meaning}.") for code, meaning in EXIT_CODES.items()))


def _list_commands(group: click.Command, above: click.Context, path: str) -> Iterator[str]:
    for name in group.list_commands(above) if isinstance(group, click.Group) else ():
        try:
            found = group.get_command(above, name) if isinstance(group, click.Group) else None
        except HousebandError as error:  # it needs an extra that is not installed
            yield from (f".SS {path} {name}", _escape(f"{error}."))
            continue
        if found is None or found.hidden:
            continue
        context = click.Context(found, info_name=name, parent=above)
        yield f".SS {path} {name} {_escape(' '.join(found.collect_usage_pieces(context)))}"
        for paragraph in (found.help or "").split("\n\n"):
            yield from (_escape(" ".join(paragraph.replace("\b", "").split())), ".PP")
        yield from _list_options(found, context)
        yield from _list_commands(found, context, f"{path} {name}")


def _list_options(found: click.Command, context: click.Context) -> Iterator[str]:
    records = (parameter.get_help_record(context) for parameter in found.get_params(context))
    return _format_entries(record for record in records if record is not None)


def _format_entries(entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, about in entries:
        yield from (".TP", f".B {_escape(name)}", _escape(about))


def _escape(text: str) -> str:
    """Plain text for man: no line of it is taken for a request."""
    text = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text[:1] in (".", "'") else text
