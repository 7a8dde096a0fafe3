"""Recorded networks whose rows do not stay in their places are refused; others give what plain hooks give."""

import pytest
import torch
from torch import Tensor, nn

import workbench
from workbench.core.errors import InputError
from workbench.core.interventions import zero


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 3)


class Running(Layers):
    """Each row adds those before it, so that the first one is the same alone."""

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).cumsum(dim=0))


class Flipped(Layers):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x.flip(0)).relu()).flip(0)


class Sorted(Layers):
    def forward(self, x: Tensor) -> Tensor:
        order = x[:, 0].argsort()
        return self.second(self.first(x[order]).relu())[order.argsort()]


class Guided(Layers):
    """A row stands in both halves of a doubled batch."""

    def forward(self, x: Tensor) -> Tensor:
        given, free = self.second(self.first(torch.cat([x, 0 * x])).relu()).chunk(2)
        return free + 2 * (given - free)


class TimeFirst(Layers):
    def forward(self, x: Tensor) -> Tensor:
        steps = x.unflatten(1, (2, 4)).transpose(0, 1)
        hidden = self.first(steps.reshape(-1, 4)).relu()
        return self.second(hidden).unflatten(0, (2, -1)).sum(dim=0)


class Doubled(Layers):
    """The entries of a row are neighbours."""

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x.repeat_interleave(2, dim=0)).relu()).unflatten(0, (-1, 2)).sum(dim=1)


@pytest.mark.parametrize("network", [Running, Flipped, Sorted], ids=str)
def test_a_row_in_another_place_than_alone_is_refused(network: type[Layers]) -> None:
    torch.manual_seed(0)
    with pytest.raises(InputError, match="rows of a batch interact .* row alone differs"):
        workbench.record(network(), torch.randn(4, 4))


def ablate_by_hook(network: Layers, inputs: Tensor, unit: int) -> Tensor:
    def zero_unit(_: nn.Module, __: object, output: Tensor) -> Tensor:
        return output.index_fill(-1, torch.tensor([unit]), 0.0)

    hook = network.first.register_forward_hook(zero_unit)
    output = network(inputs)
    hook.remove()
    return output[:, 0]


@torch.no_grad()
@pytest.mark.parametrize("network", [Running, Flipped, Sorted, Guided, TimeFirst, Doubled], ids=str)
def test_a_sweep_gives_what_plain_hooks_give(network: type[Layers]) -> None:
    torch.manual_seed(0)
    module, inputs = network(), torch.randn(6, 8 if network is TimeFirst else 4)
    opened = workbench.record if network in (Guided, TimeFirst, Doubled) else workbench.wrap
    model = opened(module, inputs)
    conditions = [(zero(f"first[unit={unit}]"),) for unit in range(5)]
    swept = workbench.sweep(model, inputs, conditions, measure=lambda y: y[:, 0])
    for unit, values in enumerate(swept):
        torch.testing.assert_close(values, ablate_by_hook(module, inputs, unit))


@torch.no_grad()
def test_a_flattened_axis_with_the_time_first_is_shown_by_rows() -> None:
    torch.manual_seed(0)
    module, inputs = TimeFirst(), torch.randn(6, 8)
    shown = workbench.record(module, inputs).cache(inputs, "first")["first"]
    torch.testing.assert_close(shown, module.first(inputs.unflatten(1, (2, 4))))


@torch.no_grad()
def test_a_tensor_that_all_rows_share_is_an_input_of_a_recorded_network() -> None:
    class Scaled(Layers):
        def forward(self, x: Tensor, scale: Tensor) -> Tensor:
            return self.second(self.first(x) / scale)

    torch.manual_seed(0)
    module, inputs = Scaled(), (torch.randn(6, 4), torch.rand(1, 5) + 1)
    model = workbench.record(module, inputs)
    assert model.hook_dict[":div.in_1"].axes == ("axis0", "unit")
    (values,) = workbench.sweep(model, inputs, [(zero("first[unit=2]"),)], measure=lambda y: y[:, 0])
    cut = module.first(inputs[0]).index_fill(1, torch.tensor([2]), 0.0)
    torch.testing.assert_close(values, module.second(cut / inputs[1])[:, 0])


def test_a_module_that_adds_what_it_kept_of_an_earlier_run_is_refused() -> None:
    class Kept(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.write, self.read, self.kept = nn.Linear(3, 4), nn.Linear(4, 2), None

        def forward(self, x: Tensor) -> Tensor:
            h = self.write(x).relu()
            if self.kept is None or self.kept.shape != h.shape:
                self.kept = h.detach()
            return self.read(h + self.kept)

    with pytest.raises(InputError, match="keeps a state"):
        workbench.record(Kept(), torch.rand(5, 3))


def test_a_tensor_that_all_rows_share_stays_where_rows_are_reversed() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read = nn.Linear(3, 2)

        def forward(self, x: Tensor, scale: Tensor) -> Tensor:
            return self.read(x.relu() * scale)

    module, example = Scaled(), (torch.rand(4, 3), torch.rand(1, 3))
    model = workbench.record(module, example)
    torch.testing.assert_close(model.run_stages(example, 0, len(model.stages)), module(*example))
