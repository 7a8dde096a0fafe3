"""Effect of replacing each node's write: measured, or estimated by attribution patching, AtP* or HISP."""

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
from workbench.analysis.circuits.gradients import require_first_order
from workbench.analysis.circuits.hisp import hisp
from workbench.analysis.circuits.node_attribution import atp
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
    """Method and granularity of node effects.

    Attributes:
        method: "exact" (each node replaced in turn), "atp" (attribution patching, first order), "atp_star" (the same
            with exact attention patterns for queries and keys, averaged over layers; for three layers or more) or
            "hisp" (absolute first-order effects).
        ablation: What a node writes instead: "resample" its write in the corrupted run, "mean" the batch mean of that,
            "zero" nothing.
        detail: Granularity of the graph, such as "head", "neuron" or "block" for a GPT. By default the model's usual.
        group: Number of adjacent channels, units or features per node; 0 puts all of a hook into one.
        positions: Use one node per token position.
    """

    method: Method = "exact"
    ablation: Replacement = "resample"
    detail: str = ""
    group: NonNegativeInt = 1
    positions: bool = False

    def __post_init__(self) -> None:
        check_fields(self)

    def graph(self, model: HookedModel, inputs: Any) -> Graph:
        """Return the model's graph at this granularity."""
        return CircuitConfig(detail=self.detail, group=self.group, positions=self.positions).graph(model, inputs)


@dataclass(frozen=True)
class NodeEffects(Result):
    """Effect of each node: metric(its write replaced) - metric(intact), on each example, in the metric's units.

    `nodes` are sites. A negative effect means that the node raises the metric. "exact" effects are measured, those of
    "atp" estimated to first order; "atp_star" and "hisp" give strengths >= 0 that only rank nodes. `clean` is the
    intact metric, `corrupted` that with every write replaced. `note` names a limit of the estimate, if there is one.
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
    """Measure or estimate the effect of replacing each node's write on the metric.

    Nodes are those of the graph (features, units, channels, heads, MLPs) and the queries, keys and values of heads.

    Args:
        model: Any model with a computation graph.
        inputs: Clean inputs, batch first.
        corrupted: Inputs of the same shape that change the answer.
        metric: Returns one number per example from the model's output.
        how: Method, value of a replaced write, and granularity of the graph.
        progress: Called with the number of finished nodes and their total.

    Returns:
        A `NodeEffects`: the effect of each node on each example, in units of the metric.

    Raises:
        ShapeError: If `corrupted` differs from `inputs` in shape.
        InputError: If the examples share no effect of the corruption, or the gradient vanishes ("atp", "atp_star",
            "hisp").

    Cost: 4 forward passes, and for each node the stages after it ("exact"), 1 forward-backward pass ("atp", "hisp"), or
    3 forward passes and a backward pass per layer ("atp_star").

    References: Vig et al. 2020; Nanda 2023; Kramar et al. 2024; Michel et al. 2019.

    Example:
        >>> found = workbench.run("nodes", model="greater_than_gpt", method="atp", detail="block")
        >>> len(found.nodes), found.effect.shape[0]
        (5, 5)
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
    """Return the replacement for every node, query, key and value, by hook."""
    found = graph.model.cache(corrupted, list(node_groups(graph, inputs)))
    return {hook: replace_write(x, ablation) for hook, x in found.items()}


def effects_of(behaviour: Behaviour, method: Method, progress: Progress = silent) -> Effects:
    """Return every node's effect by a method; raises InputError if a first-order method finds a vanishing gradient."""
    graph, inputs, other, metric = behaviour.graph, behaviour.inputs, behaviour.other, behaviour.metric
    gap = behaviour.gap
    if method == "exact":
        return patch_nodes(graph, inputs, other, metric, progress)
    effects = ESTIMATES[method](graph, inputs, other, metric)
    first_order = sum(float(effect.abs().sum() / effect.shape[-1]) for effect in effects.values())
    require_first_order(first_order, gap, "the method 'exact'")
    return effects
