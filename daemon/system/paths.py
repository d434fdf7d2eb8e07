"""The folders and files of the program, and the environment variables that name others in their place.

Nothing here makes a folder or opens a file.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

NAME = "houseband"

CONFIG_VARIABLE = "HOUSEBAND_CONFIG"
CONTROL_VARIABLE = "HOUSEBAND_CONTROL"
TAKES_VARIABLE = "HOUSEBAND_TAKES"
SOUNDFONT_VARIABLE = "HOUSEBAND_SOUNDFONT"

#: every environment variable of the program -> what it names
VARIABLES = {
    CONFIG_VARIABLE: "Another configuration than the user's own.",
    CONTROL_VARIABLE: "Where the control socket is: a path, tcp:PORT, or off.",
    TAKES_VARIABLE: "The folder that takes are kept in, or off.",
    SOUNDFONT_VARIABLE: "The soundfont of `--audio` and of WAV files.",
}
#: where the files are on Linux -> what they hold
FILES = {
    "~/.config/houseband/config.toml": "The configuration; `houseband config --path` says where it is on this system.",
    "~/.config/houseband/config.learnt.toml": "What `houseband learn` has bound to knobs, pads and keys.",
    "~/.local/share/houseband/takes/": "What was played; `houseband takes list`.",
    "~/.cache/houseband/graphs/": "Graphs made ready to load; made anew where they are missing.",
    "$XDG_RUNTIME_DIR/houseband/control.sock": "The control socket; `houseband control` describes it.",
    "~/.config/systemd/user/houseband.service": "The service; `houseband service install` writes it.",
}


def find_config_file() -> Path:
    """Return the path of the configuration: what HOUSEBAND_CONFIG names, else the user's own."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    from platformdirs import user_config_path  # here, as below: most commands need one folder at most

    return user_config_path(NAME) / "config.toml"


def find_learned_gestures_file(config: Path) -> Path:
    """Return the path of the learned gestures, which lie beside a configuration."""
    return config.with_suffix(".learnt.toml")


def find_takes_folder() -> Path:
    """Return the folder of takes where neither HOUSEBAND_TAKES nor the configuration names another."""
    from platformdirs import user_data_path

    return user_data_path(NAME) / "takes"


def find_graph_cache_folder() -> Path | None:
    """Return the folder of graphs made ready to load; None where the user has no home."""
    from platformdirs import user_cache_path

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return user_cache_path(NAME) / "graphs"
        except (OSError, RuntimeError):
            return None


def find_runtime_folder() -> Path:
    """Return the folder of what lives as long as the user's session, such as the control socket.

    XDG_RUNTIME_DIR is taken as it is: inside a service's user namespace root is nobody, and platformdirs trusts no
    directory that lies in one of nobody's. Where there is none, and another user has taken the name of the usual
    replacement in the folder of temporary files, it lies in the user's cache. Raises OSError where the user has none.
    """
    named = os.environ.get("XDG_RUNTIME_DIR", "")
    if sys.platform.startswith("linux") and Path(named).is_absolute() and Path(named).is_dir():
        return Path(named) / NAME
    from platformdirs import user_cache_path, user_runtime_path

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where it takes another directory than the usual one
        try:
            return user_runtime_path(NAME)
        except OSError:
            pass
        try:
            return user_cache_path(NAME) / "run"
        except RuntimeError as error:
            raise OSError(f"there is no folder for it; set XDG_RUNTIME_DIR to one of yours ({error})") from None


def find_control_socket_file() -> Path:
    """Return the path of the control socket, where it is a Unix socket. Raises OSError as `find_runtime_folder`."""
    return find_runtime_folder() / "control.sock"


def find_control_token_file() -> Path:
    """Return the path of the port and secret of a control socket over TCP. Raises OSError as `find_runtime_folder`."""
    return find_runtime_folder() / "control.tcp"


def find_connections_file() -> Path:
    """Return the path of the MIDI connections a service remembers. Raises OSError as `find_runtime_folder`."""
    return find_runtime_folder() / "connections.json"


def find_systemd_folder() -> Path:
    """Return the folder of the user's own systemd units. Raises RuntimeError where the user has no home."""
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "systemd" / "user"


def find_launch_agents_folder() -> Path:
    """Return the folder of the user's own launchd jobs (macOS). Raises RuntimeError where the user has no home."""
    return Path.home() / "Library" / "LaunchAgents"


def find_launchd_log_file() -> Path:
    """Return the path of the service's log under launchd. Raises RuntimeError where the user has no home."""
    return Path.home() / "Library" / "Logs" / f"{NAME}.log"
