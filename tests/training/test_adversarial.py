"""Tests of adversarial losses in closed form, and of a generator that learns the mean of its data."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from workbench.core.errors import Cancelled, CheckpointError
from workbench.core.random import generator, seed_everything
from workbench.training.adversarial import discriminator_loss, generator_loss, train_gan
from workbench.training.fit import FitConfig
from workbench.training.resume import read_state


def verdict(*margins: float) -> torch.Tensor:
    """Logits whose margin (real minus generated) is given."""
    return torch.tensor([[0.5, 0.5 + margin] for margin in margins], dtype=torch.float64)


def test_an_undecided_discriminator_loses_log_2_and_so_does_its_generator() -> None:
    undecided = verdict(0.0, 0.0)
    assert float(discriminator_loss(undecided, undecided)) == pytest.approx(math.log(2))
    assert float(generator_loss(undecided)) == pytest.approx(math.log(2))


def test_losses_are_softplus_of_the_margins() -> None:
    real, made = verdict(2.0, -1.0), verdict(0.5)

    def softplus(x: float) -> float:
        return math.log1p(math.exp(x))

    told = ((softplus(-2.0) + softplus(1.0)) / 2 + softplus(0.5)) / 2
    assert float(discriminator_loss(real, made)) == pytest.approx(told)
    assert float(generator_loss(made)) == pytest.approx(softplus(-0.5))


def test_the_generator_loss_does_not_saturate() -> None:
    """Where the discriminator is sure, the gradient of log(1 - D) vanishes and that of -log D is 1."""
    margin = torch.tensor([-20.0], dtype=torch.float64, requires_grad=True)
    generator_loss(torch.stack([torch.zeros_like(margin), margin], dim=1)).backward()
    assert_close(margin.grad, torch.tensor([-1.0], dtype=torch.float64))


def networks() -> tuple[nn.Module, nn.Module]:
    seed_everything(0)
    return nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 16), nn.LeakyReLU(), nn.Dropout(0.1), nn.Linear(16, 2))


def images(step: int) -> torch.Tensor:
    return 3 + 0.5 * torch.randn(64, 1, generator=generator(1, "images", step))


def latents(step: int) -> torch.Tensor:
    return torch.randn(64, 1, generator=generator(1, "latents", step))


CFG = FitConfig(steps=400, optimizer="adam", lr=2e-2, betas=(0.5, 0.9), log_every=50, ema=0.95)


def test_a_linear_generator_finds_the_mean_of_its_data() -> None:
    made, judge = networks()
    curve = train_gan(made, judge, images, latents, CFG)
    assert made(torch.zeros(1, 1)).item() == pytest.approx(3.0, abs=0.4)
    assert curve.step == list(range(50, 401, 50))
    assert all(0 < loss < 2 for _, loss in curve.points("discriminator_loss"))
    assert not made.training and all(p.requires_grad for p in judge.parameters())


def test_an_interrupted_run_ends_where_a_whole_one_does(tmp_path: Path) -> None:
    cfg = FitConfig(steps=60, optimizer="adam", lr=1e-2, log_every=20, checkpoint_every=20)
    whole, judge = networks()
    train_gan(whole, judge, images, latents, cfg)

    def stop(step: int, total: int) -> None:
        if step == 33:
            raise Cancelled("enough")

    state = tmp_path / "state.safetensors"
    first, judge = networks()
    with pytest.raises(Cancelled):
        train_gan(first, judge, images, latents, cfg, checkpoint=state, progress=stop)
    second, judge = networks()
    train_gan(second, judge, images, latents, cfg, checkpoint=state)
    assert_close(second.state_dict(), whole.state_dict(), rtol=0, atol=0)


def test_both_networks_lie_in_one_state_so_that_no_kill_parts_them(tmp_path: Path) -> None:
    state = tmp_path / "state.safetensors"

    def stop(step: int, total: int) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        train_gan(*networks(), images, latents, CFG, checkpoint=state, progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == [state.name]
    facts = read_state(state).facts
    assert facts["generator"]["step"] == facts["discriminator"]["step"] == 1
    with pytest.raises(CheckpointError, match="belongs to a run with first_batch="):
        train_gan(*networks(), lambda step: images(step + 1), latents, CFG, checkpoint=state)
