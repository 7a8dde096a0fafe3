"""Conversion of a traced circuit to data of the graph component, and details of a selected node."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import streamlit as st

from app.components.circuit import MOST_EDGES, Curve, Edge, Link, Node, Picture
from app.state import address
from app.text.errors import show
from app.text.escaping import code
from app.widgets import result_view
from app.widgets.hook_choice import hooks
from workbench.analysis.circuits.circuit import Circuit
from workbench.core.errors import UnknownNameError
from workbench.core.sites import Site
from workbench.core.wiring import Wiring
from workbench.experiments.questions.spec import Spec
from workbench.figures.alt import describe
from workbench.figures.circuit_drawing import find_vertex, list_indices

LETTERS = 6
"""Maximum length of a node's label."""
CHECK_HELP = (
    "Faithfulness, completeness, minimality and stability compared with random circuits of equal size, with intervals "
    "over the examples, and the scores of sampled edges compared with exact patching."
)
CHECK_COST = "Verification traces the circuit again on resampled examples and runs the network once per edge."
AT_FIRST = 80
"""Number of edges that are easy to read in the graph."""


@st.cache_resource(max_entries=8, show_spinner=False)
def picture(_result: Circuit, key: str) -> Picture:
    """Convert a circuit to the graph's data: strongest edges, nodes by layer, faithfulness curves."""
    wiring = _result.wiring
    strengths = np.sort(np.abs(wiring.as_vector(_result.scores).numpy()))
    to = cache(lambda port: find_vertex(wiring, port))
    edges = []
    for scored in _result.top(MOST_EDGES):
        rank = len(strengths) - int(np.searchsorted(strengths, abs(scored.score)))
        edges.append(
            Edge(f"{scored.writer} -> {scored.port}", scored.writer, to(scored.port), scored.score, max(1, rank))
        )
    layers = layer_order(wiring)
    ends = sorted({end for edge in edges for end in (edge.source, edge.target)}, key=lambda end: sort_key(end, layers))
    sinks, sources = set(wiring.sinks), set(wiring.sources)
    nodes = [
        Node(end, label(end), layers.index(hook), hook in sources, hook in sinks)
        for end in ends
        for hook in [Site.parse(end).hook]
    ]
    drawn = _result.random_faithfulness
    curve = Curve(
        *(x.tolist() for x in (_result.sizes, _result.faithfulness, drawn.mean(dim=0))),
        low=drawn.min(dim=0).values.tolist(),
        high=drawn.max(dim=0).values.tolist(),
    )
    names = [hook.replace("hook_", "") for hook in layers]
    return Picture(
        key=key,
        nodes=nodes,
        edges=edges,
        inner=inner_links(wiring, ends),
        layers=names,
        curve=curve,
        total=wiring.n_edges,
        finding=describe(_result),
        start=first_size(_result),
        counterfactual=_result.ablation == "resample",
    )


def inner_links(wiring: Wiring, ends: list[str]) -> list[Link]:
    """Link shared ports to the visible nodes that read them."""
    by_hook: dict[str, list[str]] = {}
    for end in ends:
        by_hook.setdefault(Site.parse(end).hook, []).append(end)
    return [
        Link(port, node)
        for hook, group in wiring.nodes.items()
        for read in group.reads
        if wiring.ports[read].size != group.size
        for port in by_hook.get(read, [])
        for node in by_hook.get(hook, [])
        if Site.parse(port).index.get("pos") == Site.parse(node).index.get("pos")
    ]


def layer_order(wiring: Wiring) -> list[str]:
    """Return the hooks in the graph's order; shared ports precede the nodes that read them."""
    order: list[str] = []
    for hook, group in wiring.nodes.items():
        order += [port for port in group.reads if wiring.ports[port].size != group.size]
        order.append(hook)
    return [*order, *wiring.sinks]


def sort_key(end: str, layers: list[str]) -> tuple[int, ...]:
    """Sort nodes by layer, then by index."""
    site = Site.parse(end)
    return (layers.index(site.hook), *list_indices(site))


def label(end: str) -> str:
    """Return a node's short label: axes and indices, else the end of its hook's name."""
    site = Site.parse(end)
    if site.index.keys() - {"pos"}:
        return "".join(f"{axis[0]}{entry}" for axis, entry in zip(site.index, list_indices(site), strict=True))
    name = site.hook.rpartition("hook_")[2]
    short = name if len(name) <= LETTERS else name.partition("_")[0][:LETTERS]
    return f"{short[:3]} p{site.index['pos']}" if site.index else short


def first_size(result: Circuit) -> int:
    """Return the smallest measured size with a faithfulness of 0.9, if readable, else one with enough edges to
    show.
    """
    curve = zip(result.sizes.tolist(), result.faithfulness.tolist(), strict=True)
    live_edges = lambda size: sum(int(kept.sum()) for kept in result.mask(size).values())  # on a path to the output
    measured = [(size, live_edges(size), faithfulness) for size, faithfulness in curve]
    faithful = [size for size, live, faithfulness in measured if faithfulness >= 0.9 and live <= 4 * AT_FIRST]
    visible = [size for size, live, _ in measured if live >= AT_FIRST // 4]
    return next(iter([*faithful, *visible, measured[-1][0]]))


def show_check(traced: Spec) -> None:
    """Verify the circuit on request: complement, controls, resamples and exact effects."""
    if not address.switch("Verify this circuit", "check", False, help=CHECK_HELP):
        return
    with st.container(border=True):
        size = address.number("Edges (0: the fewest that keep 90 %)", 0, 10**6, "size", 0)
        spec = replace(traced, analysis="verify", parameters={**traced.parameters, **({"size": size} if size else {})})
        result = result_view.result_or_run_button(spec, CHECK_COST, "go-check")
        if result is not None:
            result_view.result_view(result, spec)


def requested_node(shown: Picture, asked: str | None) -> str | None:
    """Return the node named by the link, or show an error if the circuit lacks it."""
    known = [node.id for node in shown.nodes]
    if asked and asked not in known:
        show(UnknownNameError("node", asked, known, where=" in this circuit, which the link asks for"))
    return asked if asked in known else None


def show_node(model: str, inputs: str, shown: Picture, selected: str | None) -> None:
    """Show the selected node's edges, strongest first, and links to its techniques."""
    if selected is None:
        st.caption("Choose a node: click it, or press Tab until the graph has the focus, then arrow keys and Enter.")
        return
    site = Site.parse(selected)
    st.markdown(f"**{code(selected)}**")
    query: dict[str, str] = {"m": model, "inputs": inputs, "hook": site.hook}
    hook = hooks(model).get(site.hook)
    unit = None if hook is None else site.index.get(hook.unit or "")
    at_unit = {"unit": str(unit)} if isinstance(unit, int) else {}
    with st.container(horizontal=True):
        address.page_link("activations", "Its activations", "grid_view", query | at_unit)
        address.page_link("ablation", "Ablate", "content_cut", query)
    rows = [
        {"from": edge.source, "to": edge.id.partition(" -> ")[2], "effect of cutting it": edge.score, "rank": edge.rank}
        for edge in shown.edges
        if selected in (edge.source, edge.target)
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, alt=f"The {len(rows)} strongest edges of {selected}")
