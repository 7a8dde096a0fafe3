"""Networks with a known circuit, and the agreement of edge scores with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Bool
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from workbench.core.arguments import check_arguments
from workbench.core.graph import Graph
from workbench.core.hooked import HookedModel
from workbench.core.metrics import Metric
from workbench.core.registry import CIRCUITS
from workbench.core.wiring import Masks

Ablation = Literal["zero", "resample"]
Matter = Callable[[Ablation], Bool[Tensor, " edge"]]


@dataclass(frozen=True)
class KnownCircuit:
    """A network, a task, and the edges that matter for the task.

    An edge matters under an ablation if cutting it alone (so that it carries zero, or the write of the corrupted run)
    changes the metric on any of the inputs.
    """

    about: str
    """Description of the task and the metric."""
    model: HookedModel
    inputs: Any
    corrupted: Any
    metric: Metric
    matter: Matter
    """Returns whether each edge matters under an ablation, in the graph's order."""
    duplicates: tuple[frozenset[str], ...] = ()
    """Sets of edges that back each other up under zero ablation: none matters alone, but all together do."""
    labelled: tuple[Ablation, ...] = ("zero", "resample")
    """Ablations for which the circuit is known."""

    @cached_property
    def graph(self) -> Graph:
        """The network's graph at its default detail."""
        return self.model.graph()

    def edges(self, ablation: Ablation) -> list[str]:
        """Return the names of the edges that matter."""
        pairs = zip(self.graph.wiring.edges(), self.matter(ablation).tolist(), strict=True)
        return [str(edge) for (edge, _, _), matters in pairs if matters]

    def auroc(self, scores: Masks, ablation: Ablation) -> float | None:
        """Compute the area under the ROC curve of absolute scores, with the edges that matter as positives.

        Args:
            scores: Score of each edge, by wire.
            ablation: Ablation under which edges matter.

        Returns:
            The probability that an edge that matters has a larger absolute score than one that does not. None if no
            edge matters, all do, or the circuit is not known for this ablation.
        """
        if ablation not in self.labelled:
            return None
        matters = self.matter(ablation)
        if matters.all() or not matters.any():
            return None
        return float(roc_auc_score(matters, self.graph.wiring.as_vector(scores).abs()))


@check_arguments
def known_circuit(name: str) -> KnownCircuit:
    """Load a known circuit.

    Args:
        name: Name in `CIRCUITS`, such as "planted_ioi" or "tracr_reverse".

    Returns:
        A `KnownCircuit`.

    Raises:
        UnknownNameError: If there is no such circuit.

    Example:
        >>> known = workbench.known_circuit("planted_vote")
        >>> len(known.edges("zero")), known.graph.n_edges
        (9, 44)
    """
    return CIRCUITS[name]()


def make_matter(graph: Graph, edges: Mapping[Ablation, Iterable[str]]) -> Matter:
    """Return a function that marks the given edges."""
    masks = {ablation: graph.full(0.0) for ablation in edges}
    for ablation, texts in edges.items():
        for text in texts:
            wire, place = graph.wiring.find(text)
            masks[ablation][wire][place] = 1
    return lambda ablation: graph.wiring.as_vector(masks[ablation]).bool()


@torch.no_grad()
def zero_weights(model: Any) -> Any:
    """Convert a model to double precision, zero its weights and biases, and turn BatchNorms into the identity."""
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
