"""Tests of MNIST, read from its original files."""

import gzip

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.data.conftest import Folders
from tests.data.loopback import Loopback, serving
from workbench.core.errors import DataError
from workbench.core.registry import DATASETS
from workbench.data.images import mnist
from workbench.data.images.image_data import content_hash


def idx(array: NDArray[np.uint8]) -> bytes:
    """The idx format, as its definition has it."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return b"\x00\x00\x08" + bytes([array.ndim]) + sizes + array.tobytes()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, NDArray[np.uint8]]:
    """Five random pictures in the place of MNIST."""
    rng = np.random.default_rng(0)
    shapes = {"train_images": (3, 28, 28), "train_labels": (3,), "test_images": (2, 28, 28), "test_labels": (2,)}
    arrays = {key: rng.integers(0, 10, shape).astype(np.uint8) for key, shape in shapes.items()}
    monkeypatch.setattr(mnist, "CONTENT", content_hash(arrays.values()))
    return arrays


def test_the_original_files_give_the_arrays(
    own_folders: Folders, small: dict[str, NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {mnist.IDX_FILES[key]: gzip.compress(idx(array)) for key, array in small.items()}
    with serving(Loopback(files)) as server:
        monkeypatch.setattr(mnist, "MIRROR", server.url)
        data = mnist.mnist()
    assert np.array_equal(data.train_pixels[:, 0].numpy(), small["train_images"])
    assert np.array_equal(data.test_targets.numpy(), small["test_labels"])
    assert (own_folders.named / "mnist.npz").exists()


def test_a_file_of_another_kind_is_an_error_that_names_it(
    own_folders: Folders, small: dict[str, NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = dict.fromkeys(mnist.IDX_FILES.values(), gzip.compress(b"<html>"))
    with serving(Loopback(files)) as server:
        monkeypatch.setattr(mnist, "MIRROR", server.url)
        with pytest.raises(DataError, match=r"not an idx file of bytes.*Delete .*train-images"):
            mnist.mnist()


@pytest.mark.needs_data("mnist")
def test_mnist_is_whole_and_normalised_by_its_training_set() -> None:
    data = DATASETS["mnist"]()
    assert (len(data.train_targets), len(data.test_targets), data.shape) == (60_000, 10_000, (1, 28, 28))
    assert data.mean == pytest.approx([0.1307], abs=1e-4)  # the usual figures
    assert data.std == pytest.approx([0.3081], abs=1e-4)
    assert data.train_targets[:5].tolist() == [5, 0, 4, 1, 9]
