"""Study of `mnist_cnn`: the stroke that turns a 1 into a 7, drawn by hand and found by its channels."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.conftest import missing_data
from workbench.analysis.circuits.node_effects import node_effects
from workbench.analysis.circuits.tracing import CircuitConfig
from workbench.analysis.circuits.verification import VerifyConfig, verify_circuit
from workbench.checkpoints.store import load
from workbench.core.hooked import HookedModel
from workbench.core.metrics import LogitDifference
from workbench.core.registry import DATASETS
from workbench.data.images.image_data import ImageData

pytestmark = pytest.mark.skipif(bool(missing_data("mnist")), reason="needs MNIST")
INK, LENGTH, WIDTH = 253, 9, 3


@pytest.fixture(scope="module")
def data() -> ImageData:
    return DATASETS["mnist"]()


@pytest.fixture(scope="module")
def model() -> HookedModel:
    return load("mnist_cnn")


@pytest.fixture(scope="module")
def ones(data: ImageData) -> Tensor:
    return data.test_pixels[(data.test_targets == 1).nonzero().flatten()[:200]]


def painted(ones: Tensor, upright: bool = False) -> Tensor:
    """The same digits with a stroke that begins at their upper end: to the left, or as long and upright beside it."""
    strokes = ones.clone()
    for image in strokes[:, 0]:
        rows, columns = (image > 100).nonzero(as_tuple=True)
        top = int(rows.min())
        left = int(columns[rows <= top + 1].min())
        beside = max(0, left - 5)
        if upright:
            image[top : top + LENGTH, beside : beside + WIDTH] = INK
        else:
            image[top : top + WIDTH, max(0, left - LENGTH) : left + 2] = INK
    return strokes


@torch.no_grad()
def called(model: HookedModel, data: ImageData, pixels: Tensor, digit: int) -> float:
    """The share of images that the network takes for a digit."""
    return float((model(data.inputs_from(pixels)).argmax(dim=1) == digit).float().mean())


@torch.no_grad()
def orientation(model: HookedModel, data: ImageData) -> Tensor:
    """For each channel of the first block, the angle in degrees of the line it answers most: 0 level, 90 upright."""
    angles = torch.arange(8) * math.pi / 8
    y, x = torch.meshgrid(torch.arange(28) - 14, torch.arange(28) - 14, indexing="ij")
    lines = torch.stack([(1.5 - (x * a.sin() + y * a.cos()).abs()).clamp(0, 1) for a in angles])[:, None]
    images = (lines - data.mean[0]) / data.std[0]
    answers = model.cache(images, ["blocks.0.hook_post"])["blocks.0.hook_post"][:, :, 9:19, 9:19].amax(dim=(2, 3))
    doubled = (answers * torch.exp(2j * angles)[:, None]).sum(dim=0)  # a line turned by 180 degrees is the same
    return (doubled.angle() / 2).rad2deg() % 180


def test_a_level_stroke_makes_sevens_of_ones_and_an_upright_one_seldom(
    model: HookedModel, data: ImageData, ones: Tensor
) -> None:
    assert called(model, data, ones, 1) > 0.98
    assert called(model, data, painted(ones), 7) > 0.95
    assert called(model, data, painted(ones, upright=True), 7) < 0.4


def test_channels_that_see_level_lines_carry_it_and_those_for_upright_lines_do_not(
    model: HookedModel, data: ImageData, ones: Tensor
) -> None:
    some = ones[:64]
    clean, corrupted = (data.inputs_from(pixels) for pixels in (painted(some), some))
    metric = LogitDifference(torch.full((64,), 7), torch.full((64,), 1))
    found = node_effects(model, clean, corrupted, metric)
    effect = torch.stack(
        [x.mean() for name, x in zip(found.nodes, found.effect, strict=True) if name.startswith("blocks.0.hook_pooled")]
    )
    angle = orientation(model, data)
    level, upright = (angle < 30) | (angle > 150), (angle - 90).abs() < 30
    assert level.sum() > 5 and upright.sum() > 5
    assert -effect[level].mean() > 5 * effect[upright].mean().abs()
    assert level[effect.argmin()]


@pytest.mark.slow
def test_few_edges_carry_it_and_without_them_nothing_of_it_is_left(
    model: HookedModel, data: ImageData, ones: Tensor
) -> None:
    some = ones[:32]
    clean, corrupted = (data.inputs_from(pixels) for pixels in (painted(some), some))
    metric = LogitDifference(torch.full((32,), 7), torch.full((32,), 1))
    check = VerifyConfig(size=450, controls=3, resamples=2, sampled=8)
    found = verify_circuit(model, clean, corrupted, metric, CircuitConfig(), check)
    assert found.live < 0.06 * found.n_edges
    assert found.faithfulness > 0.5 and abs(found.complement) < 0.1 and found.random.max() < 0.05
