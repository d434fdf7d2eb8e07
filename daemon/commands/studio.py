"""`houseband studio`: play, see, edit, hear and compare in the browser."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from daemon.config.cli_options import LoadedConfig, load_config, make_key_option
from daemon.config.completion import complete_assignment
from daemon.config.config import KEYS
from daemon.control.owner_lock import find_owner
from daemon.control.protocol import MAX_PORT, OFF, resolve_address
from daemon.core.controls import current_values
from daemon.studio.band_process import BandProcess
from daemon.system import signals
from daemon.system.log_setup import start_logging
from daemon.system.paths import NoHomeError, find_studio_socket_file
from music.errors import UserError, report_os_errors

#: plays live in a process of its own, as `daemon.system.child_process` has it
BAND_TARGET = "daemon.commands._band_child:play_until_stdin_ends"
#: keys of the configuration that have an option here; `--set` takes the others
_KEYS = ("control", "technique", "style", "bpm", "api", "audio", "soundfont", "takes", "verbose")
#: packages of the extra
_EXTRA = frozenset({"starlette", "uvicorn", "websockets", "anyio", "h11"})


def _key_options(function: Callable[..., None]) -> Callable[..., None]:
    for name in reversed(_KEYS):
        function = make_key_option(name)(function)
    return function


@click.command(short_help="Open the music studio: play, see, edit, hear and compare in the browser.")
@click.option("--port", type=click.IntRange(0, MAX_PORT), help="Of the page; 0: any free one.  [default: 8460 if free]")
@click.option("--no-browser", is_flag=True, help="Print the address, alone on the first line, and open no browser.")
@click.option("--config", "file", metavar="FILE.toml", type=click.Path(path_type=Path), help="Another configuration.")
@_key_options
@click.option(
    "--set", "assigned", metavar="KEY=VALUE", multiple=True, shell_complete=complete_assignment,
    help="Any key of the configuration, e.g. mute.pad=on; `houseband config` lists them.",
)  # fmt: skip
def command(port: int | None, no_browser: bool, file: Path | None, assigned: tuple[str, ...], **values: object) -> None:
    """Open a page on which you play with the band, and make, edit, hear and compare what it plays.

    The page is served on this machine, to nobody else, until Ctrl-C. It shows the band that plays already (a service,
    or `houseband run`); where there is none, it starts one, with these options, that ends with the studio. Without any
    MIDI system the page is keyboard, synthesiser and screen.
    """
    loaded = load_config(file, assigned, values)
    start_logging(loaded.config.verbose)
    ended = threading.Event()
    with report_os_errors(), signals.on_stop(ended.set):
        where = _find_address(loaded)
        band = BandProcess(
            BAND_TARGET, _list_band_options(where, file, assigned, values), has_audio=loaded.config.audio
        )
        if find_owner(where) is None:
            band.start()  # it loads while the server does
        try:
            _serve(loaded, where, band, port, no_browser, ended.is_set)
        finally:
            band.stop()


def _serve(
    loaded: LoadedConfig,
    where: str,
    band: BandProcess,
    port: int | None,
    no_browser: bool,
    is_ended: Callable[[], bool],
) -> None:
    """Serve the page. Raises UserError where the extra is not installed, or the port cannot be had.

    is_ended: tells whether a signal to end has come.
    """
    try:
        from daemon.studio.server import listen, serve
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        raise UserError(
            f"houseband studio needs the package {error.name}, which is not installed; "
            "install it with: pip install 'houseband[studio]'"
        ) from None
    from daemon.studio.keys import load_keys
    from daemon.studio.setup import StudioSetup
    from daemon.takes.storage import find_folder

    config = loaded.config
    try:
        takes = find_folder(config.takes)
    except NoHomeError:
        takes = None
    with listen(port) as listener:
        own_port = listener.getsockname()[1]
        keys = load_keys(own_port)
        address = f"http://127.0.0.1:{own_port}/?token={keys.token}"

        def announce() -> bool:
            if is_ended():
                return False
            if no_browser:
                click.echo(address)
            else:
                click.echo(f"The studio is open at {address}\nCtrl-C ends it.")
                threading.Thread(target=click.launch, args=(address,), daemon=True).start()
            return True

        setup = StudioSetup(where, takes, config.soundfont, current_values(config.settings) | {"bpm": config.bpm})
        serve(setup, band, listener, keys, announce)


def _find_address(loaded: LoadedConfig) -> str:
    """Return the address of the band's control socket: one of the studio's own where the configuration has none."""
    where = resolve_address(loaded.config.control)
    return str(find_studio_socket_file()) if where == OFF else where


def _list_band_options(
    where: str, file: Path | None, assigned: tuple[str, ...], values: Mapping[str, Any]
) -> list[str]:
    """Return the options of `houseband run` for a band that plays as these options of the studio have it."""
    given = {name: KEYS[name].to_toml(value) for name, value in values.items() if value not in (None, 0)}
    pairs = [f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in given.items()]
    options = [] if file is None else ["--config", str(file)]
    for pair in (*pairs, *assigned, f"control={where}"):
        options += ["--set", pair]
    return options
