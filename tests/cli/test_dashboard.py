"""Tests of `workbench app`: start, token, addresses, ports and termination."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from workbench.cli import status
from workbench.cli.dashboard import TOKEN_VARIABLE, entry_script


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str | None]]:
    """The commands of servers that would be started, with their tokens."""
    commands: list[tuple[list[str], str | None]] = []

    def call(command: list[str], env: dict[str, str]) -> int:
        commands.append((command, env.get(TOKEN_VARIABLE)))
        return 0

    monkeypatch.setattr(subprocess, "call", call)
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    return commands


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_the_dashboard_starts_from_the_installed_package_and_neither_reports_nor_advertises(
    started: list[tuple[list[str], str | None]], capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    assert status(["app", "--port", str(port), "--headless"]) == 0
    ((command, token),) = started
    assert Path(command[5]) == entry_script() and command[1:5] == ["-P", "-m", "streamlit", "run"] and token is None
    assert {f"--server.port={port}", "--server.headless=true", "--server.address=localhost"} <= set(command)
    assert {"--browser.gatherUsageStats=false", "--logger.hideWelcomeMessage=true"} <= set(command)
    assert f"http://localhost:{port} (" in capsys.readouterr().out


def test_a_dashboard_for_other_machines_has_a_token_that_is_in_its_link_and_not_on_its_command_line(
    started: list[tuple[list[str], str | None]], capsys: pytest.CaptureFixture[str]
) -> None:
    port = str(free_port())
    tokens = set()
    for _ in range(2):
        assert status(["app", "--port", port, "--address", "0.0.0.0"]) == 0
        command, token = started[-1]
        assert token is not None and len(token) >= 32 and token not in " ".join(command)
        assert f"http://0.0.0.0:{port}/?token={token}" in capsys.readouterr().out
        assert "--server.headless=true" in command
        tokens.add(token)
    assert len(tokens) == 2


@pytest.mark.parametrize("port", ["-1", "0", "65536", "999999"])
def test_a_port_that_no_server_can_have_is_refused(
    started: list[tuple[list[str], str | None]], capsys: pytest.CaptureFixture[str], port: str
) -> None:
    assert status(["app", "--port", port]) == 2 and not started
    assert "from 1 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["", "not an address", "256.1.1.1", "203.0.113.7", "a" * 300, "[::1"])
def test_an_address_that_is_not_of_this_machine_is_refused(
    started: list[tuple[list[str], str | None]], capsys: pytest.CaptureFixture[str], address: str
) -> None:
    assert status(["app", "--port", str(free_port()), f"--address={address}"]) == 2 and not started
    said = capsys.readouterr().err
    assert "cannot listen" in said and said.count("\n") == 1


def test_a_port_in_use_is_refused(
    started: list[tuple[list[str], str | None]], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert status(["app", "--port", str(taken.getsockname()[1]), "--address", "127.0.0.1"]) == 2
    assert not started and "cannot listen" in capsys.readouterr().err


@pytest.mark.slow
def test_streamlit_run_listens_on_this_machine_alone_wherever_it_is_started(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(entry_script()), f"--server.port={port}"]
    environment = {**os.environ, "PYTHONPATH": str(entry_script().parent.parent), "HOME": str(tmp_path)}
    server = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            try:
                with urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5):
                    break
            except OSError:
                assert server.poll() is None
                time.sleep(0.1)
        listening = {
            fields[1].rpartition(":")[0]
            for table in ("tcp", "tcp6")
            for fields in map(str.split, Path(f"/proc/net/{table}").read_text().splitlines()[1:])
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port
        }
        assert listening and listening <= {"0100007F", "00000000000000000000000001000000"}
    finally:
        server.terminate()
        server.wait(timeout=20)


def test_a_dashboard_that_is_terminated_ends_its_server_as_well(tmp_path: Path) -> None:
    script = tmp_path / "sleep.py"
    script.write_text(
        "import os, pathlib, time\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    starts = (
        "import subprocess, sys\n"
        "from workbench.cli import dashboard\n"
        "call = subprocess.call\n"
        f"dashboard.subprocess.call = lambda command, env: call([sys.executable, {str(script)!r}], env=env)\n"
        f"dashboard.open_dashboard(port={free_port()}, headless=True)\n"
    )
    opened = subprocess.Popen([sys.executable, "-c", starts])
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert opened.poll() is None
        time.sleep(0.05)
    opened.terminate()
    assert opened.wait(timeout=100) == 128 + signal.SIGTERM
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
