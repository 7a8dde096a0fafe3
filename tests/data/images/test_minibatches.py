"""Tests of minibatches: order, seeds, targets and augmentation."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.data.images.test_image_data import colour_data
from workbench.core.errors import ConfigError
from workbench.data.images.augmentation import crop_and_flip
from workbench.data.images.minibatches import minibatches


def test_an_epoch_shows_every_picture_once_and_the_next_in_another_order() -> None:
    batch = minibatches(colour_data(), 5, seed=0)
    epochs = [torch.cat([batch(step)[1] for step in range(e * 4, e * 4 + 4)]) for e in range(2)]
    assert [epoch.sort().values.tolist() for epoch in epochs] == [list(range(20))] * 2
    assert not torch.equal(*epochs)


@given(steps=st.lists(st.integers(0, 40), min_size=1, max_size=6), seed=st.integers(0, 2**16))
def test_a_batch_depends_on_seed_and_step_alone(steps: list[int], seed: int) -> None:
    data = colour_data()
    one = minibatches(data, 3, seed, lambda x, g: crop_and_flip(x, g, padding=2))
    for step in steps:
        other = minibatches(data, 3, seed, lambda x, g: crop_and_flip(x, g, padding=2))
        for a, b in zip(one(step), other(step), strict=True):
            assert torch.equal(a, b)


def test_pictures_keep_their_targets() -> None:
    data = colour_data()
    inputs, targets = minibatches(data, 7, seed=1)(3)
    torch.testing.assert_close(inputs, data.train_inputs[targets])  # in this data set the target is the row


def test_augmentation_sees_images_in_0_to_1_before_they_are_normalised() -> None:
    seen = []
    minibatches(colour_data(), 20, seed=0, augment=lambda x, g: seen.append(x) or x)(0)
    assert 0 <= seen[0].min() <= seen[0].max() <= 1


def test_two_epochs_show_both_sides_of_every_picture() -> None:
    data = colour_data()
    batch = minibatches(data, 20, seed=0, alternate=True)
    (one, order), (two, other) = (batch(epoch) for epoch in range(2))
    one, two = one[order.argsort()], two[other.argsort()]  # in this data set the target is the row
    assert torch.equal(one, two.flip(-1))
    plain = (one == data.train_inputs).flatten(1).all(1)
    assert 0 < plain.sum() < len(plain)


@pytest.mark.parametrize("batch_size", [0, 21])
def test_a_batch_size_that_does_not_fit_is_refused(batch_size: int) -> None:
    with pytest.raises(ConfigError, match="Choose 1 to 20"):
        minibatches(colour_data(), batch_size, seed=0)
