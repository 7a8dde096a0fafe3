"""Tests of runs of hooked models: errors, caching, nested edits, threads and restored state."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from tests.zoo.small import example, small
from workbench.core.errors import (
    InputError,
    NeverFiredError,
    OverwrittenError,
    ShapeError,
    TrainingModeError,
    UnknownNameError,
)
from workbench.core.hooked import AxisHookPoint, HookedModel
from workbench.core.interventions import patch, steer, zero


class Overwriting(HookedModel):
    """A network that overwrites what its hook point saw."""

    def __init__(self) -> None:
        super().__init__()
        self.hook_x = AxisHookPoint("batch unit")
        self.relu = nn.ReLU(inplace=True)
        self.setup(stages=[lambda x: self.relu(self.hook_x(x + 0))])


def test_an_unknown_hook_is_refused_with_the_nearest() -> None:
    model = small("mlp")
    with pytest.raises(UnknownNameError, match="Did you mean 'blocks.0.hook_post'"):
        model.cache(example(model), "blocks.0.hook_psot")
    with pytest.raises(UnknownNameError, match="in MLPClassifier"):
        model.cache(example(model), "nothing.*")
    with pytest.raises(UnknownNameError), model.edited([zero("blocks.7.hook_post")]):
        pass
    with pytest.raises(InputError):
        model.cache(example(model), [])


def test_a_hook_that_never_fires_is_refused() -> None:
    model = small("mlp")
    with pytest.raises(NeverFiredError, match="no forward pass"), model.edited([zero("blocks.0.hook_post")]):
        pass


def test_an_activation_overwritten_in_place_is_copied_or_refused() -> None:
    model, x = Overwriting().eval(), torch.tensor([[-1.0, 2.0]])
    with pytest.raises(OverwrittenError, match="copy=True"):
        model.cache(x, copy=False)
    for copy in (None, True):
        assert torch.equal(model.cache(x, copy=copy)["hook_x"], x)
    assert torch.equal(model.run_with_cache(x)[1]["hook_x"], x)


def test_a_network_that_overwrites_its_input_too_is_not_run_again_on_what_is_left() -> None:
    model = Overwriting().eval()
    model.stages = (lambda x: model.relu(model.hook_x(x.add_(1))),)
    with pytest.raises(OverwrittenError):
        model.cache(torch.tensor([[-3.0, 2.0]]))


def test_inference_mode_caches_and_edits() -> None:
    model, x = small("mlp"), None
    x = example(model)
    truth = model.cache(x)
    with torch.inference_mode():
        cache = model.cache(x)
        with model.edited([zero("blocks.0.hook_post")]):
            edited = model(x)
    assert all(torch.equal(cache[name], value) for name, value in truth.items())
    with model.edited([zero("blocks.0.hook_post")]):
        assert torch.equal(model(x), edited)


def test_a_model_in_training_mode_is_refused() -> None:
    model = small("gpt").train()
    with pytest.raises(TrainingModeError, match="eval"):
        model.cache(example(model))


def test_an_edit_of_the_wrong_shape_is_refused() -> None:
    model = small("mlp")
    x = example(model)
    with (
        pytest.raises(ShapeError, match="blocks.0.hook_post"),
        model.edited({"blocks.0.hook_post": lambda a: a[:, :1]}),
    ):
        model(x)
    with pytest.raises(ShapeError), model.edited([patch("blocks.0.hook_post", torch.zeros(3, 5))]):
        model(x)
    with pytest.raises(ShapeError, match="steering"), model.edited([steer("blocks.0.hook_post", torch.zeros(4))]):
        model(x)
    with pytest.raises(InputError, match="out of range"), model.edited([zero("blocks.0.hook_post[unit=5]")]):
        model(x)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_everything_is_as_it_was_after_an_exception(error: type[BaseException]) -> None:
    model = small("gpt")
    x = example(model)
    clean = model(x)

    def fail(a: torch.Tensor) -> torch.Tensor:
        raise error

    with pytest.raises(error), model.edited({"blocks.0.hook_mlp_out": fail}):
        model(x)
    assert model.router.active_hooks is None and torch.equal(model(x), clean)
    assert all(p.requires_grad for p in model.parameters())


def test_edits_nest_and_a_cache_inside_sees_them() -> None:
    model = small("mlp")
    x = example(model)
    with model.edited([zero("blocks.0.hook_post[unit=0]")]), model.edited([zero("blocks.0.hook_post[unit=1]")]):
        seen = model.cache(x, "blocks.0.hook_post")["blocks.0.hook_post"]
    assert seen[:, :2].eq(0).all() and seen[:, 2:].ne(0).any()


def test_another_thread_never_runs_through_somebodys_edits() -> None:
    model = small("mlp")
    x = example(model)
    clean, results = model(x), []
    other = threading.Thread(target=lambda: results.append(model(x)))
    with model.edited([zero("blocks.0.hook_post")]):
        model(x)
        other.start()
        other.join(timeout=0.1)
        assert not results  # it waits
    other.join()
    assert torch.equal(results[0], clean)


def test_transformer_lens_style_hooks_see_values_and_gradients() -> None:
    model = small("mlp")
    x = example(model)
    gradients = {}
    output = model.run_with_hooks(
        x,
        fwd_hooks=[(lambda name: name.endswith("hook_pre"), lambda a, hook: a * 2)],
        bwd_hooks=[("blocks.1.hook_post", lambda g, hook: gradients.update({hook.name: g}))],
    )
    output.sum().backward()
    with model.edited({"*.hook_pre": lambda a: a * 2}):
        assert torch.equal(output, model(x))
    assert torch.allclose(gradients["blocks.1.hook_post"], model.readout.linear.weight.sum(0).expand(2, -1))


def test_a_plain_torch_hook_on_a_pattern_is_served_too() -> None:
    model = small("gpt")
    seen = []
    model.hook_dict["blocks.0.attn.hook_pattern"].register_forward_hook(lambda m, a, y: seen.append(y))
    model(example(model))
    assert torch.allclose(seen[0].sum(-1), torch.ones_like(seen[0].sum(-1)))


@pytest.mark.parametrize("kind", ["forward_hook", "forward_pre_hook", "full_backward_hook"])
def test_torchs_own_hooks_on_a_hook_point_fire(kind: str) -> None:
    model, seen = small("mlp"), []
    point = model.hook_dict["blocks.0.hook_post"]
    handle = getattr(point, f"register_{kind}")(lambda *_: seen.append(1) and None)
    model(example(model)).sum().backward()
    assert seen == [1]
    handle.remove()
    model(example(model)).sum().backward()
    assert seen == [1]


@pytest.mark.parametrize("name", ["mlp", "cnn", "vae"])
def test_a_cache_is_apart_from_the_inputs(name: str) -> None:
    model = small(name)
    x = example(model)
    before = x.clone()
    for value in model.cache(x).values():
        value.fill_(7)
    assert torch.equal(x, before)
