"""Tests of image data: normalisation and content hash."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.data.images.image_data import ImageData, channel_statistics, content_hash


def colour_data(seed: int = 0, peak: int = 255) -> ImageData:
    rng = torch.Generator().manual_seed(seed)
    pixels = torch.randint(peak + 1, (20, 3, 4, 5), generator=rng).byte()
    mean, std = channel_statistics(pixels, peak)
    return ImageData(
        "colour", pixels, torch.arange(20), pixels[:2], torch.arange(2), ("a",), mean, std, "", "", "", peak=peak
    )


@given(seed=st.integers(0, 2**16), peak=st.sampled_from([16, 255]))
def test_training_inputs_have_mean_0_and_standard_deviation_1_per_channel(seed: int, peak: int) -> None:
    inputs = colour_data(seed, peak).train_inputs.double()
    torch.testing.assert_close(inputs.mean((0, 2, 3)), torch.zeros(3).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(inputs.std((0, 2, 3), unbiased=False), torch.ones(3).double(), atol=1e-5, rtol=0)


@given(seed=st.integers(0, 2**16))
def test_denormalize_undoes_normalize(seed: int) -> None:
    data = colour_data(seed)
    images = data.unit_range(data.train_pixels)
    torch.testing.assert_close(data.denormalize(data.normalize(images)), images)
    torch.testing.assert_close(data.normalize(images), data.train_inputs)
    torch.testing.assert_close(data.normalize(images[0]), data.train_inputs[0])


def test_pixels_are_left_as_they_were() -> None:
    data = colour_data()
    before = data.train_pixels.clone()
    assert data.train_inputs is data.train_inputs
    assert torch.equal(data.train_pixels, before)


def test_the_content_hash_sees_type_shape_and_values() -> None:
    array = np.arange(6, dtype=np.uint8)
    others = [array.astype(np.int64), array.reshape(2, 3), array[::-1]]
    assert len({content_hash([x]) for x in [array, *others]}) == 4
    assert content_hash([array[::-1]]) == content_hash([array[::-1].copy()])
