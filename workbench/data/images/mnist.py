"""MNIST: 70,000 handwritten digits, 28x28."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.core.registry import DATASETS
from workbench.data.files.arrays import Arrays, read_arrays
from workbench.data.files.downloads import RemoteFile
from workbench.data.images.image_data import ImageData, channel_statistics

MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist"
IDX_FILES = {
    "train_images": "train-images-idx3-ubyte.gz",
    "train_labels": "train-labels-idx1-ubyte.gz",
    "test_images": "t10k-images-idx3-ubyte.gz",
    "test_labels": "t10k-labels-idx1-ubyte.gz",
}
CONTENT = "52cd6c10ae77107af32269dd9d10ca19c1b749e83235a0c75e2f0729ebeaf141"


@DATASETS.register("mnist")
def mnist() -> ImageData:
    """60,000 training and 10,000 test digits in grey, in the order of the original files."""
    files = [RemoteFile(name, f"{MIRROR}/{name}") for name in IDX_FILES.values()]
    arrays = read_arrays("mnist.npz", tuple(IDX_FILES), CONTENT, files, read_idx_files)
    train = torch.from_numpy(arrays["train_images"]).unsqueeze(1)  # one channel
    mean, std = channel_statistics(train)
    return ImageData(
        name="mnist",
        train_pixels=train,
        train_targets=torch.from_numpy(arrays["train_labels"]).long(),
        test_pixels=torch.from_numpy(arrays["test_images"]).unsqueeze(1),
        test_targets=torch.from_numpy(arrays["test_labels"]).long(),
        class_names=tuple("0123456789"),
        mean=mean,
        std=std,
        licence="CC BY-SA 3.0 (Y. LeCun, C. Cortes, C. J. C. Burges)",
        source=MIRROR,
        sha256=CONTENT,
    )


def read_idx_files(paths: Sequence[Path]) -> Arrays:
    """Read the four original files."""
    return {key: read_idx(gzip.decompress(path.read_bytes())) for key, path in zip(IDX_FILES, paths, strict=True)}


def read_idx(content: bytes) -> NDArray[np.uint8]:
    """Parse an idx file of bytes: two zeros, type 8, rank, sizes (big-endian), values."""
    if content[:3] != b"\0\0\x08":
        raise ValueError("not an idx file of bytes")
    rank = content[3]
    shape = tuple(int(size) for size in np.frombuffer(content, ">i4", count=rank, offset=4))
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape).copy()
