"""Files from the network: found on the machine when they are there, else fetched, resumed and checked."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

import pooch
import requests
from tqdm import tqdm

from workbench.core.errors import DataError
from workbench.data.storage import VARIABLE, candidates, file_hash, folders, writable_folder

ATTEMPTS = 3
TIMEOUT = (10.0, 30.0)  # seconds to connect, seconds without a byte
CHUNK = 1 << 16  # bytes
pooch.get_logger().setLevel("ERROR")


@dataclass(frozen=True)
class RemoteFile:
    """A public file: the name it has on this machine, its address, and its sha256.

    Without a sha256 the bytes cannot be checked: whoever asks for it checks the contents it gets out of it.
    """

    name: str
    url: str
    sha256: str | None = None


def fetch(file: RemoteFile) -> Path:
    """The file on this machine, with the right checksum; downloaded when no folder has it."""
    for path in candidates(file.name):
        if file.sha256 is None or file_hash(path) == file.sha256:
            return path
    folder = writable_folder()
    try:
        download = Resuming(folder / file.name)
        # pooch's type for a downloader names the arguments otherwise than its own downloaders do.
        return Path(pooch.retrieve(file.url, file.sha256, file.name, folder, downloader=download))  # pyrefly: ignore
    except (requests.RequestException, OSError) as reason:
        raise unreachable(file.name, file.url, reason) from reason
    except ValueError as reason:
        raise DataError(
            f"{file.url} sent something else than {file.name}: its sha256 is not {file.sha256}. It was thrown away. "
            f"Try again, or {by_hand(file.name)}."
        ) from reason


class Resuming:
    """A pooch downloader that keeps what it has got and asks the server for the rest.

    The bytes gather in `<target>.part`, which stays when the connection breaks: the next try, in this call or
    another day, goes on from there if the server can (HTTP ranges) and starts again if it cannot.
    """

    def __init__(self, target: Path) -> None:
        self.part = target.with_name(target.name + ".part")

    def __call__(self, url: str, output_file: str, pooch: object, check_only: bool = False) -> None:
        for left in reversed(range(ATTEMPTS)):
            try:
                self.fetch_rest(url)
                break
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError, requests.Timeout):
                if not left:
                    raise
        self.part.replace(output_file)

    def fetch_rest(self, url: str) -> None:
        """Adds the bytes that are missing to the part file."""
        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                # Nothing is left to send: the part is whole (the checksum tells) or not of this file.
                if response.headers.get("Content-Range") == f"bytes */{have}":
                    return
                self.part.unlink()
                return self.fetch_rest(url)
            response.raise_for_status()
            resumed = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            with self.part.open("ab" if resumed else "wb") as stream:
                copy(response, stream, have if resumed else 0, self.part.stem)


def copy(response: requests.Response, stream: BinaryIO, done: int, name: str) -> None:
    """Writes the body of a response, with a progress bar on a terminal."""
    length = response.headers.get("Content-Length")
    total = done + int(length) if length else None
    with tqdm(total=total, initial=done, desc=name, unit="B", unit_scale=True, disable=None) as bar:
        for chunk in response.iter_content(CHUNK):
            stream.write(chunk)
            bar.update(len(chunk))
    if total is not None and stream.tell() != total:
        raise requests.ConnectionError(f"{stream.tell()} of {total} bytes came")


def find(name: str, is_right: Callable[[Path], bool]) -> Path | None:
    """The first file called `name` whose contents are right, or None."""
    return next((path for path in candidates(name) if is_right(path)), None)


def missing(name: str, sha256: str, reason: str) -> NoReturn:
    """Raises the error for a file that has no public address."""
    raise DataError(f"{reason} You can {by_hand(name)} (sha256 {sha256}).{wrong_ones(name)}")


def unreachable(name: str, url: str, reason: Exception) -> DataError:
    """The error for a file that could not be downloaded."""
    why = f"{type(reason).__name__}: {reason}"
    return DataError(
        f"Could not download {name} from {url} ({why}). Go online and try again, or {by_hand(name)}.{wrong_ones(name)}"
    )


def by_hand(name: str) -> str:
    """What a user can do without the network."""
    return f"put {name} by hand into {folders()[-1]}, or into a folder that the environment variable {VARIABLE} names"


def wrong_ones(name: str) -> str:
    """A sentence about files of that name that were found and not used."""
    found = candidates(name)
    return f" Found but not used, for it has other contents: {', '.join(map(str, found))}." if found else ""
