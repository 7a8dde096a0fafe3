"""`workbench app`: open the dashboard."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path

from workbench.cli.writing import write
from workbench.core.errors import ConfigError, InputError

TOKEN_VARIABLE = "WORKBENCH_TOKEN"
"""Environment variable with the token that readers on other machines need."""
PORTS = range(1, 65536)


def open_dashboard(*, port: int = 8501, address: str = "localhost", headless: bool = False) -> int:
    """Open the dashboard in the browser; Ctrl-C ends it.

    Args:
        port: Port to listen on.
        address: Address to listen on; only this machine reaches the usual one, and readers on another one need the
            token in the link that is printed.
        headless: Do not open a browser.
    """
    script = entry_script()
    require_usable(address, port)
    shared = not only_this_machine(address)
    token = (os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(24)) if shared else ""
    options = {
        "server.port": port,
        "server.address": address,
        "server.headless": headless or shared,  # the browser would open the page without its token
        "browser.gatherUsageStats": False,
        "logger.hideWelcomeMessage": True,  # with which Streamlit's offer of its own agent skills goes, in the page too
    }
    flags = [f"--{name}={str(value).lower()}" for name, value in options.items()]
    host = f"[{address}]" if ":" in address else address
    write(f"The dashboard: http://{host}:{port}{f'/?token={token}' if token else ''} (Ctrl-C ends it)")
    # -P: a module of the reader's own, in the folder where this was started, is not taken for one of the dashboard's.
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(script), *flags]
    path = os.pathsep.join(filter(None, (str(script.parents[1]), os.environ.get("PYTHONPATH"))))
    surroundings = {"PYTHONPATH": path} | ({TOKEN_VARIABLE: token} if token else {})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # `call` ends the server on any exception
    return subprocess.call(command, env=os.environ | surroundings)


def require_usable(address: str, port: int) -> None:
    """Raise unless a server can listen at this address and port."""
    if port not in PORTS:
        raise InputError(f"The port should be from {PORTS[0]} to {PORTS[-1]}, not {port}. The usual one is 8501.")
    try:
        kind, *_, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(kind, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except (OSError, UnicodeError) as reason:
        said = getattr(reason, "strerror", None) or str(reason)
        raise InputError(
            f"The dashboard cannot listen at {address!r}, port {port} ({said}). Give another one, such as "
            "--address localhost --port 8502."
        ) from None


def only_this_machine(address: str) -> bool:
    """Test that a server at this address is reached from its own machine alone."""
    from ipaddress import ip_address

    try:
        return address == "localhost" or ip_address(address).is_loopback
    except ValueError:
        return False


def entry_script() -> Path:
    """Return the dashboard's entry script, in an installed package or beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "dashboard", package.parent):
        if (script := folder / "app" / "main.py").is_file():
            return script
    raise ConfigError(
        "The dashboard is not installed. Install the whole distribution: pip install interpretability-workbench"
    )
