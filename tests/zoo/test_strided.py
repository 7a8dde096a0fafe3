"""Tests of layers that halve or double images: sizes and transports."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from tests.zoo.small import example, small
from workbench.core.errors import ConfigError
from workbench.zoo.layers.strided import ProjectAndReshape, StridedBlock, downsample, upsample
from workbench.zoo.vae import VAEConfig

LAYERS = {
    "down": (downsample(2, 3), (2, 8, 8), (3, 4, 4)),
    "down with a norm": (downsample(2, 3, norm=True, slope=0.2), (2, 8, 8), (3, 4, 4)),
    "up": (upsample(2, 3), (2, 4, 4), (3, 8, 8)),
    "up with a norm": (upsample(2, 3, norm=True), (2, 4, 4), (3, 8, 8)),
    "spread": (ProjectAndReshape(5, 3, 4), (5,), (3, 4, 4)),
    "spread with a norm": (ProjectAndReshape(5, 3, 4, norm=True), (5,), (3, 4, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_constant_and_transport_make_up_the_linear_part(name: str) -> None:
    layer, read, written = LAYERS[name]
    layer = layer.double().eval()
    if layer.norm is not None:
        layer.norm.running_mean.uniform_(-1, 1)
        layer.norm.running_var.uniform_(0.5, 2)
        layer.norm.bias.uniform_(-1, 1)
    x = torch.randn(4, *read, dtype=torch.float64)
    before = layer.apply_linear(x) if layer.norm is None else layer.norm(layer.apply_linear(x))
    mask = torch.ones(read[0], written[0], dtype=torch.float64)
    assert_close(layer.carry(x, mask) + layer.constant(), before)
    assert layer(x).shape == (4, *written)
    single = torch.zeros_like(mask)
    single[1, 2] = 1
    alone = layer.carry(x, single)
    assert not alone[:, :2].any() and alone[:, 2].any()
    others = x.clone()
    others[:, 0] += 1
    assert_close(layer.carry(others, single), alone)


def test_negative_values_keep_the_slope() -> None:
    layer: StridedBlock = downsample(1, 1, slope=0.25)
    torch.nn.init.constant_(layer.linear.weight, -1.0)
    torch.nn.init.zeros_(layer.linear.bias)
    assert_close(layer(torch.ones(1, 1, 4, 4)).amin(), torch.tensor(-9 / 4))


@torch.no_grad()
def test_every_activation_of_a_vae_is_what_its_layers_make() -> None:
    model = small("vae")
    x = example(model)
    c, output = model.cache(x), model(x)
    for i, block in enumerate(model.encoder.blocks):
        assert_close(c[f"encoder.blocks.{i}.hook_pre"], block.linear(x))
        x = c[f"encoder.blocks.{i}.hook_pre"].relu()
        assert_close(c[f"encoder.blocks.{i}.hook_post"], x)
    assert_close(c["encoder.hook_mean"], model.encoder.mean(x.flatten(1)))
    assert_close(c["encoder.hook_log_variance"], model.encoder.log_variance(x.flatten(1)))
    assert_close(c["hook_latent"], c["encoder.hook_mean"])
    assert_close(output.mean, c["encoder.hook_mean"])
    x = model.decoder.project.linear(c["hook_latent"]).reshape(2, 4, 2, 2)
    assert_close(c["decoder.project.hook_pre"], x)
    for i, block in enumerate(model.decoder.blocks):
        x = block.linear(x.relu())
        assert_close(c[f"decoder.blocks.{i}.hook_pre"], x)
    assert_close(c["decoder.hook_out"], model.decoder.readout(x.relu()))
    assert_close(c["decoder.hook_image"], c["decoder.hook_out"].sigmoid())
    assert_close(output.logits, c["decoder.hook_out"].flatten(1))


def test_a_size_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be halved 3 times"):
        VAEConfig(size=28, channels=(4, 4, 4))
