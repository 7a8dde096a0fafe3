"""Path patching: the effect of one node on the metric along a single path (Goldowsky-Dill et al. 2023).

1. The first node writes as in the corrupted run, and only the first edge of the path carries that.
2. Each later node is run on the clean input plus what the edge before it carries; the next edge carries what it writes.
3. The effect of a prefix of the path is measured by letting the last node's new write reach everything after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.circuits.attribution import Replacement, eap_ig, other_writes
from workbench.analysis.circuits.faithfulness import Behaviour
from workbench.analysis.contrast import check_same_shape
from workbench.core.coordinates import Axis, Result, View
from workbench.core.errors import InputError, UnknownNameError
from workbench.core.hooked import HookedModel
from workbench.core.metrics import Metric, name_of
from workbench.core.progress import Progress, silent
from workbench.core.registry import ANALYSES
from workbench.core.sites import Site
from workbench.core.wiring import Edge, Wiring


@dataclass(frozen=True)
class PathEffect(Result):
    """Effect of a path: metric(path patched) - metric(intact), on each example, in the metric's units.

    `path` has the edges in order. `prefix[i]` is the batch mean of the effect if the write after i + 1 edges reaches
    everything after it. A negative effect means that the path raises the metric. `clean` is the intact metric,
    `corrupted` that with every edge cut.
    """

    view: ClassVar[View] = View(
        main="prefix", quantity="change of the metric", title="A path of {path:n} edges ({ablation})",
        sentence="Patching the path {path} changes the metric by {effect:top} from {clean}, which is {share:%} of "
        "cutting every edge, {effect:over}{effect:caution}.",
    )  # fmt: skip

    path: tuple[str, ...]
    ablation: str
    metric: str
    effect: Float[Tensor, " batch"]
    prefix: Float[Tensor, " edge"]
    clean: Float[Tensor, " batch"]
    corrupted: Float[Tensor, " batch"]

    @property
    def share(self) -> float:
        """Effect of the path divided by that of cutting every edge."""
        return float(self.effect.mean() / (self.corrupted.mean() - self.clean.mean()))

    def coordinates(self) -> Mapping[str, Axis]:
        """Name the edges of the path."""
        return {"edge": Axis("edge", [f"{i}. {edge}" for i, edge in enumerate(self.path, 1)])}


@ANALYSES.register("path")
@torch.no_grad()
def patch_path(
    model: HookedModel,
    inputs: Any,
    corrupted: Any,
    metric: Metric,
    path: str = "",
    ablation: Replacement = "resample",
    progress: Progress = silent,
) -> PathEffect:
    """Measure the effect of one path through the graph on the metric.

    Args:
        model: Any model with a computation graph.
        inputs: Clean inputs, batch first.
        corrupted: Inputs of the same shape that change the answer.
        metric: Returns one number per example from the model's output.
        path: Sites from a node through ports to the output, such as `hook_embed -> blocks.0.hook_v_input[head=1] ->
            blocks.0.hook_resid_post`. The node between two ports may be left out if the first port feeds only one. By
            default the path whose weakest edge is strongest by EAP-IG.
        ablation: What the first node writes: "resample" its write in the corrupted run, "mean" the batch mean of that,
            "zero" nothing.
        progress: Called with the number of finished edges and their total.

    Returns:
        A `PathEffect`: the effect of the path on each example, and the mean effect of each of its prefixes.

    Raises:
        ShapeError: If `corrupted` differs from `inputs` in shape.
        InputError: If `path` is not a path to the output, or the examples share no effect of the corruption.
        UnknownNameError: If `path` names a node or port that does not exist.

    Cost: 1 forward pass for each edge, and 1 more for each prefix.

    References: Goldowsky-Dill et al. 2023; Wang et al. 2023.

    Example:
        >>> found = workbench.run("path", model="greater_than_gpt", inputs="test:0:16")
        >>> len(found.path) == len(found.prefix)
        True
    """
    check_same_shape(inputs, corrupted)
    with model.lock:
        graph = model.graph()
        behaviour = Behaviour.of(graph, inputs, other_writes(graph, corrupted, ablation), metric)
        assert behaviour.gap
        edges = parse_path(graph.wiring, path) if path else strongest_path(behaviour)
        effects = patch_prefixes(behaviour, edges, progress)
        whole = effects[-1] if edges[-1].port.hook in graph.sinks else torch.zeros_like(behaviour.clean)
    return PathEffect(
        path=tuple(map(str, edges)),
        ablation=ablation,
        metric=name_of(metric),
        effect=whole,
        prefix=torch.stack(effects).mean(dim=1),
        clean=behaviour.clean,
        corrupted=behaviour.cut,
    )


def patch_prefixes(behaviour: Behaviour, edges: Sequence[Edge], progress: Progress = silent) -> list[Tensor]:
    """Measure metric - intact for each prefix of the path, on each example.

    Edge i carries what its writer computes from edge i - 1, in a run in which everything else is clean.
    """
    graph, metric = behaviour.graph, behaviour.metric
    other, found = behaviour.other, []
    for done, edge in enumerate(edges):
        wire, place = graph.wiring.find(str(edge))
        cut = graph.full(0.0)
        cut[wire][place] = 1
        next_hook = edges[done + 1].writer.hook if done + 1 < len(edges) else None
        with graph.patch(other, cut) as model:
            output, written = with_write(model, behaviour.inputs, next_hook)
        found.append(metric(output) - behaviour.clean)
        other = written
        progress(done + 1, len(edges))
    return found


def with_write(model: HookedModel, inputs: Any, hook: str | None) -> tuple[Any, dict[str, Tensor]]:
    """Run the model and return its output, and the activation at a hook."""
    if hook is None:
        return model(inputs), {}
    seen: dict[str, Tensor] = {}

    def see(x: Tensor) -> Tensor:
        seen[hook] = x
        return x

    with model.attach({hook: see}):
        return model(inputs), seen


def parse_path(wiring: Wiring, text: str) -> list[Edge]:
    """Parse a path into edges; raises if it names an unknown site, skips a node, or stops before the output."""
    sites = [Site.parse(part) for part in text.split("->")]
    if len(sites) < 2:
        raise InputError(f"{text!r} is not a path. Write it like 'node -> port -> node -> port', ending at the output.")
    edges: list[Edge] = []
    node, port = sites[0], None
    for site in sites[1:]:
        if port is not None:
            node = next_node(wiring, port, site)
            if node == site:
                port = None
                continue
        elif site.hook not in wiring.ports:
            raise UnknownNameError("port", site.hook, wiring.ports, where=f" after {node} in this path")
        wire, place = wiring.find(f"{node} -> {site}")
        edges.append(wiring.edge(wire, *place))
        port = site
    if port is None or port.hook not in wiring.sinks:
        ends = " or ".join(wiring.sinks)
        raise InputError(f"This path stops at {sites[-1]}, before the output. Continue it to {ends}.")
    return edges


def next_node(wiring: Wiring, port: Site, site: Site) -> Site:
    """Return the node between a port and the next site: that site if the port feeds it, else the only node it feeds."""
    fed = [node for start, node in wiring.feeds() if start == str(port)]
    if str(site) in fed:
        return site
    if site.hook not in wiring.ports:
        raise UnknownNameError("node", str(site), fed, where=f" fed by {port}")
    if len(fed) != 1:
        raise InputError(
            f"{port} feeds {len(fed)} nodes. Name one of them before {site}, such as {fed[0]}." if fed
            else f"{port} is where the output is read, and nothing follows it. End the path there."
        )  # fmt: skip
    return Site.parse(fed[0])


def strongest_path(behaviour: Behaviour) -> list[Edge]:
    """Find the path from a source to a sink whose weakest edge is strongest, by EAP-IG."""
    graph, wiring = behaviour.graph, behaviour.graph.wiring
    scores = eap_ig(graph, behaviour.inputs, behaviour.other, behaviour.metric)
    strength = wiring.as_vector(scores).abs()
    low, high = 1, wiring.n_edges
    while low < high:
        middle = (low + high) // 2
        kept = wiring.as_vector(wiring.prune(wiring.largest(strength, middle)))
        low, high = (low, middle) if kept.any() else (middle + 1, high)
    kept = wiring.prune(wiring.largest(strength, low))
    edges = [edge for edge, wire, place in wiring.edges() if kept[wire][place]]
    return walk(wiring, edges)


def walk(wiring: Wiring, edges: Sequence[Edge]) -> list[Edge]:
    """Follow edges from a source to a sink; each of them must be on some path."""
    feeds: dict[str, set[str]] = {}
    for port, node in wiring.feeds():
        feeds.setdefault(port, set()).add(node)
    path = [next(edge for edge in edges if edge.writer.hook in wiring.sources)]
    while path[-1].port.hook not in wiring.sinks:
        path.append(next(edge for edge in edges if str(edge.writer) in feeds[str(path[-1].port)]))
    return path
