"""Tests of activation patching against single patched runs, and of its errors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from tests.analysis.signed_metric import one_way
from tests.analysis.test_ablation import HOOKS, first_logit, linear_model
from tests.zoo.small import SMALL, example, small
from workbench.analysis.patching import patch_activations
from workbench.core.errors import InputError, ShapeError, UnknownNameError
from workbench.core.interventions import patch
from workbench.core.metrics import Signed

every_network = pytest.mark.parametrize("name", SMALL)


@given(seed=st.integers(0, 2**16), batch=st.integers(1, 4))
def test_on_a_linear_network_the_shares_of_all_features_add_up_to_one(seed: int, batch: int) -> None:
    model = linear_model(5, seed).double()
    clean, corrupted = model.example(batch, seed).double(), model.example(batch, seed + 1).double()
    metric = one_way(model, clean, corrupted)
    result = patch_activations(model, clean, corrupted, "hook_input", metric)
    parts = model.readout.linear.weight[0] * (clean - corrupted) * metric.sign[:, None]
    assert_close(result.effect[0], (parts.mean(dim=0) / parts.mean(dim=0).sum()).detach(), rtol=1e-4, atol=1e-5)
    assert_close(result.effect.sum(), torch.tensor(1.0).double())


@every_network
@torch.no_grad()
def test_each_part_equals_one_patched_run(name: str) -> None:
    model, (hook, axis) = small(name), HOOKS[name]
    clean, corrupted = example(model, 3, seed=0), example(model, 3, seed=1)
    given = model.cache(clean, hook)[hook]
    metric = Signed.of(first_logit, model(clean), model(corrupted))
    result = patch_activations(model, clean, corrupted, hook, metric, axes=(axis,))
    for entry in range(result.effect.shape[1]):
        with model.edited([patch(f"{hook}[{axis}={entry}]", given)]):
            expected = metric(model(corrupted))
        assert_close(result.patched[0, entry], expected, rtol=1e-8, atol=1e-8)
    assert_close(result.clean, metric(model(clean)))
    assert_close(result.corrupted, metric(model(corrupted)))


@pytest.mark.parametrize(("direction", "expected"), [("denoise", 1.0), ("noise", 0.0)])
def test_patching_the_last_position_of_the_last_stream_moves_everything(direction: str, expected: float) -> None:
    model = small("gpt")
    clean, corrupted = example(model, seed=0), example(model, seed=1)
    hook = "blocks.1.hook_resid_post"
    result = patch_activations(model, clean, corrupted, hook, first_logit, ("pos",), direction)
    assert_close(result.effect[0, -1], torch.tensor(expected).double(), rtol=0, atol=1e-8)
    assert_close(result.effect[0, :-1], torch.full((7,), 1 - expected).double(), rtol=0, atol=1e-8)


def test_a_glob_makes_a_layer_axis() -> None:
    model = small("gpt")
    clean, corrupted = example(model, seed=0), example(model, seed=1)
    many = patch_activations(model, clean, corrupted, "blocks.*.hook_resid_pre", first_logit)
    assert many.hooks == ("blocks.0.hook_resid_pre", "blocks.1.hook_resid_pre")
    assert many.axes == ("pos",) and many.effect.shape == (2, 8) and many.patched.shape == (2, 8, 2)
    for i, hook in enumerate(many.hooks):
        one = patch_activations(model, clean, corrupted, hook, first_logit)
        assert_close(one.effect[0], many.effect[i])
    heads = patch_activations(model, clean, corrupted, "blocks.*.attn.hook_z", first_logit)
    assert heads.axes == ("head", "pos") and heads.effect.shape == (2, 2, 8)


def test_inputs_of_different_length_are_refused_with_both_shapes() -> None:
    model = small("gpt")
    clean = example(model)
    with pytest.raises(ShapeError, match=r"\(2, 8\).*\(2, 7\)"):
        patch_activations(model, clean, clean[:, 1:], "blocks.0.attn.hook_z", first_logit)


def test_without_a_difference_there_is_nothing_to_restore() -> None:
    model = small("cnn")
    clean = example(model)
    with pytest.raises(InputError, match="no effect to restore"):
        patch_activations(model, clean, clean, "blocks.0.hook_post", first_logit)


def test_hooks_that_make_no_common_table_are_refused() -> None:
    model = small("cnn")
    clean, corrupted = example(model, 1, seed=0), example(model, 1, seed=1)
    with pytest.raises(InputError, match="Patch them separately"):
        patch_activations(model, clean, corrupted, "blocks.*.hook_post", first_logit)
    with pytest.raises(InputError, match="not the batch"):
        patch_activations(model, clean, corrupted, "blocks.0.hook_post", first_logit, ("batch",))
    with pytest.raises(UnknownNameError, match="Did you mean 'channel'"):
        patch_activations(model, clean, corrupted, "blocks.0.hook_post", first_logit, ("chanel",))
