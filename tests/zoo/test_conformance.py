"""Tests that every architecture must pass, on a small network of each."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.testing import assert_close
from torch.utils._pytree import tree_leaves, tree_map

from tests.zoo.small import SMALL, example, small
from workbench.core.axes import INPUT_SIZED
from workbench.core.hooked import HookedModel
from workbench.core.interventions import clamp, mean, patch, resample, scale, steer, zero
from workbench.core.metrics import logits_of
from workbench.core.random import generator
from workbench.core.registry import MODELS
from workbench.core.sites import Site
from workbench.core.stages import sweep

every_network = pytest.mark.parametrize("name", SMALL)


def differ(one: object, other: object) -> bool:
    return any(not torch.equal(a, b) for a, b in zip(tree_leaves(one), tree_leaves(other), strict=True))


def test_every_architecture_has_a_small_network_here() -> None:
    assert {architecture for architecture, _ in SMALL.values()} == set(MODELS)


@every_network
@pytest.mark.shapes
def test_every_hook_fires_with_the_axes_it_names(name: str) -> None:
    model = small(name)
    trace = model.trace(example(model, 3))
    assert set(trace) == set(model.hook_dict)
    for info in trace.values():
        assert len(info.axes) == len(info.shape) and info.shape[0] == 3 and info.axes[0] == "batch"
    assert [info.stage for info in trace.values()] == sorted(info.stage for info in trace.values())


@every_network
def test_every_hook_is_alive(name: str) -> None:
    """Changing an activation changes the output (TransformerLens fails this on its own models)."""
    model = small(name)
    inputs = example(model)
    with torch.no_grad():
        clean = model(inputs)
        for hook in model.hook_dict:
            draw = generator(0, hook)
            with model.edited({hook: lambda x, draw=draw: x * (1 + torch.rand(x.shape, generator=draw))}):
                assert differ(model(inputs), clean), hook


@every_network
def test_listening_changes_nothing(name: str) -> None:
    model = small(name)
    inputs = example(model)
    with torch.no_grad():
        clean = model(inputs)
        output, cache = model.run_with_cache(inputs)
        again = model(inputs)
    for a, b, c in zip(tree_leaves(clean), tree_leaves(output), tree_leaves(again), strict=True):
        assert torch.equal(a, b) and torch.equal(a, c)
    assert set(cache) == {h for h, p in model.hook_dict.items() if not p.on_request}


@every_network
def test_early_exit_gives_the_same_activation_as_a_full_pass(name: str) -> None:
    model = small(name)
    inputs = example(model)
    with torch.no_grad():
        for hook in model.hook_dict:
            early = model.cache(inputs, hook)[hook]
            full = model.run_with_cache(inputs, hook)[1][hook]
            assert torch.equal(early, full), hook


def conditions(model: HookedModel, inputs: object) -> list[tuple]:
    """Every kind of intervention on an entry of every axis of every hook that has one."""
    other = example(model, 2, seed=1)
    made: list[tuple] = [()]
    for hook, info in model.trace(inputs).items():
        activation = model.cache(other, hook)[hook]
        index = {info.axes[-1]: 0, info.axes[len(info.axes) // 2]: info.shape[len(info.axes) // 2] - 1}
        index.pop("batch", None)
        site = Site(hook, index)
        length = site.select(activation, info.axes).shape[-1]
        made += [
            (zero(site),),
            (mean(site, activation),),
            (resample(site, activation, generator(0)),),
            (patch(site, activation[: info.shape[0]]), scale(Site(hook), 1.5)),
            (clamp(site, low=-0.1, high=0.1),),
        ]
        if length and info.axes[-1] != "batch":
            made.append((steer(site, torch.ones(length, dtype=activation.dtype)),))
    return made


@every_network
@pytest.mark.parametrize(("memory", "batch"), [(1, 2), (2**21, 2), (2**21, 1)])
def test_a_sweep_equals_one_full_hooked_pass_per_intervention(name: str, memory: int, batch: int) -> None:
    model = small(name)
    inputs = example(model, batch)

    def measure(output: object) -> torch.Tensor:
        value = output.value if hasattr(output, "value") else 0
        return logits_of(output).pow(2).sum(dim=-1) + value

    with torch.no_grad():
        wanted = conditions(model, inputs)
        naive = []
        for condition in wanted:
            with model.edited(condition):
                naive.append(measure(model(inputs)))
        swept = sweep(model, inputs, wanted, measure, memory=memory)
    assert_close(swept, torch.stack(naive), rtol=1e-9, atol=1e-9, equal_nan=True)  # edited -inf scores give nan in both


@every_network
def test_the_same_seed_gives_the_same_network_and_a_copy_is_independent(name: str) -> None:
    one, two = small(name, seed=3), small(name, seed=3)
    inputs = example(one)
    clone = copy.deepcopy(one)
    with torch.no_grad():
        assert not differ(one(inputs), two(inputs)) and not differ(one(inputs), clone(inputs))
        hook = next(iter(one.hook_dict))
        with one.edited([zero(hook)]):
            assert not differ(clone(inputs), two(inputs))
            assert differ(one(inputs), two(inputs))


@every_network
def test_a_unit_of_every_hook_can_be_named_and_resolved(name: str) -> None:
    model = small(name)
    for hook, info in model.trace().items():
        index = {axis: 0 for axis in info.axes if axis not in INPUT_SIZED}
        site = Site(hook, index)
        assert Site.parse(str(site)).resolve(model) == site


@every_network
@pytest.mark.shapes
def test_examples_do_not_depend_on_their_batch(name: str) -> None:
    model = small(name)
    inputs = example(model, 3)
    with torch.no_grad():
        together = logits_of(model(inputs))
        rows = [tree_map(lambda x, i=i: x[i : i + 1], inputs) for i in range(3)]
        alone = torch.cat([logits_of(model(row)) for row in rows])
    assert_close(together, alone)
