"""onnxruntime is imported without its telemetry, and rendering uses no network."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mido
import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_everything_imports_onnxruntime_from_where_its_telemetry_is_off() -> None:
    direct = set()
    for room in ("daemon", "export", "models", "music"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                if any(name.partition(".")[0] == "onnxruntime" for name in names):
                    direct.add(str(path.relative_to(ROOT)))
    assert direct == {"daemon/players/onnx_runtime.py", "export/onnx_runtime.py"}


@pytest.mark.parametrize("module", ["daemon.players.onnx_runtime", "export.onnx_runtime"])
def test_telemetry_is_off_before_onnxruntime_is_imported(module: str) -> None:
    code = (
        "import builtins, os, sys\n"
        "real, told = builtins.__import__, []\n"
        "def look(name, *rest, **more):\n"
        "    if name == 'onnxruntime': told.append(os.environ.get('ORT_DISABLE_TELEMETRY'))\n"
        "    return real(name, *rest, **more)\n"
        f"builtins.__import__ = look\nimport {module}\nsys.exit(told[0] != '1')"
    )
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, timeout=60, check=False)
    assert done.returncode == 0


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace (Debian: apt install strace)")
def test_rendering_opens_no_network_socket_and_leaves_no_device_id(tmp_path: Path) -> None:
    file = mido.MidiFile(ticks_per_beat=24)
    track = file.add_track("melody")
    for pitch in (60, 64, 67, 64):
        track.append(mido.Message("note_on", note=pitch))
        track.append(mido.Message("note_off", note=pitch, time=24))
    file.save(tmp_path / "in.mid")
    log = tmp_path / "calls"
    command = [sys.executable, "-m", "daemon", "render", str(tmp_path / "in.mid"), "-o", str(tmp_path / "out.mid")]
    keep = ("CI", "XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY")
    environment = {name: value for name, value in os.environ.items() if name not in keep} | {"HOME": str(tmp_path)}
    subprocess.run(
        ["strace", "-f", "-e", "trace=socket,connect", "-o", str(log), *command],
        cwd=ROOT, env=environment, capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    calls = log.read_text().splitlines()
    assert [call for call in calls if "AF_INET" in call] == []
    assert [path for path in tmp_path.rglob("*") if "microsoft" in str(path).lower()] == []
