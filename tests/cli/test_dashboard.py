import subprocess
from pathlib import Path

import pytest

from workbench.cli import status
from workbench.cli.dashboard import entry_script


def test_the_dashboard_starts_from_the_installed_package_and_neither_reports_nor_advertises(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[list[str]] = []

    def call(command: list[str], cwd: Path | None) -> int:
        started.append(command)
        return 0

    monkeypatch.setattr(subprocess, "call", call)
    assert status(["app", "--port", "9000", "--headless"]) == 0
    (command,) = started
    assert Path(command[4]) == entry_script() and command[1:4] == ["-m", "streamlit", "run"]
    assert {"--server.port=9000", "--server.headless=true", "--server.address=localhost"} <= set(command)
    assert {"--browser.gatherUsageStats=false", "--logger.hideWelcomeMessage=true"} <= set(command)
    assert "http://localhost:9000" in capsys.readouterr().out
