"""Strict parsing of user input: whole numbers, files, TOML and JSON.

Python's `int` accepts `1_000`, `+3` and Arabic digits, and fails on more than 4,300 digits. `open` follows a path to an
endless device. All user input is read by these functions instead.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from workbench.core.errors import ConfigError, InputError, short

DIGITS = "[0-9]{1,19}"
"""Pattern of a whole number with at most the digits of 64 bits."""
MAX_TEXT = 16_000_000
"""Maximum size of a text file in bytes."""
MAX_DEPTH = 100
"""Maximum nesting of lists and tables in a file."""


def integer(text: str) -> int | None:
    """Read a whole number of 64 bits.

    Returns:
        The number, or None if the text is anything else: a plus sign, an underscore, a space, other digits than 0 to 9.
    """
    number = int(text) if re.fullmatch(f"-?{DIGITS}", text) else None
    return number if number is not None and -(2**63) <= number < 2**63 else None


def whole(text: str) -> int | None:
    """Read a whole number of 0 or more, else return None."""
    return None if text.startswith("-") else integer(text)


def read_file(path: Path | str, limit: int, kind: str = "file") -> bytes:
    """Read an ordinary file of at most `limit` bytes.

    Args:
        path: Path of the file. `~` is the user's home.
        limit: Maximum size in bytes. A larger file is refused before it is read.
        kind: Names the expected content in the error, such as "pipeline file".

    Raises:
        InputError: The path is missing, unreadable, too large, or a folder, device, socket or pipe.
    """
    where = short(str(path))
    try:
        with open(Path(path).expanduser(), "rb", opener=open_at_once) as stream:
            return stream.read(size_of(stream.fileno(), limit, where, kind))
    except IsADirectoryError:
        raise InputError(f"{where} is a folder, not a file. Give the path of a {kind}.") from None
    except InputError:
        raise
    except (OSError, ValueError, RuntimeError) as error:  # ValueError: a NUL; RuntimeError: no such home
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{where} cannot be read ({reason}). Give the path of a {kind}.") from None


def open_at_once(path: str, flags: int) -> int:
    """Open a path without blocking on a pipe that has no writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def size_of(descriptor: int, limit: int, where: str, kind: str) -> int:
    """Return the size of an open file; raises InputError if it is too large or not an ordinary file."""
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        raise InputError(f"{where} is {kind_of_path(about.st_mode)}, not a file. Give the path of a {kind}.")
    if about.st_size > limit:
        raise InputError(f"{where} has {about.st_size:,} bytes, but a {kind} may have {limit:,}. Give a smaller file.")
    return about.st_size


def kind_of_path(mode: int) -> str:
    """Name the kind of a path that is not an ordinary file."""
    return "a pipe" if stat.S_ISFIFO(mode) else "a device"


def read_text(path: Path | str, kind: str = "text file") -> str:
    """Read a text file in UTF-8, with or without a byte-order mark."""
    content = read_file(path, MAX_TEXT, kind)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{short(str(path))} is not text in UTF-8 (byte {error.start} is {content[error.start]:#04x}). "
            "Save it as UTF-8."
        ) from None


def read_toml(path: Path | str, kind: str = "TOML file") -> dict[str, Any]:
    """Read a TOML file whose tables nest at most 100 deep."""
    text = read_text(path, kind)
    try:
        content = tomllib.loads(text)
        require_shallow(content)
    except (ValueError, RecursionError) as error:  # ValueError: not TOML, or a number of over 4,300 digits
        raise ConfigError(f"{short(str(path))} is not TOML: {reason_of(error)}.") from None
    return content


def read_json(text: str, what: str) -> Any:
    """Read JSON whose lists and objects nest at most 100 deep; `what` names the text in the error."""
    try:
        content = json.loads(text.removeprefix("\ufeff"))
        require_shallow(content)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{what} is not JSON: {reason_of(error)}.") from None
    return content


def require_shallow(content: Any, depth: int = 0) -> None:
    """Raise RecursionError if lists and tables are nested too deeply."""
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(content, dict | list):
        for member in content.values() if isinstance(content, dict) else content:
            require_shallow(member, depth + 1)


def reason_of(error: Exception) -> str:
    """Describe a parsing error, without advice about the interpreter's settings."""
    if isinstance(error, RecursionError):
        return f"its lists and tables nest more than {MAX_DEPTH} deep"
    text = str(error).rstrip(".")
    return "a number in it has over 4,300 digits" if text.startswith("Exceeds the limit") else text


def is_text(text: str) -> bool:
    """Return whether a text has no NUL and no lone surrogate, so that it can be written as UTF-8."""
    return not re.search("[\0\ud800-\udfff]", text)
