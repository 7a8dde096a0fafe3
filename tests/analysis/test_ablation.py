"""Tests of ablation by zero, mean and resampling, in closed form and against plain hooks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from tests.zoo.small import SMALL, example, small
from workbench.analysis.ablation import ablate
from workbench.core.errors import Cancelled, InputError, UnknownNameError
from workbench.core.metrics import Logit, logits_of
from workbench.core.registry import ANALYSES
from workbench.zoo.mlp import MLPClassifier, MLPConfig

every_network = pytest.mark.parametrize("name", SMALL)
HOOKS = {
    "mlp": ("blocks.0.hook_post", "unit"),
    "cnn": ("blocks.0.hook_pooled", "height"),
    "airbench": ("blocks.1.hook_conv", "channel"),
    "resnet": ("blocks.1.hook_mid", "channel"),
    "resnet plain": ("blocks.0.hook_out", "channel"),
    "gpt": ("blocks.1.attn.hook_z", "head"),
    "gpt rotary rms tied": ("blocks.0.hook_resid_mid", "pos"),
    "gpt attention only": ("blocks.0.attn.hook_pattern", "key"),
    "lora_gpt": ("blocks.1.attn.hook_z", "head"),
    "gpt bare": ("blocks.0.attn.hook_z", "head"),
    "encoder_decoder": ("decoder.blocks.0.cross_attn.hook_z", "head"),
    "encoder_decoder bare": ("encoder.blocks.0.attn.hook_z", "head"),
    "actor_critic": ("actor.blocks.0.hook_post", "unit"),
    "actor_critic shared": ("trunk.blocks.0.hook_post", "channel"),
    "q_network": ("blocks.0.hook_post", "unit"),
    "q_network duelling": ("blocks.1.hook_post", "unit"),
    "q_table": ("hook_input", "feature"),
    "gan": ("generator.project.hook_post", "channel"),
    "vae": ("hook_latent", "latent"),
}


def linear_model(n_features: int, seed: int) -> MLPClassifier:
    """Logits that are a linear map of the features."""
    torch.manual_seed(seed)
    return MLPClassifier(MLPConfig(n_features=n_features, hidden=(), n_classes=3)).eval()


def first_logit(output: object) -> torch.Tensor:
    return logits_of(output)[:, 0]


@given(n_features=st.integers(1, 6), batch=st.integers(1, 4), seed=st.integers(0, 2**16))
def test_the_effect_of_a_feature_is_minus_its_contribution(n_features: int, batch: int, seed: int) -> None:
    model = linear_model(n_features, seed)
    x = model.example(batch, seed)
    result = ablate(model, x, "hook_input", first_logit)
    weight = model.readout.linear.weight[0]
    assert_close(result.effect, -(weight * x).T.detach(), rtol=1e-4, atol=1e-6)
    assert_close(result.baseline, model(x)[:, 0].detach())


@given(batch=st.integers(1, 5), seed=st.integers(0, 2**16))
def test_mean_ablation_moves_a_feature_to_its_mean(batch: int, seed: int) -> None:
    model = linear_model(4, seed)
    x = model.example(batch, seed)
    result = ablate(model, x, "hook_input", first_logit, method="mean")
    weight = model.readout.linear.weight[0]
    assert_close(result.effect, ((x.mean(dim=0) - x) * weight).T.detach(), rtol=1e-4, atol=1e-5)


def test_resampling_gives_a_feature_the_value_of_another_example() -> None:
    model = linear_model(3, 0)
    x = model.example(5)
    result = ablate(model, x, "hook_input", first_logit, method="resample", seed=1)
    possible = (x[None] - x[:, None]) * model.readout.linear.weight[0].detach()  # (example, other, feature)
    distance = (possible.permute(2, 0, 1) - result.effect[..., None]).abs().min(dim=-1).values
    assert float(distance.max()) < 1e-5
    again = ablate(model, x, "hook_input", first_logit, method="resample", seed=1)
    assert torch.equal(result.effect, again.effect)
    other = ablate(model, x, "hook_input", first_logit, method="resample", seed=2)
    assert not torch.equal(result.effect, other.effect)


@every_network
@torch.no_grad()
def test_a_unit_ablated_equals_the_activation_zeroed_with_a_plain_hook(name: str) -> None:
    model, (hook, axis) = small(name), HOOKS[name]
    inputs = example(model, 3)
    metric = Logit(torch.zeros(3, dtype=torch.int64))
    result = ablate(model, inputs, hook, metric, axis=axis)
    info = model.trace(inputs)[hook]
    assert result.effect.shape == (info.size(axis), 3)

    def zeroed(x: torch.Tensor, unit: int) -> torch.Tensor:
        return x.index_fill(info.axes.index(axis), torch.tensor(unit), 0.0)

    for unit in range(info.size(axis)):
        output = model.run_with_hooks(inputs, fwd_hooks=[(hook, lambda x, hook, unit=unit: zeroed(x, unit))])
        assert_close(result.effect[unit], metric(output) - result.baseline, rtol=1e-8, atol=1e-8)


def test_the_axis_is_that_of_the_units_unless_another_is_named() -> None:
    model = small("gpt")
    assert ablate(model, example(model), "blocks.0.attn.hook_z", first_logit).axis == "head"
    by_position = ablate(model, example(model), "blocks.0.attn.hook_z", first_logit, axis="pos")
    assert by_position.axis == "pos" and len(by_position.effect) == 8


def test_it_is_registered_and_says_how_far_it_is() -> None:
    model, seen = small("mlp"), []
    ANALYSES["ablation"](model, example(model), "hook_input", first_logit, progress=lambda *at: seen.append(at))
    assert seen[-1] == (7, 7)


def test_cancelling_leaves_the_model_as_it_was() -> None:
    model = small("cnn")
    inputs = example(model)
    clean = model(inputs)

    def stop(done: int, total: int) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        ablate(model, inputs, "blocks.0.hook_post", first_logit, progress=stop)
    assert torch.equal(model(inputs), clean)


def test_what_cannot_be_ablated_is_refused_with_the_way_out() -> None:
    model = small("gpt")
    inputs = example(model)
    with pytest.raises(InputError, match=r"is the batch.*pos, head, d_head"):
        ablate(model, inputs, "blocks.0.attn.hook_z", first_logit, axis="batch")
    with pytest.raises(UnknownNameError, match="Did you mean 'head'"):
        ablate(model, inputs, "blocks.0.attn.hook_z", first_logit, axis="heads")
    with pytest.raises(UnknownNameError, match=r"Did you mean 'blocks.0.attn.hook_z'"):
        ablate(model, inputs, "blocks.0.atn.hook_z", first_logit)
    with pytest.raises(InputError, match="matches 2 hooks"):
        ablate(model, inputs, "blocks.*.attn.hook_z", first_logit)
    with pytest.raises(InputError, match="none of its axes holds units"):
        ablate(small("actor_critic"), example(small("actor_critic")), "critic.hook_value", first_logit)
