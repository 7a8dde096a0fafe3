"""Find or install Chromium for the browser tests.

`python -m tests.browser` makes sure that there is one, as far as it may, and says in one line what it found.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # no other machine is reached
]
MISSING = "no Chromium on this machine: install one (Debian: apt install chromium) to run the browser tests"


def chromium() -> Path | None:
    """Where a usable Chromium is, or None."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return Path(found) if found else _from_playwright()


def _from_playwright() -> Path | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    return path if path.exists() else None


def _installers() -> list[list[str]]:
    """The commands that may bring one, in the order to try them."""
    playwright = [sys.executable, "-m", "playwright", "install", "chromium"]
    if not shutil.which("apt-get"):
        return [playwright]
    if os.getuid() == 0:
        may: list[str] = []
    elif (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    ):
        may = ["sudo", "-n"]
    else:
        return [playwright]
    apt = [*may, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    return [[*apt, "update"], [*apt, "install", "-y", "chromium"], playwright]


def main() -> None:
    """Find a Chromium, else install one, else say that browser tests will be skipped."""
    for command in _installers():
        if chromium():
            break
        print("no Chromium found, trying:", " ".join(command), flush=True)
        subprocess.run(command, stdout=subprocess.DEVNULL, timeout=900, check=False)
    path = chromium()
    print(f"Browser tests use {path}" if path else f"Browser tests are skipped: {MISSING}")


if __name__ == "__main__":
    main()
