"""Tests of activation maximization: maximizers in closed form, and invariants on every architecture."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from tests.zoo.small import SMALL, example, small
from workbench.analysis.features.target import Objective, make_target
from workbench.analysis.features.token_rows import join_inputs
from workbench.analysis.maximization import Maximization, maximize
from workbench.core.errors import Cancelled, ConfigError, InputError, ShapeError, TrainingModeError, UnknownNameError
from workbench.core.hooked import HookedModel
from workbench.core.random import seed_everything
from workbench.core.wrap import wrap

HIDDEN = {
    "mlp": "blocks.1.hook_post",
    "cnn": "blocks.0.hook_post",
    "airbench": "blocks.1.hook_pre",
    "resnet": "blocks.1.hook_mid",
    "resnet plain": "blocks.1.hook_mid",
    "gpt": "blocks.0.mlp.hook_post",
    "gpt rotary rms tied": "blocks.1.mlp.hook_post",
    "gpt attention only": "blocks.0.hook_attn_out",
    "lora_gpt": "blocks.0.mlp.hook_post",
    "gpt bare": "blocks.1.mlp.hook_pre",
    "actor_critic": "actor.blocks.1.hook_post",
    "actor_critic shared": "trunk.blocks.0.hook_post",
    "q_network": "blocks.1.hook_post",
    "q_network duelling": "blocks.0.hook_post",
    "q_table": "hook_q",
    "gan": "discriminator.blocks.0.hook_post",
    "vae": "hook_latent",
    "encoder_decoder": "decoder.blocks.1.mlp.hook_pre",
    "encoder_decoder bare": "encoder.blocks.0.mlp.hook_pre",
}


def found(name: str, units: tuple[int, ...] = (0, 1), steps: int = 6) -> Maximization:
    model = small(name)
    return maximize(model, example(model, 5), HIDDEN[name], units=units, steps=steps)


def test_the_maximiser_of_a_linear_unit_is_the_corner_that_its_weights_point_to() -> None:
    model = small("mlp")
    inputs = example(model, 5)
    result = maximize(model, inputs, "blocks.0.hook_pre", steps=20)
    low, high = inputs.amin(dim=0), inputs.amax(dim=0)
    corner = torch.where(model.blocks[0].linear.weight > 0, high, low)
    assert_close(result.inputs, corner)
    assert_close(result.reached, model.blocks[0].linear(corner).diagonal())
    assert result.success.all()


def test_a_linear_filter_finds_the_phases_of_its_own_kernel() -> None:
    """One place of a convolution is a scalar product: within given amplitudes it peaks where all phases agree."""
    convolution = torch.nn.Conv2d(1, 1, 3, padding=1, bias=False).double()
    torch.nn.init.normal_(convolution.weight, generator=torch.Generator().manual_seed(1))
    natural = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = wrap(torch.nn.Sequential(convolution), natural)
    result = maximize(model, natural, "0", objective="neuron", steps=60)
    patch = result.inputs[0, 0, 3:6, 3:6].flatten()
    kernel = convolution.weight.detach().flatten()
    assert float(torch.nn.functional.cosine_similarity(patch, kernel, dim=0)) > 0.9
    assert bool(result.success.all())


def test_the_token_that_a_unit_likes_best_is_found() -> None:
    """At the embedding a unit is a linear function of each token, so the best text repeats the best token."""
    model = small("gpt")
    tokens = model.example(3)
    result = maximize(model, tokens, "hook_embed", units=(0, 3, 5), steps=60)
    best = model.W_E[:, [0, 3, 5]].argmax(dim=0)
    assert torch.equal(result.inputs, best[:, None].expand(3, tokens.shape[1]))
    assert_close(result.reached, model.W_E[:, [0, 3, 5]].amax(dim=0).detach())


def test_the_last_token_alone_matters_to_the_last_position_of_an_embedding() -> None:
    model = small("gpt")
    result = maximize(model, model.example(3), "hook_embed", units=(2,), objective="neuron", steps=60)
    assert int(result.inputs[0, -1]) == int(model.W_E[:, 2].argmax())


def test_every_architecture_is_tested_below() -> None:
    assert set(HIDDEN) == set(SMALL)


@pytest.mark.parametrize("name", HIDDEN)
def test_activations_are_what_the_model_gives_on_the_inputs_found(name: str) -> None:
    model, result = small(name), found(name)
    natural, rows = join_inputs(model, example(model, 5))
    cached = model.cache(rows.inputs(result.inputs), result.hook)[result.hook].detach()
    axis = model.hook_dict[result.hook].axes.index(result.axis)
    means = cached.movedim(axis, 1).flatten(2).mean(dim=2) if cached.ndim > 2 else cached
    assert_close(result.reached, means.diagonal()[: len(result.units)])
    assert result.inputs.shape[1:] == natural.shape[1:] and result.inputs.dtype == natural.dtype
    assert_close(result.activations, result.activations.sort(dim=1, descending=True).values)
    assert_close(result.examples, natural[result.rows])


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet", "gpt", "actor_critic"])
def test_what_is_found_for_a_unit_does_not_depend_on_its_company(name: str) -> None:
    together, alone = found(name, (0, 1, 2), steps=4), found(name, (2,), steps=4)
    assert_close(together.inputs[2:], alone.inputs)
    assert_close(together.trace[2:], alone.trace)
    assert_close(together.start[2:], alone.start)


@pytest.mark.parametrize("name", ["mlp", "actor_critic", "gpt", "gpt rotary rms tied", "encoder_decoder"])
def test_boxed_and_discrete_searches_never_do_worse_than_the_best_natural_example(name: str) -> None:
    result = found(name, (0, 1, 2), steps=10)
    assert bool((result.reached >= result.activations[:, 0] - 1e-9).all())
    assert bool((result.trace.diff(dim=1) >= 0).all())
    assert int(result.success.sum()) >= 2


@pytest.mark.parametrize("objective", ["channel", "neuron"])
def test_a_small_residual_network_prefers_what_was_found_to_all_natural_examples(objective: Objective) -> None:
    model = small("resnet")
    smooth = torch.nn.functional.avg_pool2d(example(model, 6), 3, 1, 1)  # a spectrum that falls, as in pictures
    result = maximize(model, smooth, "blocks.2.hook_mid_pre", objective=objective, steps=40)
    assert bool(result.success.all())


@pytest.mark.parametrize("name", ["mlp", "cnn", "gpt"])
def test_the_model_and_the_random_state_are_left_as_they_were(name: str) -> None:
    model = small(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    flags = [p.requires_grad for p in model.parameters()]
    seed_everything(3)
    expected = torch.rand(2)
    seed_everything(3)
    result = maximize(model, example(model, 4), HIDDEN[name], units=(1,), steps=2)
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert flags == [p.requires_grad for p in model.parameters()]
    assert all(p.grad is None for p in model.parameters())
    assert model.router.active_hooks is None
    assert not any(getattr(result, field).requires_grad for field in ("inputs", "start", "reached", "trace"))


def test_a_seed_gives_the_same_result_again_and_another_seed_another() -> None:
    model = small("resnet")
    inputs = example(model, 4)
    one, again, other = (maximize(model, inputs, HIDDEN["resnet"], units=(1,), steps=3, seed=s) for s in (0, 0, 1))
    assert torch.equal(one.inputs, again.inputs)
    assert not torch.equal(one.inputs, other.inputs)


@pytest.mark.parametrize(
    ("name", "hook", "before"),
    [
        ("mlp", "blocks.0.hook_post", "blocks.0.hook_pre"),
        ("cnn", "blocks.0.hook_pooled", "blocks.0.hook_pre"),
        ("resnet", "blocks.0.hook_mid", "blocks.0.hook_mid_pre"),
        ("resnet", "readout.hook_pooled", "readout.hook_pre"),
        ("gpt rotary rms tied", "blocks.0.mlp.hook_post", "blocks.0.mlp.hook_pre"),
        ("gpt", "blocks.0.mlp.hook_post", None),
        ("mlp", "readout.hook_logits", None),
    ],
)
def test_what_stands_before_a_relu_is_found_by_its_values(name: str, hook: str, before: str | None) -> None:
    model = small(name)
    assert make_target(model, example(model, 8), hook, "channel").before == before


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_a_unit_that_is_silent_on_all_natural_inputs_is_woken(name: str) -> None:
    model = small(name)
    block = model.blocks[0]
    inputs = example(model, 6)
    loudest = model.cache(inputs, "blocks.0.hook_pre")["blocks.0.hook_pre"][:, 1].max().detach()
    with torch.no_grad():
        (block.linear if name == "mlp" else block.norm).bias[1] -= 1.05 * loudest if loudest > 0 else 0.0
    result = maximize(model, inputs, "blocks.0.hook_post", units=(1,), steps=60)
    assert float(result.activations.max()) == 0
    assert float(result.reached) > 0


def test_a_site_picks_the_place_and_the_units() -> None:
    model = small("cnn")
    inputs = example(model, 4)
    result = maximize(model, inputs, "blocks.0.hook_post[channel=2,height=1,width=6]", steps=2)
    assert result.units == (2,)
    cached = model.cache(inputs, "blocks.0.hook_post")["blocks.0.hook_post"]
    assert_close(result.activations[0, 0], cached[:, 2, 1, 6].max().detach())


def test_progress_is_reported_and_can_stop_the_search() -> None:
    model = small("mlp")
    seen: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        maximize(model, example(model, 3), HIDDEN["mlp"], steps=9, progress=stop)
    assert seen == [(1, 9), (2, 9)]
    assert model.router.active_hooks is None


@pytest.mark.parametrize(
    ("hook", "units", "error", "words"),
    [
        ("blocks.0.hook_psot", None, UnknownNameError, "Did you mean 'blocks.0.hook_post'"),
        ("blocks.0.hook_post[chanel=1]", None, UnknownNameError, "Did you mean 'channel'"),
        ("blocks.0.hook_post", (1, 7), InputError, "0 to 2. The nearest is 2"),
        ("blocks.0.hook_post[channel=9]", None, InputError, "The nearest is 2"),
        ("blocks.0.hook_post", (), ConfigError, "'units' of .* should be .*at least 1"),
        ("blocks.0.hook_post[batch=0]", None, InputError, "Remove the index on 'batch'"),
    ],
)
def test_an_unknown_hook_axis_or_unit_is_answered_with_the_nearest(
    hook: str, units: tuple[int, ...] | None, error: type[Exception], words: str
) -> None:
    model = small("cnn")
    with pytest.raises(error, match=words):
        maximize(model, example(model), hook, units=units, steps=1)


def test_a_hook_without_units_is_refused_with_one_that_has_them() -> None:
    model = small("actor_critic")
    with pytest.raises(InputError, match="Choose a hook with units, such as 'hook_input'"):
        maximize(model, example(model), "critic.hook_value")


def refused(model: HookedModel, inputs: object, error: type[Exception], words: str, steps: int = 1) -> None:
    hook = next(name for name in model.hook_dict if "hook_post" in name)
    with pytest.raises(error, match=words):
        maximize(model, inputs, hook, steps=steps)


def test_a_reference_batch_that_does_not_fit_is_refused_with_both_shapes() -> None:
    cnn, mlp, gpt = small("cnn"), small("mlp"), small("gpt")
    refused(cnn, torch.zeros(2, 2, 9, 9).double(), ShapeError, r"\('batch', 2, 8, 8\), got \(2, 2, 9, 9\)")
    refused(gpt, torch.zeros(2, 3, 4, dtype=torch.long), ShapeError, r"\('batch', 'pos'\)")
    refused(gpt, torch.zeros(2, 3), InputError, "integer tokens")
    refused(cnn, "three", InputError, "got a str")
    refused(mlp, example(mlp)[:1], InputError, "the search has no range")
    refused(mlp, example(mlp), ConfigError, "of 1 or more, not 0", steps=0)
    refused(mlp.train(), example(mlp), TrainingModeError, "eval")


def test_numbers_cannot_be_fluent() -> None:
    model = small("mlp")
    with pytest.raises(InputError, match="needs a model of text"):
        maximize(model, example(model), "blocks.0.hook_post", objective="fluent")
