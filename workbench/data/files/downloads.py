"""Public files: found on this machine, or downloaded with resumption and verified."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

import pooch
import requests
from tqdm import tqdm

from workbench.core.errors import DataError
from workbench.data.files.storage import VARIABLE, candidates, file_hash, folders, writable_folder

ATTEMPTS = 3
TIMEOUT = (10.0, 30.0)  # seconds to connect, and between two bytes
CHUNK = 1 << 16  # bytes
pooch.get_logger().setLevel("ERROR")


@dataclass(frozen=True)
class RemoteFile:
    """Public file: its local name, address and sha256.

    Without a sha256, the caller has to verify the contents.
    """

    name: str
    url: str
    sha256: str | None = None


def fetch(file: RemoteFile) -> Path:
    """Return a local path to the file, downloading it if no data folder has a copy with the right checksum.

    Raises:
        DataError: If the file cannot be downloaded or has another checksum.
    """
    for path in candidates(file.name):
        if file.sha256 is None or file_hash(path) == file.sha256:
            return path
    folder = writable_folder()
    try:
        download = ResumingDownloader(folder / file.name)
        # pooch's protocol for downloaders names the arguments differently from pooch's own downloaders.
        return Path(pooch.retrieve(file.url, file.sha256, file.name, folder, downloader=download))  # pyrefly: ignore
    except (requests.RequestException, OSError) as reason:
        raise download_error(file.name, file.url, reason) from reason
    except ValueError as reason:
        raise DataError(
            f"{file.url} did not send {file.name}: its sha256 is not {file.sha256}. The download was deleted. "
            f"Try again, or {manual_advice(file.name)}."
        ) from reason


class ResumingDownloader:
    """pooch downloader that resumes interrupted downloads.

    Bytes are collected in `<target>.part`, which is kept when the connection fails. A later attempt continues with an
    HTTP range request if the server supports it, and starts over otherwise.
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
        """Append the missing bytes to the part file."""
        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                # The part file is either complete (the checksum will tell) or of another file.
                if response.headers.get("Content-Range") == f"bytes */{have}":
                    return
                self.part.unlink()
                return self.fetch_rest(url)
            response.raise_for_status()
            resumed = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            with self.part.open("ab" if resumed else "wb") as stream:
                copy(response, stream, have if resumed else 0, self.part.stem)


def copy(response: requests.Response, stream: BinaryIO, done: int, name: str) -> None:
    """Write the body of a response to a file, with a progress bar if attached to a terminal."""
    length = response.headers.get("Content-Length")
    total = done + int(length) if length else None
    with tqdm(total=total, initial=done, desc=name, unit="B", unit_scale=True, disable=None) as bar:
        for chunk in response.iter_content(CHUNK):
            stream.write(chunk)
            bar.update(len(chunk))
    if total is not None and stream.tell() != total:
        raise requests.ConnectionError(f"received {stream.tell()} of {total} bytes")


def find(name: str, is_right: Callable[[Path], bool]) -> Path | None:
    """Return the first file called `name` for which `is_right` is true, or None."""
    return next((path for path in candidates(name) if is_right(path)), None)


def raise_missing(name: str, sha256: str, reason: str) -> NoReturn:
    """Raise the error for a file without a public address."""
    raise DataError(f"{reason} You can {manual_advice(name)} (sha256 {sha256}).{list_rejected(name)}")


def download_error(name: str, url: str, reason: Exception) -> DataError:
    """Return the error for a file that could not be downloaded."""
    why = f"{type(reason).__name__}: {reason}"
    return DataError(
        f"Could not download {name} from {url} ({why}). Connect to the internet and try again, or "
        f"{manual_advice(name)}.{list_rejected(name)}"
    )


def manual_advice(name: str) -> str:
    """Return the half-sentence that tells a user where to put a file."""
    return f"put {name} into {folders()[-1]} yourself, or into the folder in the environment variable {VARIABLE}"


def list_rejected(name: str) -> str:
    """Return a sentence that lists files of that name with other contents; empty if there are none."""
    found = candidates(name)
    return f" Found, but with other contents: {', '.join(map(str, found))}." if found else ""
