"""Tests of probes: measured facts that decide how a network may be swept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.campaigns import foreign_habits, foreign_layers
from tests.campaigns.foreign import Outcome, run
from tests.campaigns.foreign_cases import Case, module, rand
from workbench.core.errors import InputError
from workbench.core.interventions import steer, zero
from workbench.core.perturbations import mix
from workbench.core.probing import equal
from workbench.core.stages import sweep
from workbench.core.wrap import WrappedModel, wrap

HABITS = {case.name: case for case in foreign_habits.cases()}
LAYERS = {case.name: case for case in foreign_layers.cases()}
SLOW = {"torchvision resnet", "transformer encoder", "lstm, both directions", "cnn"}


def opened(case: Case) -> WrappedModel:
    net, x = case.build()
    return wrap(net, x, case.forward)


def accept(outcome: Outcome) -> None:
    assert not outcome.wrong, outcome.wrong


@pytest.mark.parametrize("name", HABITS)
def test_a_network_with_a_habit_equals_raw_hooks_or_is_refused(name: str) -> None:
    accept(run(HABITS[name]))


@pytest.mark.parametrize("name", sorted(LAYERS.keys() - SLOW))
def test_a_network_of_torchs_layers_equals_raw_hooks_or_is_refused(name: str) -> None:
    accept(run(LAYERS[name]))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SLOW))
def test_a_large_network_equals_raw_hooks_or_is_refused(name: str) -> None:
    accept(run(LAYERS[name]))


@pytest.mark.parametrize(
    "mix",
    [
        lambda h: h - h.mean(0),
        lambda h: h.softmax(0),
        foreign_habits.attend,
        foreign_habits.deviate,
        foreign_habits.route_by_rank,
        foreign_habits.pairs,
        foreign_habits.quantise,
        lambda h: h - h.roll(1, 0),
        lambda h: h.flip(0),
    ],
)
def test_rows_that_interact_are_noticed(mix: Callable[[Tensor], Tensor]) -> None:
    for rows in (1, 4):
        facts = wrap(foreign_habits.between(mix), rand(rows, 4)).probe
        assert facts.rows_interact and not facts.batches_conditions and "influence" in str(facts)


def test_rows_that_do_not_interact_share_runs() -> None:
    for function in (torch.tanh, lambda h: h.softmax(1), lambda h: h - h.mean(1, keepdim=True)):
        facts = wrap(foreign_habits.between(function), rand(4, 4)).probe
        assert facts.batches_conditions and facts.rows_interact is False


def test_other_facts() -> None:
    assert opened(HABITS["latent drawn"]).probe.random
    assert opened(HABITS["noise of numpy"]).probe.random
    assert opened(HABITS["noise of its own"]).probe.stateful
    assert opened(HABITS["stream"]).probe.stateful
    assert opened(HABITS["divided by the number of rows"]).probe.depends_on_batch
    assert opened(HABITS["own place in the batch"]).probe.depends_on_batch
    assert opened(HABITS["input overwritten"]).probe.writes_inputs
    assert opened(HABITS["fixed number of rows"]).probe.fixed_batch
    assert opened(LAYERS["in place"]).probe.in_place == ("a", "relu")
    assert opened(LAYERS["mask and temperature"]).probe.per_row == (True, False, False)
    assert opened(LAYERS["table before rows"]).probe.per_row == (False, True)
    assert "Categorical" in opened(LAYERS["distribution"]).probe.whole_output
    assert opened(LAYERS["table of positions as long as the batch"]).probe.batch_axis == {"table": None, "fc": 0}


def test_a_shared_input_is_neither_repeated_nor_cut() -> None:
    model = opened(LAYERS["mask and temperature"])
    for batch in (2, 9):
        inputs = model.example(batch)
        assert inputs["x"].shape[0] == batch and inputs["mask"].shape == (4, 4) and inputs["temperature"].ndim == 0
        assert model(inputs)["out"].shape == (batch, 2) and model.count_rows(inputs) == batch
    with pytest.raises(InputError, match="hold 2 tensors and the example held 3"):
        model.count_rows({"x": rand(2, 4, 4), "mask": rand(4, 4)})


def test_noise_is_the_same_in_every_run_and_the_callers_is_left_alone() -> None:
    model = opened(HABITS["latent drawn"])
    x = rand(3, 4)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = model(x), model(x)
    assert torch.equal(first, second) and torch.equal(torch.rand(3), expected)
    assert not torch.equal(first, wrap(model.module, x, seed=1)(x))


def test_an_interaction_that_the_probe_missed_is_noticed_by_the_sweep() -> None:
    def rarely(h: Tensor) -> Tensor:
        return h * 2 if (h[:, 1] == 0).any() else h

    parts = {"a": nn.Linear(4, 3), "b": nn.Linear(3, 2)}
    net = module(lambda self, x: self.b(rarely(self.a(x))), **parts)
    x = rand(2, 4)
    model = wrap(net, x)
    assert model.probe.batches_conditions
    conditions: list[Any] = [[], [zero("a[unit=0]")], [zero("a[unit=1]")], [zero("a[unit=2]")]]
    swept = sweep(model, x, conditions, lambda y: y.sum(1))
    with torch.no_grad():
        for condition, values in zip(conditions, swept, strict=True):
            with model.edited(condition):
                assert torch.equal(model(x).sum(1), values)
    assert model.probe.rows_interact and not model.probe.batches_conditions


def test_what_cannot_be_tested_is_not_taken_for_granted() -> None:
    net, token = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(3, 2)), torch.tensor([[4]])
    facts = wrap(net, token).probe
    assert facts.rows_interact is None and not facts.batches_conditions and "could be found" in str(facts)
    assert wrap(net, torch.tensor([[4], [1]])).probe.batches_conditions


def test_printing_the_model_shows_the_facts() -> None:
    statistics = repr(opened(HABITS["batch statistics"]))
    assert "rows influence one another" in statistics and "sweeps run one condition at a time" in statistics
    assert "each row stands for itself" in repr(opened(LAYERS["mlp"]))


def test_nothing_is_known_of_axes_when_the_changed_inputs_are_refused() -> None:
    class TwoRows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.read = nn.Embedding(5, 3), nn.Linear(3, 2)

        def forward(self, tokens: Tensor) -> Tensor:
            assert int(tokens.sum()) == 28
            return self.read(self.embed(tokens).view(2, 4, 3))

    model = wrap(TwoRows(), torch.tensor([[4, 2, 4, 3], [3, 4, 4, 4]]))
    assert model.probe is not None and model.probe.fixed_batch
    assert dict(model.probe.batch_axis) == dict.fromkeys(model.hook_dict)


def test_mixed_rows_are_those_of_a_neighbour_and_in_other_places() -> None:
    assert mix(torch.tensor([[1, 2], [3, 4]])).tolist() == [[4, 3], [2, 1]]
    assert mix(torch.tensor([1, 2, 3])).tolist() == [2, 1, 3]


class Experts(nn.Module):
    """Two experts, the first of which takes the rows that come first: no row of small inputs wants it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(11)
        self.a, self.gate, self.expert = nn.Linear(4, 8), nn.Linear(8, 2), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x).relu()
        asks = self.gate(h)[:, 0] > 5
        return self.expert(h) * (1 + (asks & (asks.cumsum(0) <= 2)).float()[:, None])


class GatedMean(Experts):
    """The mean over the rows is added where a gate is open, which it is for no small input."""

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x).relu()
        return self.expert(h) + h.mean() * (self.gate(h)[:, :1] > 5)


@pytest.mark.parametrize("network", [Experts, GatedMean])
def test_rows_that_interact_under_an_edit_alone_do_not_share_a_run(network: type[nn.Module]) -> None:
    model, x = wrap(network(), torch.randn(4, 4)), torch.randn(3, 4)
    far = torch.tensor([50.0, 0.0])
    conditions = [(zero("a[unit=1]"),), (steer("gate", far),), (steer("gate", 2 * far),), (zero("a[unit=2]"),)]
    apart = sweep(wrap(network(), torch.randn(4, 4)), x, conditions, lambda y: y[:, 0], memory=1)
    torch.testing.assert_close(sweep(model, x, conditions, lambda y: y[:, 0]), apart)


@pytest.mark.parametrize(("rounding", "within"), [(False, 4 * 2.0**-52), (True, 2.0**-26)])
def test_values_are_equal_up_to_the_last_bits_of_the_largest(rounding: bool, within: float) -> None:
    x = torch.tensor([8.0, 0.0], dtype=torch.float64)
    for share, expected in ((0.9, True), (1.1, False)):
        y = x + torch.tensor([0, 8 * share * within], dtype=torch.float64)
        assert equal(x, y, rounding) is expected
