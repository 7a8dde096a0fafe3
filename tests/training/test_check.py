"""Tests of the checks before training, on sound and broken networks."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from workbench import figure, table
from workbench.figures.alt import describe
from workbench.training.check import check_training
from workbench.training.fit_config import FitConfig
from workbench.training.sanity import Lesson
from workbench.training.supervised import least_loss, smoothed_cross_entropy
from workbench.zoo.mlp import MLPClassifier, MLPConfig


def lesson() -> Lesson:
    draw = torch.Generator().manual_seed(0)
    batch = torch.rand(16, 6, generator=draw), torch.randint(3, (16,), generator=draw)
    return Lesson(lambda step: batch, cross_entropy)


def network(width: int = 32) -> MLPClassifier:
    torch.manual_seed(0)
    return MLPClassifier(MLPConfig(n_features=6, hidden=(width,), n_classes=3))


def test_a_sound_network_learns_one_batch_and_every_gradient_reaches_its_weight() -> None:
    found = check_training("mine", network(), lesson(), FitConfig(lr=0.02), steps=150)
    assert found.learned and not found.idle
    assert found.first == pytest.approx(found.chance, abs=0.2)
    assert found.weights[0].name == "blocks.0.linear.weight"
    assert [h.name for h in found.hooks] == [
        "hook_input",
        "blocks.0.hook_pre",
        "blocks.0.hook_post",
        "readout.hook_logits",
    ]
    assert 0 < found.hooks[2].zero_share < 1 and found.hooks[1].zero_share == 0
    assert len(figure(found).data) >= 3 and len(table(found)) == 4 and "can overfit one batch" in describe(found)


def test_a_network_of_zeros_is_found_out() -> None:
    model = network()
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    found = check_training("dead", model, lesson(), FitConfig(optimizer="sgd", lr=0.1), steps=20)
    assert not found.learned and "blocks.0.linear.weight" in found.idle
    assert "cannot overfit" in describe(found) and "No gradient reaches blocks.0.linear.weight" in describe(found)


def test_the_check_leaves_schedule_averages_and_decay_aside() -> None:
    cfg = FitConfig(steps=7, schedule="one_cycle", ema=0.9, weight_decay=0.5, keep_steps=(3,), accumulate=3)
    assert check_training("mine", network(), lesson(), cfg, steps=5).curve.series["learning_rate"][-1] == cfg.lr


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_the_least_loss_is_that_of_the_smoothed_target_itself(smoothing: float) -> None:
    shares = torch.full((4,), smoothing / 4)
    shares[2] += 1 - smoothing
    logits = shares.clamp_min(1e-30).log()[None]
    best = smoothed_cross_entropy(smoothing)(logits, torch.tensor([2])).item()
    assert least_loss(smoothing, 4) == pytest.approx(best, abs=1e-6)
