"""Fixtures of all tests: a JACK server, a small graph, music collections, and the rule that CI skips no port test."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
JACK_SERVERS = ("houseband-test", "houseband-test-2", "houseband-test-3")
# Tests run side by side; none is the faster for several threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Only tests of ports may see the JACK server that was named: others beside them would take their ports' names.
os.environ["JACK_NO_START_SERVER"] = os.environ["JACK_NO_AUDIO_RESERVATION"] = "1"
if "JACK_DEFAULT_SERVER" in os.environ:
    os.environ["HOUSEBAND_TEST_SERVER"] = os.environ.pop("JACK_DEFAULT_SERVER")
# No test may read or change what the user of this machine has set up.
os.environ["HOUSEBAND_CONFIG"] = str(ROOT / "tests" / "no-such-config.toml")
os.environ["HOUSEBAND_CONTROL"] = "off"
os.environ["HOUSEBAND_TAKES"] = "off"
UNDER_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")

# Examples are bounded by their number: how fast a machine is decides nothing. In CI they are the same every time, so
# that a failure is the change's; elsewhere they go on looking.
settings.register_profile("house", deadline=None, derandomize=UNDER_CI, max_examples=50)
settings.load_profile("house")


@pytest.fixture(scope="module", autouse=True)
def _one_file_at_a_time_uses_jack(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where several processes run the tests (pytest-xdist), the ports of one file must not meet those of another."""
    if not request.node.get_closest_marker("jack"):
        yield
        return
    with _alone("ports"):
        yield


@pytest.fixture(scope="session")
def tiny_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph of a very small GAN with random weights, to be read only; all workers share one, for it takes long."""
    from tests.support.training import write_gan_graph  # needs torch

    base = tmp_path_factory.getbasetemp()
    path = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny" / "gan.onnx"
    path.parent.mkdir(exist_ok=True)
    with _alone("graph"):
        if not path.exists():
            write_gan_graph(path)
    return path


@pytest.fixture(scope="session")
def jack_server() -> Iterator[str]:
    """The name of a running JACK server: the one in JACK_DEFAULT_SERVER, else a `jackd -d dummy` of our own."""
    if shutil.which("jackd") is None or shutil.which("jack_wait") is None:
        pytest.skip("needs jackd and jack_wait (Debian: apt install jackd2, later also jack-example-tools)")
    named = os.environ.get("HOUSEBAND_TEST_SERVER")
    if named is not None:
        os.environ["JACK_DEFAULT_SERVER"] = named
        if not _jack_answers(named, seconds=5):
            pytest.skip(f"JACK_DEFAULT_SERVER names the server {named}, and it does not run")
        yield named
        return
    with _free_name() as name:
        os.environ["JACK_DEFAULT_SERVER"] = name
        dummy = ["-d", "dummy", "--rate", "48000", "--period", "128"]
        with _alone("start"):  # two that start at once are in each other's way
            server = subprocess.Popen(
                ["jackd", *_scheduling(), "--name", name, *dummy],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            up = _jack_answers(name, seconds=10)
        try:
            if not up:
                pytest.skip("jackd is installed but `jackd -d dummy` does not come up here")
            yield name
        finally:
            server.terminate()
            server.wait(timeout=10)
            del os.environ["JACK_DEFAULT_SERVER"]


@contextlib.contextmanager
def _alone(doing: str) -> Iterator[None]:
    """While this holds, no other process of these tests does the same."""
    import fcntl

    with (Path(tempfile.gettempdir()) / f"houseband-test-{doing}-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _free_name() -> Iterator[str]:
    """A name for a server that no other run of these tests uses. Few names: each takes a place in JACK's registry."""
    import fcntl

    for name in JACK_SERVERS:
        with (Path(tempfile.gettempdir()) / f"{name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield name
            return
    pytest.skip(f"other test runs hold every one of the JACK servers {', '.join(JACK_SERVERS)}")


def _scheduling() -> list[str]:
    """Real-time where it is allowed: a server that waits for a core drops what was sent."""
    allowed = shutil.which("chrt") and subprocess.run(["chrt", "-f", "10", "true"], capture_output=True, check=False)
    return ["--realtime", "--realtime-priority", "10"] if allowed and not allowed.returncode else ["--no-realtime"]


def _jack_answers(server: str, seconds: int) -> bool:
    command = ["jack_wait", "--server", server, "--wait", "--timeout", str(seconds)]
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0


@pytest.fixture(autouse=True)
def _server_for_jack_tests(request: pytest.FixtureRequest) -> None:
    """A test marked `jack` gets a server without asking."""
    if request.node.get_closest_marker("jack"):
        request.getfixturevalue("jack_server")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the music collections, beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the music collections in ../shared/data, beside the checkout")
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under CI a port test that skips has failed: there the server is always there."""
    report = yield
    if UNDER_CI and report.skipped and item.get_closest_marker("jack"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"no port test may be skipped under CI: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Nor may a whole file of tests skip itself there."""
    report = yield
    if UNDER_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"no file of tests may be skipped under CI: {report.longrepr}"
    return report
