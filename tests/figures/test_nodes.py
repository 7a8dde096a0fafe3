"""Tests of the figure, sentence and table of node effects."""

from __future__ import annotations

import torch

from workbench.analysis.circuits.node_effects import NodeEffects
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.table import table


def result() -> NodeEffects:
    effect = torch.tensor([[1.0, 3.0], [-4.0, -6.0], [0.0, 0.5]])
    nodes = ("hook_input[feature=0]", "blocks.0.hook_post[unit=1]", "blocks.0.hook_post[unit=2]")
    return NodeEffects(nodes, "exact", "zero", "logit", effect, torch.ones(2), torch.zeros(2))


def test_bars_are_sorted_by_mean_effect_and_called_by_their_sites() -> None:
    (bars,) = figure(result()).data
    assert list(bars.y) == [-5.0, 0.25, 2.0]
    assert bars.x[0] == "blocks.0.hook_post[unit=1]" and bars.error_y.array[2] > 0


def test_the_text_names_the_strongest_node() -> None:
    assert "blocks.0.hook_post[unit=1]" in describe(result()) and "-5" in describe(result()).replace("−", "-")


def test_the_table_has_every_node_on_every_example() -> None:
    rows = table(result())
    assert len(rows) == 6 and set(rows["node"]) == set(result().nodes)
