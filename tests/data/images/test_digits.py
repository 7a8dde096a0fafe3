"""Tests of the bundled digits and their split."""

import torch

from workbench.core.registry import DATASETS


def test_digits_are_64_features_in_0_to_1_and_need_no_file() -> None:
    data = DATASETS["digits"]()
    assert data.shape == (64,)
    assert data.train_inputs.min() == 0
    assert data.train_inputs.max() == 1
    assert len(data.train_inputs) + len(data.test_inputs) == 1797


def test_the_split_is_fixed_and_has_every_class_alike() -> None:
    one, other = DATASETS["digits"](), DATASETS["digits"]()
    assert torch.equal(one.test_pixels, other.test_pixels)
    share = torch.bincount(one.test_targets) / torch.bincount(torch.cat([one.train_targets, one.test_targets]))
    assert share.sub(0.2).abs().max() < 0.01


def test_no_digit_is_in_both_parts() -> None:
    from sklearn.datasets import load_digits

    data = DATASETS["digits"]()
    rows = torch.cat([data.train_pixels, data.test_pixels]).tolist()
    assert sorted(rows) == sorted(load_digits().data.astype(int).tolist())
