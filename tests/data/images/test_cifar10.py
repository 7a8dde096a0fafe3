"""Tests of CIFAR-10, read from its archive and from a decoded copy."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.data.conftest import Folders
from tests.data.loopback import Loopback, serving
from workbench.core.registry import DATASETS
from workbench.data.images import cifar10
from workbench.data.images.image_data import content_hash

COUNTS = {"train": 3, "test": 2}  # pictures of each class


def jpeg(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (32, 32), (shade, shade, shade)).save(stream, "JPEG")
    return stream.getvalue()


def shade(split: str, label: int, number: int) -> int:
    return 20 * label + 5 * number + (2 if split == "test" else 0)


def archive() -> bytes:
    """An archive laid out as GitHub's, its files in another order than the names'."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("CIFAR-10-images-1/README.md", "")
        for split, count in COUNTS.items():
            for label, name in reversed(list(enumerate(cifar10.CLASSES))):
                for number in reversed(range(count)):
                    path = f"CIFAR-10-images-1/{split}/{name}/{number:04}.jpg"
                    packed.writestr(path, jpeg(shade(split, label, number)))
    return stream.getvalue()


def expected_hash() -> str:
    arrays = []
    for split, count in COUNTS.items():
        files = [jpeg(shade(split, label, number)) for label in range(10) for number in range(count)]
        ends = np.cumsum([0] + [len(file) for file in files]).astype(np.int64)
        labels = np.repeat(np.arange(10), count).astype(np.uint8)
        arrays += [np.frombuffer(b"".join(files), np.uint8), ends, labels]
    return content_hash(arrays)


def test_the_archive_gives_shuffled_pictures_with_their_labels_and_a_decoded_copy(
    own_folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar10, "CONTENT", expected_hash())
    with serving(Loopback({"zip": archive()})) as server:
        monkeypatch.setattr(cifar10, "ARCHIVE", replace(cifar10.ARCHIVE, url=f"{server.url}/zip"))
        data = cifar10.cifar10()
    shades = data.train_pixels[:, 0, 0, 0].long()
    assert sorted(data.train_targets.tolist()) != data.train_targets.tolist()
    assert torch.equal(shades // 20, data.train_targets)
    assert torch.equal(data.test_pixels[:, 2, 31, 31] // 20, data.test_targets)
    assert {path.suffix for path in own_folders.named.iterdir()} == {".npz", ".npy", ".zip"}

    monkeypatch.setattr(cifar10, "decode", None)  # the second load does not decode
    assert torch.equal(cifar10.cifar10().train_pixels, data.train_pixels)


def test_a_decoded_copy_that_is_cut_short_is_made_again(own_folders: Folders) -> None:
    files = [jpeg(10), jpeg(20)]
    arrays = {
        "train_jpeg": np.frombuffer(b"".join(files), np.uint8),
        "train_offsets": np.cumsum([0] + [len(file) for file in files]),
        "train_labels": np.zeros(2, np.uint8),
    }
    first = cifar10.load_pixels("train", arrays)
    (path,) = own_folders.named.iterdir()
    path.write_bytes(path.read_bytes()[:1000])
    assert torch.equal(cifar10.load_pixels("train", arrays), first)


@pytest.mark.slow
@pytest.mark.needs_data("cifar10")
def test_cifar10_is_whole_shuffled_and_says_that_it_is_a_jpeg_copy() -> None:
    data = DATASETS["cifar10"]()
    assert (data.train_pixels.shape, data.test_pixels.shape) == ((50_000, 3, 32, 32), (10_000, 3, 32, 32))
    assert torch.bincount(data.train_targets).tolist() == [5000] * 10
    assert torch.bincount(data.train_targets[:5000]).min() > 400
    assert data.mean == pytest.approx([0.491, 0.482, 0.447], abs=2e-3)  # the usual figures of the lossless images
    assert "not comparable" in data.note
