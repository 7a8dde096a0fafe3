"""Interactive circuit graph with an edge threshold, keyboard navigation and the faithfulness curve."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.components import declare

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
RENDER = declare("circuit", HTML)


@dataclass(frozen=True)
class Node:
    """Node of the graph: site, short label, layer, and whether paths begin or end there."""

    id: str
    label: str
    layer: int
    source: bool = False
    sink: bool = False


@dataclass(frozen=True)
class Edge:
    """Edge between two nodes. `score` is the effect of cutting it on the metric, `rank` its place among all
    edges.
    """

    id: str
    source: str
    target: str
    score: float
    rank: int


@dataclass(frozen=True)
class Link:
    """Connection from a shared port to a node that reads it. It is not an edge of the circuit."""

    source: str
    target: str


@dataclass(frozen=True)
class Curve:
    """Faithfulness by number of edges, for the circuit and for random circuits with their range."""

    edges: Sequence[int]
    faithfulness: Sequence[float]
    random: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Picture:
    """Data of the graph: `edges` are sorted by strength, and `start` of all `total` edges are shown first. With
    `counterfactual`, nodes that no source reaches have no effect and are hidden.
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
    """Draw the circuit and return the site of the selected node."""
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
