"""Tests of reads per head against reading each copy of the stream in full."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import workbench
from workbench.core.ports import Port
from workbench.core.tape_model import TapeModel
from workbench.core.unit_reads import UnitRead


class Heads(nn.Module):
    """Attention written out, of two heads that may share their keys and values, behind a norm."""

    def __init__(self, bias: bool = True, shared: bool = False, deep: bool = False) -> None:
        super().__init__()
        self.shared = shared
        self.embed, self.read = nn.Embedding(7, 6), nn.Linear(8, 5)
        self.q = nn.Linear(6, 8, bias=bias)
        self.k, self.v = (nn.Linear(6, 4 if shared else 8, bias=bias) for _ in range(2))
        if deep:
            self.k, self.v = (nn.Sequential(nn.Linear(6, 6), layer) for layer in (self.k, self.v))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        x = x / x.square().mean(-1, keepdim=True).sqrt()
        q, k, v = (f(x).unflatten(-1, (-1, 4)).transpose(1, 2) for f in (self.q, self.k, self.v))
        if self.shared:
            k, v = (y.repeat_interleave(2, dim=1) for y in (k, v))
        return self.read((((q @ k.mT).softmax(-1)) @ v).transpose(1, 2).flatten(2))


def opened(module: nn.Module) -> TapeModel:
    return workbench.record(module.double(), torch.randint(7, (3, 5), generator=torch.Generator().manual_seed(0)))


def ways(model: TapeModel) -> list[tuple[Port, int, UnitRead | None]]:
    (part,) = [part for part in model.parts if part.region is not None and len(part.ports) == 4]
    assert part.region is not None and part.region.units is not None
    axes = part.region.units.operand_axis
    ports = [port for port in part.ports if port.copies is not None]
    return [(p, axes[p.operands[0]], model.unit_read(p, axes[p.operands[0]])) for p in ports]


@pytest.mark.parametrize("bias", [True, False])
def test_each_head_reads_its_copy_as_if_it_were_the_stream(bias: bool) -> None:
    model, rows = opened(Heads(bias)), 3
    found = ways(model)
    assert len(found) == 3
    for port, place, way in found:
        assert way is not None and way.columns.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
        copies = torch.rand(rows, 2, 5, 6, dtype=torch.float64) + 0.1
        program = model.program(rows)
        (operand,) = port.operands
        whole = [program.follow({port.value: copies[:, u]}, (operand,), {}, program)[operand] for u in range(2)]
        with torch.no_grad():
            read = way.read(copies, {})
        assert_close(read, torch.stack([x.select(place, u) for u, x in enumerate(whole)], dim=place))


def test_the_gradient_at_a_copy_is_that_of_the_head_that_reads_it() -> None:
    model, rows = opened(Heads()), 3
    for port, place, way in ways(model):
        assert way is not None
        (operand,) = port.operands
        program, value = model.program(rows), torch.rand(rows, 5, 6, dtype=torch.float64) + 0.1
        stream = value.clone().requires_grad_()
        with torch.enable_grad():
            read = program.follow({port.value: stream}, (operand,), {}, program)[operand]
        gradient = torch.rand_like(read)
        own = [torch.zeros_like(gradient) for _ in range(2)]
        for unit, x in enumerate(own):
            x.select(place, unit).copy_(gradient.select(place, unit))
        each = [torch.autograd.grad(read, stream, x, retain_graph=True)[0] for x in own]
        assert_close(way.pull(value, gradient), torch.stack(each, dim=1))


@pytest.mark.parametrize("deep", [False, True])
def test_heads_that_share_keys_and_values_hold_to_their_graph(deep: bool) -> None:
    model = opened(Heads(shared=True, deep=deep))
    graph, tokens = model.graph(), torch.randint(7, (2, 5))
    clean, other = model(tokens), torch.randint(7, (2, 5))
    with torch.no_grad(), graph.patch(graph.writes(other), graph.full(1.0)) as patched:
        assert_close(patched(tokens), model(other))
    with torch.no_grad(), graph.patch(graph.writes(other), graph.full(0.0)) as patched:
        assert_close(patched(tokens), clean)


def test_a_network_reads_its_copies_the_fast_way_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    read = UnitRead.read
    monkeypatch.setattr(UnitRead, "read", lambda self, *given: calls.append(self.product) or read(self, *given))
    model, tokens = opened(Heads()), torch.randint(7, (2, 5))
    graph = model.graph()
    with torch.no_grad(), graph.patch(graph.writes(tokens), graph.full(1.0)) as patched:
        patched(tokens)
    assert len(set(calls)) == 3
