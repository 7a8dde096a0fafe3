"""Tests of exact edge patching: only the input of the edge's port changes."""

from __future__ import annotations

import pytest
import torch

from tests.core.test_graph import graph_of
from workbench.analysis.circuits.exact import blocks_of, own_entries


@pytest.mark.parametrize(("detail", "positions"), [("", False), ("kept", True)])
def test_an_edge_acts_at_the_entries_and_positions_that_its_port_feeds(detail: str, positions: bool) -> None:
    graph = graph_of("gpt", detail)
    writes = graph.writes(graph.model.example(2))
    n_pos = writes["hook_embed"].shape[1]
    for hook, nodes in graph.nodes.items():
        clean = graph.group(hook, writes[hook])
        for port in nodes.reads:
            group = graph.wiring.ports[port]
            entry, pos = group.size - 1, n_pos - 1
            place = (0, entry, pos) if positions else (0, entry)
            only = own_entries(graph, port, hook, clean, [place])
            expected = torch.zeros(clean.shape[1:], dtype=torch.bool)
            rows = expected[entry] if group.size > 1 else expected
            if positions and group.sees == "same":
                axis = [a for a in graph.axes[hook] if a not in ("batch", graph._axis(hook))].index("pos")
                rows.select(axis if group.size > 1 else axis + 1, pos).fill_(True)
            else:
                rows.fill_(True)
            assert (only is None) == bool(expected.all()), (hook, port)
            assert only is None or torch.equal(only[0, 0], expected), (hook, port)


def test_adjacent_blocks_are_a_view_and_others_are_picked_in_order() -> None:
    x = torch.arange(10).reshape(5, 2)
    assert blocks_of(x, [1, 2, 3]).data_ptr() == x[1].data_ptr()
    assert torch.equal(blocks_of(x, [1, 2, 3]), x[1:4])
    assert torch.equal(blocks_of(x, [3, 1, 1]), x[[3, 1, 1]])
    assert torch.equal(blocks_of(x, [1, 3]), x[[1, 3]])
