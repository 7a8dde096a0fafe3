"""A circuit as a graph that one can click, tab through and thin out, with its faithfulness beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent
MOST_EDGES = 2000
HTML = """
<div class="wb-circuit">
  <div class="controls">
    <label><span>Strongest edges</span><input type="range" min="0" max="400" data-id="threshold"></label>
    <output data-id="summary" aria-live="polite"></output>
    <span role="group" aria-label="Zoom">
      <button type="button" data-zoom="-" aria-label="Zoom out">−</button>
      <button type="button" data-zoom="0" aria-label="Original size">1:1</button>
      <button type="button" data-zoom="+" aria-label="Zoom in">+</button>
    </span>
  </div>
  <div class="side">
    <div class="stage">
      <p class="empty" hidden>No path from an input to an output yet: keep more edges.</p>
      <svg class="graph" role="group" aria-label="Circuit graph: arrow keys move, Enter selects, Escape clears"
        data-id="graph"><g class="inner"
        aria-hidden="true"></g><g class="edges" aria-hidden="true"></g><g class="layers"></g><g class="nodes"></g></svg>
    </div>
    <div>
      <svg class="curve" role="img" data-id="curve"></svg>
      <div class="legend">
        <span><i style="color: var(--st-primary-color)"></i>circuit</span>
        <span><i class="dashed"></i>random circuits</span>
        <span><i style="color: var(--raises)"></i>raises the metric</span>
        <span><i class="dashed" style="color: var(--lowers)"></i>lowers it</span>
      </div>
    </div>
  </div>
</div>
"""
RENDER = st.components.v2.component(
    "workbench_circuit",
    html=HTML,
    css=(HERE / "circuit.css").read_text(encoding="utf-8"),
    js=(HERE / "circuit.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Node:
    """A part of the network: its site, the few letters on it, its layer, and whether it is where paths begin or end."""

    id: str
    label: str
    layer: int
    source: bool = False
    sink: bool = False


@dataclass(frozen=True)
class Edge:
    """From node to node; `score` is what cutting it does to the metric, `rank` its place among all edges."""

    id: str
    source: str
    target: str
    score: float
    rank: int


@dataclass(frozen=True)
class Link:
    """What a node reads through a port that it shares with others: no edge of its own, but a way."""

    source: str
    target: str


@dataclass(frozen=True)
class Curve:
    """Faithfulness by number of edges: of the circuit, and of random circuits with the band they lie in."""

    edges: Sequence[int]
    faithfulness: Sequence[float]
    random: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Picture:
    """Everything the graph shows; `edges` come strongest first, `start` of all `total` are kept to begin with.

    With `counterfactual`, what hears from no source changes nothing and is left out.
    """

    key: str
    nodes: Sequence[Node]
    edges: Sequence[Edge]
    inner: Sequence[Link]
    layers: Sequence[str]
    curve: Curve
    total: int
    finding: str
    start: int = 80
    counterfactual: bool = True


def circuit(picture: Picture, key: str, selected: str | None = None) -> str | None:
    """Draws the circuit and gives the site of the node that the reader selected."""
    edges = picture.edges[:MOST_EDGES]
    seen = {end for edge in edges for end in (edge.source, edge.target)}
    data: Mapping[str, Any] = {
        **asdict(picture),
        "edges": [asdict(edge) for edge in edges],
        "nodes": [asdict(node) for node in picture.nodes if node.id in seen],
        "selected": selected if selected in seen else None,
    }
    result = RENDER(key=key, data=dict(data), default={"selected": selected}, on_selected_change=lambda: None)
    return result.selected if result.selected in seen else None
