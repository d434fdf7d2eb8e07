"""The server's beginning and end."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.studio.band_process import BandProcess
from daemon.studio.keys import StudioKeys
from daemon.studio.server import listen, serve
from daemon.studio.setup import StudioSetup
from music.errors import UserError


def test_a_signal_that_comes_while_it_loads_ends_it(tmp_path: Path) -> None:
    asked = []

    def is_not_ready() -> bool:
        asked.append(True)
        return False

    with listen(0) as listener:
        setup = StudioSetup(str(tmp_path / "control.sock"), tmp_path)
        serve(setup, BandProcess("", ()), listener, StudioKeys(), is_not_ready)
    assert asked == [True]


def test_it_listens_on_loopback_only_and_to_one_at_a_time() -> None:
    with listen(0) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        with pytest.raises(UserError, match=f"port {port} cannot be had: something else has it"):
            listen(port)
