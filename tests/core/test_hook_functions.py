"""Tests of hook functions that write into the tensor they get, which has no side effects."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.zoo.small import SMALL, example, small
from workbench.core.errors import InputError, ShapeError
from workbench.core.hooked import AxisHookPoint, HookedModel

every_network = pytest.mark.parametrize("name", SMALL)


class Shared(HookedModel):
    """A network whose first hook sees its input, whose second sees a weight, and that writes in place."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0]))
        self.hook_in, self.hook_table = AxisHookPoint("batch unit"), AxisHookPoint("batch unit")
        self.hook_out = AxisHookPoint("batch unit")
        self.setup(stages=[self.add])

    def add(self, x: Tensor) -> Tensor:
        table = self.hook_table(self.weight.expand_as(x))
        y = self.hook_out(self.hook_in(x) * table)
        return y.mul_(2)


def fill(x: Tensor, hook: object = None) -> Tensor:
    x[:] = 5
    return x


def fill_quietly(x: Tensor, hook: object = None) -> None:
    x[:] = 5


@pytest.mark.parametrize("function", [fill, fill_quietly])
@pytest.mark.parametrize("hook", ["hook_in", "hook_table"])
def test_writing_in_place_changes_neither_weights_nor_inputs(hook: str, function: Callable[..., Tensor | None]) -> None:
    model, x = Shared().eval(), torch.tensor([[3.0, 4.0], [6.0, 7.0]])
    clean, given = model(x), x.clone()
    with torch.no_grad(), model.edited({hook: function}):
        edited = model(x)
    expected = 2 * 5 * (torch.tensor([1.0, 2.0]) if hook == "hook_in" else x)
    assert torch.equal(edited, expected.expand_as(edited))
    assert torch.equal(model.run_with_hooks(x, fwd_hooks=[(hook, function)]), edited)
    with model.hooks(fwd_hooks=[(hook, function)]):
        assert torch.equal(model(x), edited)
    assert torch.equal(x, given) and torch.equal(model.weight, torch.tensor([1.0, 2.0]))
    assert torch.equal(model(x), clean)


@every_network
def test_writing_in_place_at_any_hook_leaves_every_weight(name: str) -> None:
    model, inputs = small(name), None
    inputs = example(model)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad(), model.edited(dict.fromkeys(model.select(None), fill_quietly)):
        model(inputs)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_what_a_function_returns_is_not_written_into_by_the_network() -> None:
    model, kept = Shared().eval(), torch.ones(1, 2)
    with model.edited({"hook_out": lambda y: kept}):
        assert torch.equal(model(torch.zeros(1, 2)), torch.full((1, 2), 2.0))
    assert torch.equal(kept, torch.ones(1, 2))


def test_a_cached_weight_is_a_copy() -> None:
    model = Shared().eval()
    with torch.no_grad():
        model.cache(torch.zeros(2, 2), "hook_table")["hook_table"].zero_()
    assert torch.equal(model.weight, torch.tensor([1.0, 2.0]))


def test_a_gradient_hook_may_write_and_stays_on_no_weight_or_input() -> None:
    model, x = Shared().eval(), torch.ones(1, 2, requires_grad=True)

    def double(gradient: Tensor, hook: object) -> None:
        gradient *= 2

    model.run_with_hooks(x, bwd_hooks=[("hook_in", double)]).sum().backward()
    assert x.grad is not None and torch.equal(x.grad, torch.tensor([[4.0, 8.0]]))
    x.grad = None
    model(x).sum().backward()
    assert torch.equal(x.grad, torch.tensor([[2.0, 4.0]]))


def test_results_of_another_kind_are_refused() -> None:
    model, x = small("mlp"), None
    x = example(model)
    for function, error in (
        (lambda a: 3, InputError),
        (lambda a: a.float(), InputError),
        (lambda a: a[:, :1], ShapeError),
    ):
        with pytest.raises(error, match=r"blocks\.0\.hook_post"), model.edited({"blocks.0.hook_post": function}):
            model(x)
