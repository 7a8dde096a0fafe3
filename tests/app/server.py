"""Server of the dashboard and a browser page in it, for tests and benchmarks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 240_000
"""Milliseconds to wait for anything: two cores may be shared with much else."""


@contextmanager
def dashboard(runs: Path) -> Iterator[str]:
    """The address of a dashboard that keeps its results in `runs`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app/main.py", f"--server.port={port}"]
    command += ["--server.address=127.0.0.1", "--server.headless=true"]
    log = (runs / "server.log").open("w")
    environment = {**os.environ, "WORKBENCH_RUNS": str(runs)}
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=120)
        log.close()


def wait_until_healthy(address: str, server: subprocess.Popen[bytes]) -> None:
    """Returns once the server answers."""
    end = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < end and server.poll() is None:
        try:
            with urlopen(f"{address}/_stcore/health", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError("the dashboard did not start; its log is server.log in the folder of the runs")


@dataclass
class Visit:
    """A page, and what it did that it should not: requests to other machines, errors in the console."""

    page: Any
    address: str
    elsewhere: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, link: str, seen: str = "h1") -> Any:
        """Opens a link cold and waits until `seen` is there and the page is at rest."""
        self.page.goto(self.address + link)
        self.page.locator(seen).first.wait_for(timeout=PATIENCE)
        self.rest()
        return self.page

    def rest(self) -> None:
        """Waits until the page computes nothing."""
        still = '[data-testid="stApp"][data-test-script-state="notRunning"]'
        for _ in range(3):  # a run may follow another
            self.page.locator(still).wait_for(timeout=PATIENCE)
            self.page.wait_for_timeout(150)
        self.page.wait_for_function("!document.querySelector('[data-testid=stProgress]')", timeout=PATIENCE)
        self.page.locator(still).wait_for(timeout=PATIENCE)


@contextmanager
def visit(browser: Any, address: str, width: int = 1280, scheme: str = "light") -> Iterator[Visit]:
    """A page of its own; requests to other machines, which the browser of the tests cannot reach, are noted."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    visited = Visit(context.new_page(), address)
    host = urlsplit(address).netloc

    def watch(request: Any) -> None:
        asked = urlsplit(request.url)
        if asked.scheme in ("http", "https", "ws", "wss") and asked.netloc != host:
            visited.elsewhere.append(request.url)

    context.on("request", watch)  # a route would do the same, and switch the cache of the browser off
    visited.page.on("pageerror", lambda error: visited.complaints.append(str(error)))
    visited.page.on("console", lambda message: note(visited, message))
    try:
        yield visited
    finally:
        context.close()


def note(visited: Visit, message: Any) -> None:
    """Keeps an error of the console, save one: Streamlit looks for its server below the page's address first."""
    if message.type == "error" and "/_stcore/" not in str(message.location.get("url", "")):
        visited.complaints.append(message.text)
