"""Atomic writes: if the process is killed at any moment, a file has either its old or its new content."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.core.errors import CheckpointError, short

NEXT = ".next.tmp"
"""Folder for files that change together, until all of them are complete."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file atomically. Links are followed; pipes and devices are written to directly."""
    if path.name in ("", "..") or "\0" in str(path):
        raise CheckpointError(f"Cannot write {short(str(path))}: it is not a file name. Choose another path.")
    with explain_write_errors(path, len(content)):
        if path.exists() and not path.is_file() and not path.is_dir():
            write_into(path, content)
            return
        path = Path(os.path.realpath(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        place(path, content)


def write_into(path: Path, content: bytes) -> None:
    """Write to a pipe or a device, without blocking on a pipe that has no reader."""
    descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    os.set_blocking(descriptor, True)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)


def place(path: Path, content: bytes) -> None:
    """Write a temporary file next to `path` and rename it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        write_durably(temporary, content)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def replace_together(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace several files of a folder in one step: if the process is killed, all of them are old or all are new.

    Once the last file is in the waiting folder the change is decided, and `finish_replacing` completes it. The caller
    must hold `lock_folder(folder)`.
    """
    seal, waiting = list(files)[-1], folder / NEXT
    finish_replacing(folder, seal)
    try:
        with explain_write_errors(folder / seal, sum(map(len, files.values()))):
            waiting.mkdir()
            for name, content in files.items():
                place(waiting / name, content)
    except BaseException:
        shutil.rmtree(waiting, ignore_errors=True)
        raise
    finish_replacing(folder, seal)


def finish_replacing(folder: Path, seal: str) -> None:
    """Complete a change that was decided before its process died, and discard one that was not."""
    waiting = folder / NEXT
    if not waiting.exists():
        return
    with explain_write_errors(folder / seal, 0):
        if (waiting / seal).exists():
            written = [p for p in waiting.iterdir() if p.suffix != ".tmp"]
            for path in sorted(written, key=lambda p: p.name == seal):
                path.replace(folder / path.name)
            sync_folder(folder)
        shutil.rmtree(waiting)


@contextmanager
def lock_folder(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Lock a folder against other processes while the context lasts; `shared` allows other readers."""
    try:
        import fcntl
    except ImportError:  # Windows: writes are still atomic, but two processes may write at once
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes) -> None:
    """Write a new file and flush it to the disk. Its mode is 0644 less the umask."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Flush a folder to the disk, so that a rename in it survives a power failure."""
    if os.name == "nt":  # a folder cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explain_write_errors(path: Path, size: int) -> Iterator[None]:
    """Re-raise an error of the operating system while writing `size` bytes at `path` as a CheckpointError."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"Cannot write {short(str(path))[1:-1]}: {explain_refusal(error, path.parent, size)} "
            "What was there before is unchanged."
        ) from error


def explain_refusal(error: OSError, folder: Path, size: int) -> str:
    """Explain why a write failed and how to fix it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{megabytes(size)} are needed and {describe_room(folder)}. Free some room or choose another folder."
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"the folder {folder} is read-only for this user. Make it writable or choose another folder."
    return f"{error.strerror or error}. Choose another folder, or mend this one."


def describe_room(folder: Path) -> str:
    """Describe the free space on the disk of a folder."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return f"{megabytes(shutil.disk_usage(folder).free)} are free in {folder} (a quota may leave less)"


def megabytes(size: int) -> str:
    """Format a number of bytes as megabytes, at least the smallest digit above zero."""
    return f"{max(size, 1000) / 1e6:.3f} MB" if size < 100_000 else f"{size / 1e6:.1f} MB"
