"""Tests of activations and their statistics on a network computed by hand."""

from __future__ import annotations

import pytest
import torch

from workbench.analysis.activations import compute_statistics, read_activations
from workbench.core.errors import InputError, UnknownNameError
from workbench.zoo.gpt import GPT, GPTConfig
from workbench.zoo.mlp import MLPClassifier, MLPConfig


@pytest.fixture
def model() -> MLPClassifier:
    torch.manual_seed(0)
    return MLPClassifier(MLPConfig(n_features=6, hidden=(5,), n_classes=3)).eval()


def test_an_activation_is_what_the_layers_before_it_compute(model: MLPClassifier) -> None:
    x = model.example(4)
    result = read_activations(model, x, "blocks.0.hook_post")
    expected = model.blocks[0].linear(x).relu()
    torch.testing.assert_close(result.values, expected)
    torch.testing.assert_close(result.logits, model(x))
    assert result.axes == ("batch", "unit")


def test_attention_patterns_are_read_though_they_fire_on_request_only() -> None:
    gpt = GPT(GPTConfig(d_vocab=11, n_ctx=8, n_layers=1, d_model=8, n_heads=2)).eval()
    result = read_activations(gpt, gpt.example(2), "blocks.0.attn.hook_pattern")
    torch.testing.assert_close(result.values.sum(dim=-1), torch.ones(2, 2, 8))


def test_a_glob_over_several_hooks_is_refused_with_one_to_take(model: MLPClassifier) -> None:
    with pytest.raises(InputError, match="Choose one, such as 'hook_input'"):
        read_activations(model, model.example(), "*")


def test_an_unknown_hook_is_answered_with_the_nearest(model: MLPClassifier) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'blocks.0.hook_post'"):
        read_activations(model, model.example(), "blocks.0.hook_psot")


def test_statistics_agree_with_numpy(model: MLPClassifier) -> None:
    x = model.example(4)
    result = compute_statistics(model, x)
    place = result.hooks.index("blocks.0.hook_post")
    values = model.blocks[0].linear(x).relu().detach().numpy()
    measured = [float(v[place]) for v in (result.mean, result.std, result.low, result.high, result.zero_share)]
    assert measured == pytest.approx([values.mean(), values.std(), values.min(), values.max(), (values == 0).mean()])
    assert int(result.size[place]) == values.size


def test_statistics_can_be_asked_of_some_hooks_alone(model: MLPClassifier) -> None:
    assert compute_statistics(model, model.example(), "blocks.*").hooks == ("blocks.0.hook_pre", "blocks.0.hook_post")
