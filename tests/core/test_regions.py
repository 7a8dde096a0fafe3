"""Stages, operations and axes of units of small networks that are opened by their tape."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import workbench
from workbench.core.tape import Operation, Ref


class Parallel(nn.Module):
    """Two layers read streams through norms that run first, and nothing else reads the streams."""

    def __init__(self, streams: int) -> None:
        super().__init__()
        self.embeds = nn.ModuleList(nn.Linear(4, 6) for _ in range(streams))
        self.norm, self.read = nn.LayerNorm(6), nn.Linear(10, 3)
        self.one, self.two = nn.Linear(6, 5), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        streams = [self.norm(embed(x)) for embed in self.embeds]
        one = self.one(streams[0]).relu()
        return self.read(torch.cat([one, self.two(streams[-1]).relu()], dim=-1))


@pytest.mark.parametrize("streams", [1, 2])
def test_a_stage_hands_on_what_a_later_port_reads_through_a_norm(streams: int) -> None:
    """The second layer's port reads a stream that nothing after the first layer names."""
    x = torch.rand(4, 4, dtype=torch.float64)
    model = workbench.record(Parallel(streams).double(), x)
    for part in model.parts:
        for port in part.ports:
            start = max(k for k, bound in enumerate(model.bounds) if bound <= part.place)
            state = model.run_stages(x, 0, start)
            with model.edited({port.name: lambda a: 2 * a}):
                whole, rest = model(x), model.run_stages(state, start, len(model.stages))
            torch.testing.assert_close(rest, whole, rtol=0, atol=0)


def test_an_operation_knows_whether_it_returns_a_sequence() -> None:
    aten = torch.ops.aten
    several = {aten.relu.default: False, aten.split.Tensor: True, aten.native_layer_norm.default: True}
    for function, expected in several.items():
        assert Operation(function, (), {}, (Ref(0),), "").several is expected


@pytest.mark.parametrize("pieces", [1, 2])
def test_a_value_is_split_into_one_piece_or_several(pieces: int) -> None:
    class Split(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(4, 4), nn.Linear(4 // pieces, 3)

        def forward(self, x: Tensor) -> Tensor:
            return sum(self.two(piece.tanh()) for piece in self.one(x).relu().chunk(pieces, dim=-1))

    module, x = Split(), torch.rand(5, 4)
    model = workbench.record(module, x)
    torch.testing.assert_close(model.run_stages(x, 0, len(model.stages)), module(x))


def test_a_source_of_one_number_per_row_has_no_units() -> None:
    class OneNumber(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.read(x[:, None].expand(-1, 3).tanh())

    graph = workbench.record(OneNumber(), torch.rand(4)).graph()
    (source,) = [group for group in graph.nodes.values() if not group.reads]
    assert source.axis is None and graph.size[source.hook] == 1


def test_units_lie_on_the_axis_that_the_next_weights_mix_not_those_behind_another_function() -> None:
    class TwoReaders(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.write, self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.write(x).relu()
            return self.one(y.tanh()).flatten(1) + self.two(y.transpose(1, 2)).flatten(1)[:, :6]

    model = workbench.record(TwoReaders(), torch.rand(5, 3, 4))
    relu = next(part.region for part in model.parts if part.region is not None and part.write == part.region.exit)
    assert relu.units is not None and relu.units.axis == 1 and relu.units.size == 3
