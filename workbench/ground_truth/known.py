"""A network whose circuit is known by construction, and how well scores of its edges agree with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Bool
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from workbench.core.graph import Graph
from workbench.core.hooked import HookedModel
from workbench.core.metrics import Metric
from workbench.core.registry import CIRCUITS
from workbench.core.wiring import Masks

Ablation = Literal["zero", "resample"]
Matter = Callable[[Ablation], Bool[Tensor, " edge"]]


@dataclass(frozen=True)
class KnownCircuit:
    """A network, the question it answers, and which of its edges matter for that.

    An edge matters under an ablation when cutting it alone, so that it carries zero or the write of the corrupted run,
    changes what the metric reads on any of the inputs. `matter(ablation)` says so for every edge, in the graph's
    order. `duplicates` are sets of edges that stand in for each other under zero ablation: none matters alone, all
    together do.
    """

    about: str
    model: HookedModel
    inputs: Any
    corrupted: Any
    metric: Metric
    matter: Matter
    duplicates: tuple[frozenset[str], ...] = ()
    labelled: tuple[Ablation, ...] = ("zero", "resample")
    """The ablations under which it is known which edges matter."""

    @cached_property
    def graph(self) -> Graph:
        """The network's graph, of its usual detail."""
        return self.model.graph()

    def edges(self, ablation: Ablation) -> list[str]:
        """The edges that matter, as text."""
        pairs = zip(self.graph.wiring.edges(), self.matter(ablation).tolist(), strict=True)
        return [str(edge) for (edge, _, _), matters in pairs if matters]

    def auroc(self, scores: Masks, ablation: Ablation) -> float | None:
        """Chance that an edge that matters has a larger absolute score than one that does not (1 is perfect).

        None where no edge matters, or all do, or where it is not known.
        """
        if ablation not in self.labelled:
            return None
        matters = self.matter(ablation)
        if matters.all() or not matters.any():
            return None
        return float(roc_auc_score(matters, self.graph.wiring.as_vector(scores).abs()))


def known_circuit(name: str) -> KnownCircuit:
    """The known circuit of this name; `CIRCUITS` has all the names. Raises on an unknown one."""
    return CIRCUITS[name]()


def declared(graph: Graph, edges: Mapping[Ablation, Iterable[str]]) -> Matter:
    """Which edges matter, from their texts."""
    masks = {ablation: graph.full(0.0) for ablation in edges}
    for ablation, texts in edges.items():
        for text in texts:
            wire, place = graph.wiring.find(text)
            masks[ablation][wire][place] = 1
    return lambda ablation: graph.wiring.as_vector(masks[ablation]).bool()


@torch.no_grad()
def blank(model: Any) -> Any:
    """The model in double precision with every weight and bias zero and every norm doing nothing, to set by hand."""
    model = model.double().eval()
    for parameter in model.parameters():
        parameter.zero_()
        parameter.requires_grad_(False)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_var is not None
            module.weight.fill_(1)
            module.running_var.fill_(1 - module.eps)
    return model
