"""Tests of transports against the weights of the segment: input units, ports of outputs, masks on weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.testing import assert_close

import workbench
from workbench.core.tape import Ref
from workbench.core.tape_model import TapeModel
from workbench.core.transport import Segment, _owners, masked_weights


class Layers(nn.Module):
    """Units, a linear map and units; then channels that are flattened before they are read."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Linear(3, 4), nn.Linear(4, 5), nn.Linear(10, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.two(self.one(x).relu()).relu()
        return self.three(torch.stack([y, y], dim=2).flatten(1).tanh())


def opened() -> tuple[TapeModel, dict[str, Ref]]:
    torch.manual_seed(0)
    model = workbench.record(Layers().double(), torch.rand(2, 3).double())
    return model, model.names.at


def test_an_input_of_the_weights_belongs_to_the_unit_that_changes_it() -> None:
    units, width = 3, 2
    alone = torch.eye(units).repeat_interleave(width, dim=1)  # (unit, input)
    assert _owners(alone, units, 1) is not None
    assert _owners(alone, units, 1).tolist() == [0, 0, 1, 1, 2, 2]  # type: ignore[union-attr]
    both = alone.clone()
    both[1, 0] = 1
    assert _owners(both, units, 1) is None  # two units reach the first input
    nobody = alone.clone()
    nobody[0, 0] = 0
    assert _owners(nobody, units, 1) is None
    spread = torch.stack([alone, 0 * alone], dim=1).flatten(0, 1)  # two rows for each unit, one of them empty
    assert _owners(spread, units, 1).tolist() == [0, 0, 1, 1, 2, 2]  # type: ignore[union-attr]


def test_a_linear_map_between_units_is_carried_by_its_weights() -> None:
    model, at = opened()
    segment = Segment.between(model, at[":relu"], at["two"])
    weight = model.module.two.weight.detach()
    assert_close(segment.weight, weight.T)
    assert segment.writer_of_input(1, 4).tolist() == [0, 1, 2, 3]  # type: ignore[union-attr]
    assert segment.port_of_output(1, 5).tolist() == [0, 1, 2, 3, 4]  # type: ignore[union-attr]
    change = torch.rand(6, 4, dtype=torch.float64)
    assert_close(segment.carry(change, 6), change @ weight.T)
    mask = (torch.rand(4, 5) > 0.5).double()
    writers, ports = torch.arange(4), torch.arange(5)
    masked = masked_weights(segment, writers, ports, mask)
    assert_close(segment.carry(change, 6, masked), change @ (weight.T * mask))
    assert_close(masked_weights(segment, writers, None, mask), weight.T * mask)


def test_a_value_written_twice_reaches_two_inputs_of_the_weights() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(3, 4), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.one(x).relu()
            return self.two(torch.stack([y, y], dim=2).flatten(1)).tanh()

    model = workbench.record(Twice().double(), torch.rand(2, 3).double())
    segment = Segment.between(model, model.names.at[":relu"], model.names.at["two"])
    assert segment.writer_of_input(1, 4).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]  # type: ignore[union-attr]
    graph, inputs = model.graph(), torch.rand(2, 3).double()
    wire = next(name for name in graph.wires if name.startswith(":relu"))
    cut = graph.full(0.0)
    cut[wire][1, 0] = 1
    with torch.no_grad(), graph.patch(graph.writes(torch.rand(2, 3).double() * 0), cut) as patched:
        found = patched(inputs)
    y, none = model.module.one(inputs).relu(), model.module.one(torch.zeros(2, 3).double()).relu()
    moved = torch.stack([none - y, none - y], dim=2)[:, 1] @ model.module.two.weight[0, 2:4]
    before = model.module.two(torch.stack([y, y], dim=2).flatten(1))
    assert_close(found, (before + torch.stack([moved, 0 * moved], dim=1)).tanh().detach())
