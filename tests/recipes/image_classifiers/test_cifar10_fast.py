"""Tests of the CIFAR-10 recipe: its two training cycles and six test-time views."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from workbench.checkpoints.store import load_folder
from workbench.core.errors import Cancelled
from workbench.recipes.image_classifiers import cifar10_fast
from workbench.recipes.image_classifiers.cifar10_fast import RECIPE, SixViews, measure, second_cycle
from workbench.recipes.recipe import Recipe, make
from workbench.recipes.trainings.image_classifier import ImageClassification
from workbench.zoo.airbench import AirbenchConfig


class Corner(nn.Module):
    """The pixels of the four corners of each image, as logits."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]]


def test_the_views_are_the_image_and_both_diagonal_moves_each_with_its_mirror_image() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    # By hand, for the corners at the left: the image and its mirror image, then reflected moves by one pixel.
    top = (0 + 3) / 2 / 2 + (5 + 6) / 2 / 4 + (5 + 6) / 2 / 4
    bottom = (12 + 15) / 2 / 2 + (9 + 10) / 2 / 4 + (9 + 10) / 2 / 4
    assert SixViews(Corner())(image).tolist() == [[top, top, bottom, bottom]]


def test_views_of_an_image_without_detail_are_the_image() -> None:
    image = torch.full((2, 3, 8, 8), 0.7)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 5))
    torch.testing.assert_close(SixViews(model)(image), model(image))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """The recipe with few channels and steps, on small digits."""
    monkeypatch.setattr(cifar10_fast, "LEARNING", ImageClassification("half_mnist", batch_size=50, held_out=0.01))
    config = AirbenchConfig(in_channels=1, size=14, channels=(4, 4, 4))
    settings = {"steps": 5, "log_every": 1, "checkpoint_every": 1, "evaluate_every": 0, "dtype": "bfloat16"}
    return replace(RECIPE.with_settings(settings), config=config, targets={"six_views_accuracy": 0.05})


def test_the_second_cycle_is_half_as_long_and_begins_at_half_the_rate() -> None:
    first, second = RECIPE.training, second_cycle(RECIPE).training
    assert second == replace(first, steps=first.steps // 2, lr=first.lr / 2)


@pytest.mark.needs_data("half_mnist")
@pytest.mark.parametrize("stopped", [3, 2 + 5])
def test_both_cycles_make_one_curve_and_resume_where_they_were_stopped(
    small: Recipe, tmp_path: Path, stopped: int
) -> None:
    done = []

    def stop(step: int, _: int) -> None:
        done.append(step)
        if len(done) == stopped:
            raise Cancelled("enough")

    whole = make(small, tmp_path / "whole")
    with pytest.raises(Cancelled):
        make(small, tmp_path / "cut", stop)
    assert make(small, tmp_path / "cut").metrics == whole.metrics
    one, two = load_folder(tmp_path / "whole"), load_folder(tmp_path / "cut")
    loss = measure(small, one)["test_loss"]["value"]
    assert whole.metrics["test_loss"].value == pytest.approx(loss, rel=1e-7)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    curve = json.loads((tmp_path / "cut" / "curve.json").read_text())
    assert curve["step"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [curve["learning_rate"][i] for i in (0, 5)] == [RECIPE.training.lr, RECIPE.training.lr / 2]
    assert not list(tmp_path.rglob("*first_cycle*"))
