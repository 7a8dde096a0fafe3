"""`workbench app`: the dashboard."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from workbench.cli.writing import write
from workbench.core.errors import ConfigError


def open_dashboard(*, port: int = 8501, address: str = "localhost", headless: bool = False) -> int:
    """Opens the dashboard in the browser; Ctrl-C ends it.

    Parameters
    ----------
    port
        Port to listen on.
    address
        Address to listen on; only this machine reaches the usual one.
    headless
        Do not open a browser.
    """
    script = entry_script()
    options = {
        "server.port": port,
        "server.address": address,
        "server.headless": headless,
        "browser.gatherUsageStats": False,
        "logger.hideWelcomeMessage": True,  # with which Streamlit's offer of its own agent skills goes, in the page too
    }
    flags = [f"--{name}={str(value).lower()}" for name, value in options.items()]
    # The theme lies beside the package in a checkout, and Streamlit looks for it where it is started.
    home = script.parents[1] if (script.parents[1] / ".streamlit").is_dir() else None
    write(f"The dashboard: http://{address}:{port} (Ctrl-C ends it)")
    return subprocess.call([sys.executable, "-m", "streamlit", "run", str(script), *flags], cwd=home)


def entry_script() -> Path:
    """The dashboard's entry script in the installed package."""
    package = find_spec("app")
    for folder in (package.submodule_search_locations or []) if package else []:
        if (script := Path(folder) / "main.py").is_file():
            return script
    raise ConfigError("The dashboard is not installed. Install the whole distribution: pip install -e .")
