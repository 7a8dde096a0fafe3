"""Tests of recordings: reused for the same form of inputs, made again for another, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import workbench
from workbench.core.errors import InputError, TrainingModeError
from workbench.core.interventions import scale
from workbench.core.tape_model import TapeModel


class Network(nn.Module):
    """Two linear layers and a function that joins them."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.function, self.factor = nn.Linear(4, 8), nn.Linear(8, 3), function, 1.0

    def forward(self, *args: Any, **named: Any) -> Tensor:
        return self.function(self, *args, **named)


def opened(function: Callable[..., Tensor], example: Any) -> tuple[Network, TapeModel]:
    network = Network(function).eval().double()
    return network, workbench.record(network, example)


def rand(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64)


@torch.no_grad()
def agree(network: Network, model: TapeModel, inputs: Any) -> bool:
    own = network(**inputs) if isinstance(inputs, dict) else network(*inputs)
    return torch.allclose(model.run_with_cache(inputs)[0], own)


def plain(network: Network, x: Tensor) -> Tensor:
    return network.b(network.a(x).relu() * network.factor)


def test_named_inputs_may_come_in_any_order() -> None:
    network, model = opened(lambda n, x, y: n.b((n.a(x) - 2 * n.a(y)).relu()), {"x": rand(4, 4), "y": rand(4, 4)})
    assert agree(network, model, {"y": rand(3, 4), "x": rand(3, 4)})


def test_another_number_or_a_longer_shared_input_is_recorded_anew() -> None:
    network, model = opened(lambda n, x, factor: n.b((n.a(x) * factor).relu()), (rand(4, 4), 2.0))
    assert agree(network, model, (rand(3, 4), 3.0)) and agree(network, model, (rand(3, 4), 2.0))
    network, model = opened(
        lambda n, x, p: n.b(n.a(x).relu()) + (x @ p.T).mean(-1, keepdim=True), (rand(4, 4), rand(5, 4))
    )
    assert agree(network, model, (rand(3, 4), rand(7, 4)))


def test_another_argument_of_the_same_shape_is_refused() -> None:
    def either(n: Network, x: Tensor, mask: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        return n.b((n.a(x) * mask if mask is not None else n.a(x) + bias).relu())

    _, model = opened(either, {"x": rand(4, 4), "mask": rand(4, 8)})
    with pytest.raises(InputError, match="does other work"):
        model.run_with_cache({"x": rand(3, 4), "bias": rand(3, 8)})


def replace_parameter(n: Network) -> None:
    n.a.weight = nn.Parameter(rand(8, 4))


def replace_data(n: Network) -> None:
    n.a.weight.data = rand(8, 4)


def replace_layer(n: Network) -> None:
    n.a = nn.Linear(4, 8).double().eval()


def assign(n: Network) -> None:
    n.load_state_dict({name: torch.rand_like(x) for name, x in n.state_dict().items()}, assign=True)


def write_in_place(n: Network) -> None:
    with torch.no_grad():
        n.a.weight.mul_(2)


def change_attribute(n: Network) -> None:
    n.factor = 3.0


@pytest.mark.parametrize(
    "change", [replace_parameter, replace_data, replace_layer, assign, write_in_place, change_attribute]
)
def test_a_network_that_was_changed_is_recorded_anew(change: Callable[[Network], None]) -> None:
    network, model = opened(plain, rand(4, 4))
    inputs = (rand(3, 4),)
    assert agree(network, model, inputs)
    change(network)
    assert agree(network, model, (rand(3, 4),)) and agree(network, model, inputs)
    with torch.no_grad(), model.edited([scale("a", 1.0)]):
        assert torch.allclose(model(inputs[0]), network(inputs[0]))


def test_a_network_to_which_work_was_added_is_refused() -> None:
    network, model = opened(plain, rand(4, 4))
    network.a.register_forward_hook(lambda _, __, output: output * 2)
    with pytest.raises(InputError, match="was changed since it was recorded"):
        model.run_with_cache(rand(3, 4))


@pytest.mark.parametrize(
    "branch",
    [
        lambda x: len((x > 6).nonzero()),
        lambda x: len(x[x > 6]),
        lambda x: max(x.flatten().tolist()) > 6,
        lambda x: x.numpy().max() > 6,
        lambda x: len(x) > 4,
    ],
)
def test_a_branch_that_the_example_did_not_take_is_refused(branch: Callable[[Tensor], Any]) -> None:
    with pytest.raises(InputError):
        _, model = opened(lambda n, x: n.b(n.a(x) * 2 if branch(x) else n.a(x)), rand(4, 4))
        model.run_with_cache(rand(5, 4) * 10)


def test_a_network_that_keeps_its_last_activation_is_refused() -> None:
    def remember(n: Network, x: Tensor) -> Tensor:
        h = n.a(x)
        last = n.__dict__.get("last")
        n.last = h.detach()
        return n.b(h if last is None or last.shape != h.shape else h + last)

    with pytest.raises(InputError, match="keeps a state"):
        opened(remember, rand(4, 4))


def test_a_plain_run_in_training_mode_raises_too() -> None:
    network, model = opened(plain, rand(4, 4))
    network.a.train()
    with pytest.raises(TrainingModeError):
        model(rand(3, 4))


def test_weights_are_constants_of_the_tape_and_inputs_have_gradients() -> None:
    network, model = opened(plain, rand(4, 4))
    x = rand(3, 4).requires_grad_()
    model.run_with_cache(x)[0].sum().backward()
    through_tape, x.grad = x.grad, None
    network(x).sum().backward()
    assert torch.allclose(through_tape, x.grad)
    with pytest.raises(RuntimeError, match="does not require grad"):
        model.run_with_cache(rand(3, 4))[0].sum().backward()


def test_a_shared_tensor_as_long_as_the_batch_is_named_in_the_error() -> None:
    with pytest.raises(InputError, match="must not be as long as the batch"):
        opened(lambda n, x, table: n.b((n.a(x) @ table).relu()), (rand(8, 4), rand(8, 8)))
