"""Which code, on which kind of machine, made a file."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DISTRIBUTION = "interpretability-workbench"


def provenance(seconds: float) -> dict[str, str | float | int]:
    """Versions, commit, time (UTC), duration and kind of machine; the machine's name stays out."""
    return {
        "version": release(DISTRIBUTION),
        "commit": commit(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "platform": hardware(),
        "python": platform.python_version(),
        "torch": release("torch"),
    }


def hardware() -> str:
    """Operating system, processor type and number of processors, as `Linux x86_64, 2 processors`."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"


def release(distribution: str) -> str:
    """The installed version of a distribution, or "unknown"."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"


@cache
def commit() -> str:
    """The commit of the checkout this code runs from, with "+" when files differ from it; "" outside of one."""
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():
        return ""
    git = ["git", "-C", str(checkout)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10)
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD"], capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return ""
    return head.stdout.strip() + ("+" if changed.returncode else "")
