"""Completion in shells of controls, their values, takes, roles and presets."""

from __future__ import annotations

import contextlib

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

from daemon.config.cli_options import load_config
from daemon.config.completion import complete_key_value, complete_values, offer
from daemon.config.config import KEYS
from daemon.core.controls import CONTROLS
from music.errors import HousebandError
from music.note import ROLES

#: the variable by which a shell's script asks for completions
VARIABLE = "_HOUSEBAND_COMPLETE"


class AssignmentBashComplete(BashComplete):
    """Completion in bash, which takes `KEY=VALUE` for three words and replaces the last of them only."""

    _begin = ""  # of the word, as far as bash leaves it alone

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one that is completed, and what there is of it."""
        words, incomplete = super().get_completion_args()
        words, incomplete = join_assignments([*words, incomplete])
        self._begin = incomplete[: incomplete.find("=") + 1]
        return words, incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """Return a line for the script: without what bash has already."""
        value = item.value.removeprefix(self._begin) if self._begin else item.value
        return super().format_completion(CompletionItem(value, type=item.type))


def join_assignments(words: list[str]) -> tuple[list[str], str]:
    """Return words, the last one apart, in which `KEY`, `=` and `VALUE` are one."""
    joined: list[str] = []
    for word in words:
        if joined and word == "=":
            joined[-1] += "="
        elif joined and joined[-1].endswith("=") and not word.startswith("-"):
            joined[-1] += word
        else:
            joined.append(word)
    return joined[:-1], joined[-1]


def install_completion() -> None:
    """Let bash complete assignments, too."""
    add_completion_class(AssignmentBashComplete)


def complete_control(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the controls that begin so."""
    return [CompletionItem(key, help=spec.help) for key, spec in CONTROLS.items() if key.startswith(incomplete)]


def complete_value(context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the values of the control that `key` names."""
    return complete_values(CONTROLS.get(str(context.params.get("key") or "")), incomplete)


def complete_target(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the controls, or the values of a control, in `KEY` or `KEY=VALUE`."""
    if "=" in incomplete:
        return complete_key_value(CONTROLS.get(incomplete.partition("=")[0]), incomplete)
    return complete_control(_context, _param, incomplete)


def complete_take(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the takes that begin so, the newest first."""
    from daemon.takes.storage import find_folder, list_takes

    names: list[str] = []
    with contextlib.suppress(HousebandError, OSError):
        folder = _context.params.get("where") or find_folder(load_config().config.takes)
        names = [file.stem for file in reversed(list_takes(folder))] if folder else []
    return offer(dict.fromkeys(names), incomplete)


def complete_preset(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the presets of the configuration that begin so."""
    return complete_values(KEYS["preset"], incomplete)


def complete_roles(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the roles that may follow in a list such as `bass,drums`."""
    before, comma, _ = incomplete.rpartition(",")
    taken = before.split(",")
    return offer([f"{before}{comma}{role}" for role in ROLES if role not in taken], incomplete)
