"""Tests of traversals on networks with a known response."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from tests.zoo.small import SMALL, example, small
from workbench.analysis.generative.traversal import traverse
from workbench.core.axes import unit_axis
from workbench.core.errors import ConfigError, InputError, UnknownNameError, WorkbenchError
from workbench.zoo.mlp import MLPClassifier, MLPConfig


def test_a_linear_network_answers_in_proportion_to_the_move() -> None:
    torch.manual_seed(0)
    model = MLPClassifier(MLPConfig(n_features=4, hidden=(), n_classes=3)).eval()
    x = model.example(6)
    result = traverse(model, x, "hook_input", reach=2.0, steps=5)
    weight, spread = model.readout.linear.weight.detach(), x.std(dim=0, correction=0)
    assert_close(result.offset, torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]))
    assert_close(result.value, (x.mean(dim=0) + result.offset[:, None] * spread).T)
    expected = spread[:, None, None] * result.offset[:, None] * weight.T[:, None]
    assert_close(result.response - result.response[:, 2:3], expected, rtol=1e-4, atol=1e-6)
    assert_close(result.distance, expected.norm(dim=2), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", SMALL)
@torch.no_grad()
def test_a_response_is_what_the_network_gives_when_the_unit_is_set_by_hand(name: str) -> None:
    model = small(name)
    inputs = example(model, 3)
    hooks = [i for i in model.trace(inputs).values() if unit_axis(i.axes) and not i.on_request]
    info = hooks[len(hooks) // 2]
    dim, axis = info.axes.index(unit_axis(info.axes)), unit_axis(info.axes)
    result = traverse(model, inputs, info.name, units=(1,), steps=3)
    x = model.cache(inputs, info.name)[info.name].select(dim, 1)
    value = x.mean(dim=0) + 3 * x.std(dim=0, correction=0)

    def by_hand(y: torch.Tensor, hook: object) -> torch.Tensor:
        y = y.clone()
        y.select(dim, 1)[:] = value
        return y

    assert result.axis == axis and result.units == (1,)
    seen: list[torch.Tensor] = []
    model.run_with_hooks(inputs, [(info.name, by_hand), (result.seen, lambda y, hook: seen.append(y.clone()))])
    assert_close(result.response[0, 2], seen[0][0], rtol=1e-8, atol=1e-8)


def test_what_makes_images_is_looked_at_there() -> None:
    assert traverse(small("vae"), example(small("vae"), 3), "hook_latent").seen == "decoder.hook_image"
    result = traverse(small("gan"), example(small("gan"), 3), "hook_input", steps=2)
    assert result.seen == "generator.hook_image" and result.response.shape == (4, 2, 2, 8, 8)
    assert traverse(small("gan"), example(small("gan"), 3), "discriminator.blocks.0.hook_post").seen.endswith("logits")


def test_a_traversal_that_cannot_be_is_refused() -> None:
    model = small("vae")
    inputs = example(model, 3)
    with pytest.raises(InputError, match="at least 2"):
        traverse(model, inputs[:1], "hook_latent")
    with pytest.raises(ConfigError, match="'steps' of traverse.* of 2 or more, not 1"):
        traverse(model, inputs, "hook_latent", steps=1)
    with pytest.raises(UnknownNameError, match="from hook_latent on"):
        traverse(model, inputs, "hook_latent", seen="hook_input")
    with pytest.raises(InputError, match="matches . hooks"):
        traverse(model, inputs, "encoder.*")
    with pytest.raises(UnknownNameError, match="hook_latent"):
        traverse(model, inputs, "hook_latnet")
    with pytest.raises(WorkbenchError, match="out of range"):
        traverse(model, inputs, "hook_latent", units=(3,))
