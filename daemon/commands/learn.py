"""`houseband learn`: bind a knob, a pad, a key or a program change to a control."""

from __future__ import annotations

import json
from contextlib import closing

import click

from daemon.commands._completion import complete_target
from daemon.config.cli_options import add_connect_option, choose_control_address, load_config
from daemon.control.client import ControlClient
from music.errors import UserError


@click.command(short_help="Bind a knob, a pad, a key or a program change to a control.")
@add_connect_option
@click.option("--forget", is_flag=True, help="Forget what was learnt for it, instead.")
@click.option("--list", "listing", is_flag=True, help="List all gestures and what they turn; needs no band.")
@click.option("--json", "as_json", is_flag=True, help="Print the list, or what was learnt, as JSON.")
@click.argument("key", required=False, metavar="[KEY[=VALUE]]", shell_complete=complete_target)
def command(control: str | None, forget: bool, listing: bool, as_json: bool, key: str | None) -> None:
    """Bind the next thing you move on your keyboard to a control: `houseband learn intensity`, then turn a knob.

    Pads, keys and program changes can be learnt for what needs no number (fill, ending, mute.drums, ...) and for one
    value (`houseband learn style=jazz`), and so can pedals. The sustain pedal is learnt when you press it and let go,
    or hold it for a second, without playing; it sustains no more then. What is learnt is kept beside the configuration.
    """
    if listing:
        _list_gestures(as_json=as_json)
        return
    if key is None:
        raise UserError("learn what? Name a control, such as intensity (`houseband set --help` lists them)")
    with closing(ControlClient(choose_control_address(control))) as client:
        if forget:
            client.ask("forget", key=key)
            return
        client.check_band()
        click.echo(f"move what shall turn {key} (Ctrl-C to give up) ...", err=True)
        gesture = client.ask("learn", key=key, timeout=None)["gesture"]
    click.echo(json.dumps({"gesture": gesture, "key": key}) if as_json else f"{gesture} turns {key}")


def _list_gestures(*, as_json: bool) -> None:
    loaded = load_config()
    gestures = {**loaded.config.gestures, **loaded.learned}
    if as_json:
        rows = [{"gesture": made, "key": key, "learnt": made in loaded.learned} for made, key in gestures.items()]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    for gesture, target in gestures.items():
        learned = "  (learnt)" if gesture in loaded.learned else ""
        click.echo(f"{gesture:<22} {target or 'nothing'}{learned}")
