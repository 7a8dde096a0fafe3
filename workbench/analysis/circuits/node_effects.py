"""What every node of a network is worth to a behaviour: exactly, or by one of three estimates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.circuits.atp_star import atp_star, warn_few_layers
from workbench.analysis.circuits.attribution import Replacement
from workbench.analysis.circuits.faithfulness import Behaviour
from workbench.analysis.circuits.hisp import hisp
from workbench.analysis.circuits.node_attribution import atp, refuse_flat
from workbench.analysis.circuits.node_patching import patch_nodes
from workbench.analysis.circuits.nodes import Effects, node_groups, places, replace_write
from workbench.analysis.circuits.tracing import CircuitConfig
from workbench.analysis.contrast import check_same_shape
from workbench.core.coordinates import Result, View
from workbench.core.graph import Graph
from workbench.core.hooked import HookedModel
from workbench.core.metrics import Metric, name_of
from workbench.core.progress import Progress, silent
from workbench.core.ranges import NonNegativeInt, check_fields
from workbench.core.registry import ANALYSES

Method = Literal["exact", "atp", "atp_star", "hisp"]
ESTIMATES = {"atp": atp, "atp_star": atp_star, "hisp": hisp}


@dataclass(frozen=True)
class NodeConfig:
    """How the effects of nodes are found, and how fine the graph is.

    `method` is "exact" (each node replaced in turn), "atp" (attribution patching, first order), "atp_star" (the same
    with exact attention patterns for queries and keys, averaged over layers; for three layers or more) or "hisp"
    (absolute first-order effects). `ablation` says what a node writes instead: "resample" its write in the corrupted
    run, "mean" the mean of these over the batch, "zero" nothing. `detail` is one of the model's own ("head", "neuron"
    or "block" for a GPT), empty for its usual one. `group` puts so many neighbouring channels, units or features into
    one node, 0 all of a hook. `positions` keeps token positions apart.
    """

    method: Method = "exact"
    ablation: Replacement = "resample"
    detail: str = ""
    group: NonNegativeInt = 1
    positions: bool = False

    def __post_init__(self) -> None:
        check_fields(self)

    def graph(self, model: HookedModel, inputs: Any) -> Graph:
        """The model's graph, as fine as this says."""
        return CircuitConfig(detail=self.detail, group=self.group, positions=self.positions).graph(model, inputs)


@dataclass(frozen=True)
class NodeEffects(Result):
    """What each node is worth: metric(its write replaced) - metric(intact), on each example, in the metric's units.

    `nodes` are sites. A negative effect says that the node raises the metric. "exact" effects are that, those of "atp"
    a first-order estimate; "atp_star" and "hisp" give strengths >= 0 that only rank nodes. `clean` is the intact
    metric, `corrupted` that with every write replaced. `note` says what limits the estimate, if anything does.
    """

    view: ClassVar[View] = View(
        main="effect", quantity="{measure}", ranked=True, title="Nodes replaced ({ablation}), by {method}",
        sentence="Replacing {effect:site} changes the metric most of {effect:n} nodes, by {effect:top} from {clean} "
        "{effect:over} ({method}, {ablation}); with every write replaced it is {corrupted}{note:; }{effect:caution}.",
    )  # fmt: skip

    nodes: tuple[str, ...]
    method: str
    ablation: str
    metric: str
    effect: Float[Tensor, "node batch"]
    clean: Float[Tensor, " batch"]
    corrupted: Float[Tensor, " batch"]
    note: str = ""

    @property
    def measure(self) -> str:
        """Meaning of the effects of the method."""
        return {"exact": "change of the metric", "atp": "estimated change of the metric"}.get(self.method, "strength")


@ANALYSES.register("nodes")
def node_effects(
    model: HookedModel,
    inputs: Any,
    corrupted: Any,
    metric: Metric,
    how: NodeConfig = NodeConfig(),
    progress: Progress = silent,
) -> NodeEffects:
    """What replacing each node's write does to the metric, on any model with a graph.

    Nodes are those of the graph (features, units, channels, heads, MLPs) and the queries, keys and values of heads.
    `how` says how their effects are found and how fine the graph is. Costs four forward passes, and part of one for
    each node (exact), one forward-backward pass (atp, hisp), or three forward passes and a backward pass for each
    layer (atp_star).
    """
    check_same_shape(inputs, corrupted)
    with model.lock:
        graph = how.graph(model, inputs)
        other = other_activations(graph, inputs, corrupted, how.ablation)
        behaviour = Behaviour.of(graph, inputs, other, metric)
        effects = effects_of(behaviour, how.method, progress)
    groups = node_groups(graph, inputs)
    return NodeEffects(
        nodes=tuple(str(site) for site, _, _ in places(groups)),
        method=how.method,
        ablation=how.ablation,
        metric=name_of(metric),
        effect=torch.cat([rearrange(effects[hook], "... batch -> (...) batch") for hook in groups]),
        clean=behaviour.clean,
        corrupted=behaviour.cut,
        note=warn_few_layers(graph) if how.method == "atp_star" else "",
    )


@torch.no_grad()
def other_activations(graph: Graph, inputs: Any, corrupted: Any, ablation: Replacement) -> dict[str, Tensor]:
    """What every node, query, key and value is replaced by."""
    found = graph.model.cache(corrupted, list(node_groups(graph, inputs)))
    return {hook: replace_write(x, ablation) for hook, x in found.items()}


def effects_of(behaviour: Behaviour, method: Method, progress: Progress = silent) -> Effects:
    """Every node's effect by that method; a first-order one is refused where the gradient says nothing."""
    graph, inputs, other, metric = behaviour.graph, behaviour.inputs, behaviour.other, behaviour.metric
    gap = behaviour.gap
    if method == "exact":
        return patch_nodes(graph, inputs, other, metric, progress)
    effects = ESTIMATES[method](graph, inputs, other, metric)
    refuse_flat(effects, gap)
    return effects
