"""Provenance of a file (code, versions, kind of machine), and stamps that show whether a file has changed."""

import hashlib
import inspect
import os
import platform
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

DISTRIBUTION = "interpretability-workbench"


def provenance(seconds: float) -> dict[str, str | float | int]:
    """Return versions, commit, time (UTC), duration and kind of machine, without the machine's name."""
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
    """Return operating system, processor type and number of processors, as `Linux x86_64, 2 processors`."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"


CODE = ("core", "data", "recipes", "training", "zoo")
"""Packages whose code affects the result of a training."""


def code_sha256(train: Callable[..., Any]) -> str:
    """Hash the source of all packages that train, and the module of `train` if it is a plug-in's."""
    module = inspect.getmodule(inspect.unwrap(getattr(train, "func", train))) or inspect.getmodule(type(train))
    file = Path(getattr(module, "__file__", None) or __file__).resolve()
    return hashlib.sha256((own_code_sha256() + file_sha256(file)).encode()).hexdigest()


@cache
def own_code_sha256() -> str:
    """Hash the source of the packages that train, as it was at the first call."""
    package, digest = Path(__file__).resolve().parents[1], hashlib.sha256()
    for path in sorted(path for folder in CODE for path in (package / folder).rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def release(distribution: str) -> str:
    """Return the installed version of a distribution, or "unknown"."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"


@cache
def commit() -> str:
    """Return the commit of the checkout, with "+" if files differ from it; "" outside of a checkout."""
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


class Stamp(NamedTuple):
    """File metadata that changes with the content; `changed` is in seconds since 1970."""

    path: str
    size: int
    modified: int
    inode: int
    changed: float


def stamp_of(path: Path) -> Stamp | None:
    """Return the metadata of a file; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    # Restoring an older time of modification is common (cp -p, rsync); only the kernel sets the time of change. Windows
    # keeps the time of creation there.
    changed = found.st_mtime if os.name == "nt" else found.st_ctime
    return Stamp(str(path), found.st_size, found.st_mtime_ns, found.st_ino, changed)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, cached until its metadata changes; "" if there is no file."""
    stamp = stamp_of(path)
    return "" if stamp is None else _file_sha256(stamp)


@lru_cache(maxsize=512)
def _file_sha256(stamp: Stamp) -> str:
    with Path(stamp.path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
