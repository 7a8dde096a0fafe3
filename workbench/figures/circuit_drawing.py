"""Layered drawing of edges: sources on the left, the output on the right, one column for each group."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from workbench.analysis.circuits.circuit import ScoredEdge
from workbench.core.sites import Site
from workbench.core.wiring import Wiring
from workbench.figures.figure import shorten
from workbench.figures.numerals import short
from workbench.figures.theme import BLUE, GREY, ORANGE

WIDTHS = (1.0, 2.2, 4.0)
"""Line widths of weak, middling and strong edges, in pixels."""
Places = dict[str, tuple[float, float]]


def draw_edges(wiring: Wiring, edges: Sequence[ScoredEdge], places: Places) -> list[go.Scatter]:
    """Return the traces of the drawing: edges that raise the metric are orange, those that lower it blue."""
    top = max((abs(edge.score) for edge in edges), default=0.0) or 1.0
    traces = [draw_inner_lines(wiring, places)]
    for colour, sign, name in ((ORANGE, -1, "raises the metric"), (BLUE, 1, "lowers the metric")):
        named = False
        for i, width in enumerate(WIDTHS):
            members = [edge for edge in edges if edge.score * sign > 0 and choose_width(edge, top) == i]
            lines = [(places[edge.writer], places[find_vertex(wiring, edge.port)]) for edge in members]
            traces.append(draw_lines(lines, colour, width, name, legend=bool(lines) and not named))
            named = named or bool(lines)
    return [*traces, draw_hover_points(wiring, places, edges), draw_nodes(places)]


def choose_width(edge: ScoredEdge, top: float) -> int:
    """Return the index of an edge's line width, by its share of the strongest score."""
    return min(int(len(WIDTHS) * abs(edge.score) / top), len(WIDTHS) - 1)


def find_vertex(wiring: Wiring, port: str) -> str:
    """Return the end of an edge: the node whose own port it enters, or the port if several nodes share it."""
    site = Site.parse(port)
    for hook, group in wiring.nodes.items():
        if site.hook in group.reads and wiring.ports[site.hook].size == group.size:
            return str(Site(hook, site.index))
    return port


def place_sites(wiring: Wiring, edges: Sequence[ScoredEdge]) -> Places:
    """Return the coordinates of every site that an edge touches: one column per group, with its entries spread evenly.

    A node that is alone in its group is placed above the others, so that edges do not cross it.
    """
    used = {edge.writer for edge in edges} | {find_vertex(wiring, edge.port) for edge in edges}
    order = [hook for node, group in wiring.nodes.items() for hook in (*group.reads, node)]
    order += wiring.sinks
    columns: dict[str, list[Site]] = {}
    for site in sorted(map(Site.parse, used), key=lambda site: (order.index(site.hook), *list_indices(site))):
        columns.setdefault(site.hook, []).append(site)
    above = {hook for hook, group in wiring.nodes.items() if group.reads and group.axis is None}
    return {
        str(site): (float(x), 1.1 if hook in above else (i + 0.5) / len(column))
        for x, (hook, column) in enumerate(columns.items())
        for i, site in enumerate(reversed(column))
    }


def list_indices(site: Site) -> list[int]:
    """Return the indices in a site's brackets, the first one of a range."""
    return [index.start if isinstance(index, slice) else index for index in site.index.values()]  # type: ignore[misc]


def name_columns(places: Places) -> dict[float, str]:
    """Return the label of each column: its hook, shortened."""
    return {x: shorten(Site.parse(site).hook) for site, (x, _) in places.items()}


def draw_inner_lines(wiring: Wiring, places: Places) -> go.Scatter:
    """Draw thin grey lines inside blocks, from a port that several nodes share to those of them that are drawn."""
    lines = [
        (places[start], places[end])
        for start in places
        for end in places
        if Site.parse(start).hook in getattr(wiring.nodes.get(Site.parse(end).hook), "reads", ())
    ]
    return draw_lines(lines, GREY, 0.6, "inside a block", bool(lines))


def draw_lines(lines: list, colour: str, width: float, name: str, legend: bool) -> go.Scatter:
    """Draw separate straight lines as one trace."""
    x = [value for start, end in lines for value in (start[0], end[0], None)]
    y = [value for start, end in lines for value in (start[1], end[1], None)]
    look = {"color": colour, "width": width}
    trace = go.Scatter(x=x, y=y, mode="lines", line=look, opacity=0.75, name=name, hoverinfo="skip")
    return trace.update(legendgroup=name, showlegend=legend)


def draw_hover_points(wiring: Wiring, places: Places, edges: Sequence[ScoredEdge]) -> go.Scatter:
    """Draw an invisible point at the middle of each edge, with the name of the edge as its hover text."""
    ends = [(places[e.writer], places[find_vertex(wiring, e.port)]) for e in edges]
    return go.Scatter(
        x=[(a[0] + b[0]) / 2 for a, b in ends],
        y=[(a[1] + b[1]) / 2 for a, b in ends],
        mode="markers",
        marker={"size": 12, "opacity": 0},
        customdata=[f"{e.writer} -> {e.port}<br>cut: {short(e.score)}" for e in edges],
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
    )


def draw_nodes(places: Places) -> go.Scatter:
    """Draw a dot for each site, with its index."""
    sites = [Site.parse(name) for name in places]
    return go.Scatter(
        x=[x for x, _ in places.values()],
        y=[y for _, y in places.values()],
        mode="markers+text",
        textfont={"size": 10},
        text=[",".join(map(str, list_indices(site))) for site in sites],
        textposition="top center",
        customdata=list(places),
        hovertemplate="%{customdata}<extra></extra>",
        marker={"size": 9, "color": GREY},
        showlegend=False,
    )
