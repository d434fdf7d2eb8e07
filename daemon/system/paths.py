"""The folders and files of the program, and the environment variables that name others in their place.

Nothing here makes a folder or opens a file.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

from music.errors import UserError

NAME = "houseband"

_NO_HOME = "you have no home folder here; set HOME to a folder, or name what is needed with an option"

CONFIG_VARIABLE = "HOUSEBAND_CONFIG"
CONTROL_VARIABLE = "HOUSEBAND_CONTROL"
PLUGIN_SOCKET_VARIABLE = "HOUSEBAND_PLUGIN_SOCKET"
TAKES_VARIABLE = "HOUSEBAND_TAKES"
SOUNDFONT_VARIABLE = "HOUSEBAND_SOUNDFONT"

#: every environment variable of the program -> what it names
VARIABLES = {
    CONFIG_VARIABLE: "Another configuration than the user's own.",
    CONTROL_VARIABLE: "Where the control socket is: a path, tcp:PORT, or off.",
    PLUGIN_SOCKET_VARIABLE: "Where the socket is that the plugin of a DAW connects to: an absolute path.",
    TAKES_VARIABLE: "The folder that takes are kept in, or off.",
    SOUNDFONT_VARIABLE: "The soundfont of `--audio`, of WAV files and of the studio's page.",
}
#: where the files are on Linux -> what they hold
FILES = {
    "~/.config/houseband/config.toml": "The configuration; `houseband config --path` says where it is on this system.",
    "~/.config/houseband/config.learnt.toml": "What `houseband learn` has bound to knobs, pads and keys.",
    "~/.local/share/houseband/takes/": "What was played; `houseband takes list`.",
    "~/.local/share/houseband/takes/studio/": "The projects of `houseband studio`.",
    "~/.cache/houseband/graphs/": "Graphs made ready to load; made anew where they are missing.",
    "$XDG_RUNTIME_DIR/houseband/control.sock": "The control socket; `houseband control` describes it.",
    "$XDG_RUNTIME_DIR/houseband/plugin.sock": "The socket that the plugin of a DAW connects to.",
    "~/.lv2/houseband.lv2/": "The plugin for DAWs that load LV2; `houseband plugin install` builds it.",
    "~/.clap/houseband.clap": "The plugin for DAWs that load CLAP; `houseband plugin install` builds it.",
    "~/.config/systemd/user/houseband.service": "The service; `houseband service install` writes it.",
}


class NoHomeError(UserError):
    """Raised for a folder or file that lies in the user's home, where the user has none."""


def find_config_file() -> Path:
    """Return the path of the configuration: what HOUSEBAND_CONFIG names, else the user's own. Raises NoHomeError."""
    named = os.environ.get(CONFIG_VARIABLE)
    return Path(named) if named else _find_user_folder("user_config_path") / "config.toml"


def find_learned_gestures_file(config: Path) -> Path:
    """Return the path of the learned gestures, which lie beside a configuration."""
    return config.with_suffix(".learnt.toml")


def find_takes_folder() -> Path:
    """Return the folder of takes where neither HOUSEBAND_TAKES nor the configuration names another.

    Raises NoHomeError.
    """
    return _find_user_folder("user_data_path") / "takes"


def find_graph_cache_folder() -> Path | None:
    """Return the folder of graphs made ready to load; None where the user has no home."""
    try:
        return _find_user_folder("user_cache_path") / "graphs"
    except NoHomeError:
        return None


def find_home() -> Path:
    """Return the user's home. Raises NoHomeError."""
    try:
        return Path.home()
    except RuntimeError as error:
        raise NoHomeError(_NO_HOME) from error


def find_runtime_folder() -> Path:
    """Return the folder of what lives as long as the user's session, such as the control socket.

    XDG_RUNTIME_DIR is taken as it is: inside a service's user namespace root is nobody, and platformdirs trusts no
    directory that lies in one of nobody's. Where there is none, and another user has taken the name of the usual
    replacement in the folder of temporary files, it lies in the user's cache. Raises OSError where the user has none.
    """
    named = os.environ.get("XDG_RUNTIME_DIR", "")
    if sys.platform.startswith("linux") and Path(named).is_absolute() and Path(named).is_dir():
        return Path(named) / NAME
    try:
        return _find_user_folder("user_runtime_path")
    except OSError:
        pass
    try:
        return _find_user_folder("user_cache_path") / "run"
    except NoHomeError:
        raise OSError("there is no folder for it; set XDG_RUNTIME_DIR to one of yours") from None


def find_control_socket_file() -> Path:
    """Return the path of the control socket, where it is a Unix socket. Raises OSError as `find_runtime_folder`."""
    return find_runtime_folder() / "control.sock"


def find_control_token_file() -> Path:
    """Return the path of the port and secret of a control socket over TCP. Raises OSError as `find_runtime_folder`."""
    return find_runtime_folder() / "control.tcp"


def find_studio_token_file(port: int) -> Path:
    """Return the path of the token that opens the studio on a port. Raises OSError as `find_runtime_folder`."""
    return find_runtime_folder() / f"studio-{port}.token"


def find_studio_socket_file() -> Path:
    """Return the path of the control socket of a studio's own band, where the configuration has none.

    Raises OSError as `find_runtime_folder`.
    """
    return find_runtime_folder() / f"studio-{os.getpid()}.sock"


def find_plugin_socket_file() -> Path:
    """Return the path of the plugin's socket. Raises OSError as `find_runtime_folder`."""
    named = os.environ.get(PLUGIN_SOCKET_VARIABLE, "")
    return Path(named) if Path(named).is_absolute() else find_runtime_folder() / "plugin.sock"


def find_plugin_bundles() -> list[Path]:
    """Return where DAWs look for the bundles of the plugin, LV2 and CLAP, of this user. Raises NoHomeError."""
    home = find_home()
    if sys.platform == "darwin":
        folders = home / "Library/Audio/Plug-Ins/LV2", home / "Library/Audio/Plug-Ins/CLAP"
    else:
        folders = home / ".lv2", home / ".clap"
    return [folders[0] / "houseband.lv2", folders[1] / "houseband.clap"]


def find_connections_file() -> Path:
    """Return the path of the MIDI connections a service remembers. Raises OSError as `find_runtime_folder`."""
    return find_runtime_folder() / "connections.json"


def find_systemd_folder() -> Path:
    """Return the folder of the user's own systemd units. Raises NoHomeError."""
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else find_home() / ".config") / "systemd" / "user"


def find_launch_agents_folder() -> Path:
    """Return the folder of the user's own launchd jobs (macOS). Raises NoHomeError."""
    return find_home() / "Library" / "LaunchAgents"


def find_launchd_log_file() -> Path:
    """Return the path of the service's log under launchd. Raises NoHomeError."""
    return find_home() / "Library" / "Logs" / f"{NAME}.log"


def _find_user_folder(kind: str) -> Path:
    """Return a folder of the program, by the name of the function in platformdirs that knows it. Raises NoHomeError."""
    import platformdirs  # most commands need one folder at most

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where it takes another directory than the usual one
        try:
            found: Path = getattr(platformdirs, kind)(NAME)
        except RuntimeError as error:
            raise NoHomeError(_NO_HOME) from error
    if not found.is_absolute():  # earlier versions of platformdirs leave the ~
        raise NoHomeError(_NO_HOME)
    return found
