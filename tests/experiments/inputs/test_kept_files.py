"""Tests of kept picture files: names by content, expiry, and refusal of other files."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from workbench.core.errors import InputError
from workbench.experiments.inputs import kept_files
from workbench.experiments.inputs.given_tensors import keep_tensors
from workbench.experiments.inputs.kept_files import DAYS, clean, folder, keep, locate_file, require_kept
from workbench.experiments.inputs.reading import identity, read_inputs
from workbench.experiments.run import loaded


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))


def png(grey: int) -> bytes:
    Image.new("L", (8, 8), grey).save(stream := io.BytesIO(), "PNG")
    return stream.getvalue()


def test_the_same_picture_is_kept_once_under_a_name_without_a_path() -> None:
    assert keep(png(9)) == keep(png(9)) != keep(png(8))
    assert len(list(folder().iterdir())) == 2 and "/" not in keep(png(9))


def test_a_kept_picture_is_read_by_its_name_anywhere() -> None:
    name = keep(png(200))
    batch = read_inputs(f"file:{name}", loaded("digits_mlp"))
    assert batch.inputs.shape == (1, 64) and float(batch.inputs.max()) == pytest.approx(200 / 255)
    assert identity(f"file:{name}") == identity(f"file:{folder() / name}")


def test_pictures_that_nobody_used_for_long_are_deleted_and_their_links_say_so() -> None:
    old, used = keep(png(1)), keep(png(2))
    past = time.time() - (DAYS + 1) * 24 * 3600
    for name in (old, used):
        os.utime(folder() / name, (past, past))
    locate_file(used)
    clean()
    assert not (folder() / old).exists() and (folder() / used).exists()
    with pytest.raises(InputError, match=f"kept for {DAYS} days. Upload it again"):
        read_inputs(f"file:{old}", loaded("digits_mlp"))


def test_the_oldest_pictures_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [keep(png(grey)) for grey in range(4)]
    for age, name in enumerate(reversed(names)):
        os.utime(folder() / name, (time.time() - age, time.time() - age))
    monkeypatch.setattr(kept_files, "ROOM", 2 * len(png(0)) + 10)
    clean()
    assert sorted(path.name for path in folder().iterdir()) == sorted(names[2:])


def test_a_link_opens_kept_files_and_nothing_else(tmp_path: Path) -> None:
    name = keep(png(5))
    (tmp_path / "secret.png").write_bytes(png(6))
    (folder() / "link.png").symlink_to(tmp_path / "secret.png")
    require_kept("", "test:0:16", "text:file:/etc/passwd", f"file:{name}", f"fitted:{folder() / name}||{name}")
    for path in (
        "/etc/passwd", str(tmp_path / "secret.png"), f"{folder()}/../../secret.png", f"{folder()}/link.png", "~/a.png",
        "0123456789abcdef.png", f"{name}||/etc/passwd", "a" * 5000, f"{folder()}",
    ):  # fmt: skip
        for source in ("file", "fitted"):
            with pytest.raises(InputError, match="no other file of its server") as refused:
                require_kept(f"{source}:{path}")
            assert str(tmp_path) not in str(refused.value)
    for rows in ("/etc/passwd.csv", f"{tmp_path}/secret.npz:0:3"):
        with pytest.raises(InputError, match="no other file of its server"):
            require_kept(f"rows:{rows}")


def test_a_link_opens_no_file_of_arrays_but_a_kept_one(workspace: Path) -> None:
    (workspace / "mine.npz").write_bytes(b"PK")
    for path in ("mine.npz", str(workspace / "mine.npz"), "0123456789abcdef.safetensors"):
        with pytest.raises(InputError, match="no other file"):
            require_kept(f"tensors:{path}")
    require_kept(keep_tensors(torch.eye(2), "inputs"))
