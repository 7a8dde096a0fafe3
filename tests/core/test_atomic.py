"""Tests of atomic writes, interrupted at every step and on full or read-only disks."""

import errno
import os
import random
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.core.atomic import NEXT, finish_replacing, lock_folder, replace_together, write_atomically
from workbench.core.errors import CheckpointError


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def killed_while(work: Callable[[], None], seconds: float) -> None:
    """Repeats `work` in a process that is killed some time after it was through once."""
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            while True:
                work()
                os.write(tell, b"!")
        finally:
            os._exit(1)
    os.close(tell)
    assert os.read(ready, 1), "the work failed"
    time.sleep(seconds)
    os.close(ready)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_content_arrives_whole_in_folders_that_did_not_exist(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "b" / "file", b"new")
    assert everything_in(tmp_path) == {"a/b/file": b"new"}


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_bytes() == b"new"


def test_a_pipe_is_written_into_and_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="Cannot write .*pipe"):
        write_atomically(tmp_path / "pipe", b"nobody reads this")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(tmp_path / "pipe", b"new")
    assert os.read(reader, 100) == b"new" and not (tmp_path / "pipe").is_file()
    os.close(reader)


@pytest.mark.parametrize("name", ["", ".", "..", "a\0b", "a" * 300])
def test_a_name_that_no_file_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="Cannot write"):
        write_atomically(Path(name) if name == "." else tmp_path / name, b"new")


def test_content_arrives_whole_when_the_system_takes_it_in_small_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    write_atomically(tmp_path / "file", bytes(range(256)))
    assert (tmp_path / "file").read_bytes() == bytes(range(256))


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o027, 0o640)])
def test_the_mode_is_0644_less_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("call", ["write", "fsync", "open"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.EFBIG])
def test_a_refusal_anywhere_is_one_clear_error_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(CheckpointError, match=r"Cannot write .*file: .*hoose another folder.*unchanged"):
            write_atomically(path, b"new content")
    assert everything_in(tmp_path) == {"file": b"old"}


def test_a_full_disk_is_named_with_the_room_it_has_and_the_room_it_needs(mount: Callable[[str], Path]) -> None:
    disk = mount("size=64k")
    write_atomically(disk / "file", b"old")
    with pytest.raises(CheckpointError, match=r"file: 1\.0 MB are needed and 0\.06\d MB are free"):
        write_atomically(disk / "file", bytes(1_000_000))
    assert everything_in(disk) == {"file": b"old"}


def test_a_read_only_folder_is_named(mount: Callable[[str], Path]) -> None:
    disk = mount("ro,size=64k")
    with pytest.raises(CheckpointError, match=rf"folder {disk} is read-only"):
        write_atomically(disk / "file", b"new")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_moment_the_old_or_the_new_file_is_whole(tmp_path: Path) -> None:
    path, contents = tmp_path / "file", [bytes([i]) * 300_000 for i in range(3)]
    write_atomically(path, contents[0])

    def overwrite() -> None:
        for content in contents:
            write_atomically(path, content)

    for trial in range(15):
        killed_while(overwrite, random.Random(trial).uniform(0.0, 0.04))
        assert path.read_bytes() in contents


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_moment_files_that_change_together_are_all_old_or_all_new(tmp_path: Path) -> None:
    versions = [{name: f"{name}{i}".encode() * 5_000 for name in ("weights", "curve", "card")} for i in range(4)]
    with lock_folder(tmp_path):
        replace_together(tmp_path, versions[0])

    def overwrite() -> None:
        for version in versions:
            with lock_folder(tmp_path):
                replace_together(tmp_path, version)

    for trial in range(15):
        killed_while(overwrite, random.Random(trial).uniform(0.0, 0.04))
        with lock_folder(tmp_path):
            finish_replacing(tmp_path, seal="card")
        assert everything_in(tmp_path) in versions


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_change_that_was_decided_is_completed_after_each_possible_interruption(tmp_path: Path, moved: int) -> None:
    names = ("weights", "curve", "card")
    for name in names:
        write_atomically(tmp_path / name, b"old")
        write_atomically(tmp_path / NEXT / name, b"new")
    for name in names[:moved]:
        (tmp_path / NEXT / name).replace(tmp_path / name)
    finish_replacing(tmp_path, seal="card")
    assert everything_in(tmp_path) == dict.fromkeys(names, b"new")


def test_a_change_that_was_not_decided_leaves_no_trace(tmp_path: Path) -> None:
    write_atomically(tmp_path / "card", b"old")
    write_atomically(tmp_path / NEXT / "weights", b"new")
    finish_replacing(tmp_path, seal="card")
    assert everything_in(tmp_path) == {"card": b"old"}
    assert not (tmp_path / NEXT).exists()


def test_a_full_disk_in_the_middle_of_a_joint_change_leaves_all_files_old(mount: Callable[[str], Path]) -> None:
    disk = mount("size=64k")
    old = {"weights": b"old weights", "card": b"old card"}
    replace_together(disk, old)
    with pytest.raises(CheckpointError, match=r"card: 0\.1 MB are needed"):
        replace_together(disk, {"weights": b"small", "card": bytes(100_000)})
    assert everything_in(disk) == old


def test_the_folder_is_flushed_after_the_new_file_has_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    flushed: list[bool] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        flushed.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        assert not flushed[-1] or (tmp_path / "file").read_bytes() == b"new"
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    write_atomically(tmp_path / "file", b"new")
    assert flushed == [False, True]
