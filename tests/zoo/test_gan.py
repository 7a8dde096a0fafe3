"""Tests of the discriminator's noise: its size in training, and its absence in evaluation."""

from __future__ import annotations

import torch

from workbench.zoo.gan import GAN, GANConfig


def test_training_shows_the_discriminator_noisy_pixels_and_evaluation_the_image_itself() -> None:
    quiet, noisy = (GAN(GANConfig(size=8, channels=(4,), dropout=0.0, noise=noise)) for noise in (0.0, 0.5))
    noisy.load_state_dict(quiet.state_dict())
    images, seen = torch.rand(64, 1, 8, 8), []
    noisy.discriminator.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        assert torch.equal(quiet.eval().discriminator(images), noisy.eval().discriminator(images))
        noisy.train().discriminator(images)
    assert torch.equal(seen[0], images)
    added = seen[1] - images
    assert abs(float(added.std()) - 0.5) < 0.03 and abs(float(added.mean())) < 0.03
