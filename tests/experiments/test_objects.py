"""Questions about networks, tensors and metrics that are passed as objects."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import workbench
from tests.experiments.own_networks import Net, X, ask, margin
from tests.experiments.tiny_models import calls
from workbench.checkpoints.store import load
from workbench.core.errors import InputError, UnknownNameError
from workbench.core.hooked import HookedModel
from workbench.experiments.run import catalog, run_analysis
from workbench.zoo.mlp import MLPClassifier, MLPConfig


@pytest.fixture(autouse=True)
def here(workspace: Path) -> Path:
    return workspace


def keys() -> list[str]:
    return list(catalog()["key"])


@pytest.mark.parametrize("opened", [workbench.wrap, workbench.record])
def test_an_answer_about_an_object_is_stored(opened: Callable[[nn.Module, Tensor], HookedModel]) -> None:
    model = opened(Net(), X)
    computed, values = ask(model)
    assert computed
    torch.testing.assert_close(values, Net()(X).max(dim=1).values.detach())
    again, same = ask(model)
    assert not again and torch.equal(values, same)
    assert not ask(opened(Net(), X))[0], "another object of the same class, weights and attributes"


@torch.no_grad()
def change_weight(net: Net) -> None:
    net.first.weight[0, 0] += 1


def change_attribute(net: Net) -> None:
    net.scale = 2.0


def change_function(net: Net) -> None:
    net.act = torch.tanh


def change_forward(net: Net) -> None:
    net.forward = lambda x: net.last(net.first(x))  # type: ignore[method-assign]


def add_hook(net: Net) -> None:
    net.first.register_forward_hook(lambda module, args, output: output * 3)


CHANGES = [change_weight, change_attribute, change_function, change_forward, add_hook]


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_the_network_is_another_question(change: Callable[[Net], None]) -> None:
    net = Net()
    ask(workbench.wrap(net, X))
    change(net)
    computed, values = ask(workbench.wrap(net, X))
    assert computed
    torch.testing.assert_close(values, net(X).max(dim=1).values.detach())


@pytest.mark.parametrize("change", CHANGES[:4])
def test_a_change_behind_an_opened_network_is_noticed(change: Callable[[Net], None]) -> None:
    net = Net()
    model = workbench.wrap(net, X)
    ask(model)
    change(net)
    assert ask(model)[0]


def test_other_inputs_are_another_question() -> None:
    model = workbench.wrap(Net(), X)
    ask(model)
    assert ask(model, X + 1)[0] and ask(model, X[:3])[0] and not ask(model, X.clone())[0]


def test_the_body_of_a_metric_and_what_it_reads_count(monkeypatch: pytest.MonkeyPatch) -> None:
    model = workbench.wrap(Net(), X)
    computed, values = ask(model, metric=margin)
    torch.testing.assert_close(values, margin(Net()(X)).detach())
    assert computed and not ask(model, metric=margin)[0]
    monkeypatch.setitem(margin.__globals__, "FACTOR", 2.0)
    computed, doubled = ask(model, metric=margin)
    assert computed
    torch.testing.assert_close(doubled, 2 * values)

    def margin_(output: Tensor) -> Tensor:
        return output[:, 0] - output[:, 2]

    margin_.__name__ = "margin"
    assert ask(model, metric=margin_)[0]


def test_an_enclosed_tensor_of_a_metric_counts_to_its_last_entry() -> None:
    model, results = workbench.wrap(Net(), X), []
    for change in (0.0, 1e-3):
        weight = torch.zeros(3000)
        weight[1500] = change  # the middle, which a printed tensor leaves out

        def weighted(output: Tensor, weight: Tensor = weight) -> Tensor:
            return output[:, 0] + weight.sum()

        results.append(ask(model, metric=weighted)[1])
    assert not torch.equal(*results)


def test_a_plain_module_is_opened_on_its_inputs() -> None:
    computed, values = ask(Net())
    torch.testing.assert_close(values, Net()(X).max(dim=1).values.detach())
    assert computed and not ask(Net())[0]


def test_without_inputs_the_example_is_taken() -> None:
    values = run_analysis("share", workbench.wrap(Net(), X), factor=1.0).value
    torch.testing.assert_close(values, ask(workbench.wrap(Net(), X))[1])
    assert len(calls) == 1


def test_a_trained_network_as_an_object_has_the_key_of_its_name() -> None:
    run_analysis("share", "digits", "test:0:4", factor=1.0)
    for model in (load("digits"), copy_of(load("digits"))):
        assert run_analysis("share", model, "test:0:4", factor=1.0).value.shape == (4,)
    assert len(keys()) == 1 == len(calls)


def copy_of(model: HookedModel) -> HookedModel:
    other = MLPClassifier(model.cfg)
    other.load_state_dict(model.state_dict())
    return other.eval()


def test_a_trained_network_that_was_changed_has_another_key() -> None:
    run_analysis("share", "digits", "test:0:4", factor=1.0)
    model = load("digits")
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] += 1
    run_analysis("share", model, "test:0:4", factor=1.0)
    other = load("digits")
    other.blocks[0].activation = torch.tanh  # type: ignore[index,union-attr]
    run_analysis("share", other, "test:0:4", factor=1.0)
    fresh = MLPClassifier(MLPConfig(hidden=(5,))).eval()
    run_analysis("share", fresh, torch.randn(4, 64), factor=1.0)
    assert len(set(keys())) == 4 == len(calls)


def test_tensors_are_inputs_of_a_named_network_too() -> None:
    x = torch.randn(4, 64)
    values = ask("digits", x)[1]
    torch.testing.assert_close(values, load("digits")(x).max(dim=1).values.detach())
    assert not ask("digits", x.clone())[0]


def test_corrupted_tensors_and_another_answer() -> None:
    model = workbench.wrap(Net(), X)
    result = run_analysis("gap", model, X, X.flip(0), margin)
    torch.testing.assert_close(result.value, (margin(Net()(X)) - margin(Net()(X)).flip(0)).detach())


def test_several_inputs_by_place_and_by_name() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, one: Tensor, other: Tensor) -> Tensor:
            return self.layer(one - 2 * other)

    net = Two()
    expected = net(X, X * 3)[:, 0].detach()
    for inputs in ((X, X * 3), {"one": X, "other": X * 3}):
        result = run_analysis("gap", workbench.wrap(net, inputs), inputs, inputs, first)
        assert not result.value.any()
        values = ablated_mean(workbench.wrap(net, inputs), inputs)
        torch.testing.assert_close(values, expected)


def first(output: Tensor) -> Tensor:
    """The first choice."""
    return output[:, 0]


def ablated_mean(model: HookedModel, inputs: Any) -> Tensor:
    """Return the metric itself: what ablation of the last layer takes away from it."""
    effect = run_analysis("ablation", model, inputs, metric=first, hook="layer").effect
    return -effect[0]


def test_what_cannot_be_compared_is_computed_each_time() -> None:
    net = Net()
    net.lock = threading.Lock()  # type: ignore[assignment]
    assert ask(workbench.wrap(net, X))[0] and ask(workbench.wrap(net, X))[0]


def test_a_policy_takes_its_environment() -> None:
    policy = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    model = workbench.wrap(policy, torch.zeros(2, 4))
    result = run_analysis("share", model, "rollout:0:3", factor=1.0, environment="CartPole-v1")
    assert result.value.shape == (3,)
    with pytest.raises(UnknownNameError, match="CartPole-v1"):
        run_analysis("share", model, "rollout:0:3", factor=1.0, environment="CartPole-1")
    with pytest.raises(InputError, match="Leave out environment"):
        run_analysis("share", "policy", "rollout:0:3", factor=1.0, environment="CartPole-v1")


class Callable_:
    def __call__(self, output: Tensor) -> Tensor:
        return output[:, 1]


def test_a_metric_that_draws_random_numbers_is_refused() -> None:
    def noisy(output: Tensor) -> Tensor:
        return output[:, 0] + torch.rand(len(output))

    with pytest.raises(InputError, match="'noisy' returns other numbers for the same output"):
        ask(workbench.wrap(Net(), X), metric=noisy)


def test_a_callable_object_is_a_metric_by_its_class() -> None:
    values = ask(workbench.wrap(Net(), X), metric=Callable_())[1]
    torch.testing.assert_close(values, Net()(X)[:, 1].detach())
    assert not ask(workbench.wrap(Net(), X), metric=Callable_())[0]


PROGRAM = """
import torch, workbench
import net

torch.manual_seed(0)
for opened, hook in (("wrap", "layer"), ("record", ":relu")):
    model = getattr(workbench, opened)(net.make(), torch.ones(2, 3))
    workbench.run("ablation", model, torch.eye(3), metric=net.total, hook=hook)
print(*sorted(workbench.catalog().key))
"""
MODULE = """
import torch

FACTOR = {factor}

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.lstm = torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.lstm(self.layer(x).relu())

def make():
    torch.manual_seed(0)
    return Net()

def total(output):
    return output.sum(dim=1) * FACTOR
"""


@pytest.mark.slow
def test_processes_agree_on_the_key_until_the_source_changes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask_elsewhere(factor: int) -> set[str]:
        (here / "net.py").write_text(MODULE.format(factor=factor))
        monkeypatch.setenv("WORKBENCH_RUNS", str(here / f"runs {len(list(here.iterdir()))}"))
        done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=here, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return set(done.stdout.split())

    first, again, other = ask_elsewhere(1), ask_elsewhere(1), ask_elsewhere(2)
    assert len(first) == 2 and first == again and not first & other
