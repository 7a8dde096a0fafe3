"""Circuits found in compiled programs: area under the ROC curve of each way to score edges, against causal labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import mean
from typing import Any

from sklearn.metrics import roc_auc_score
from torch import Tensor

from tests.bench.harness import Figure
from tests.ground_truth.programs import PROGRAMS, Ablation, labels, program
from workbench.analysis.circuits.attribution import attribute_edges, integrate_edges, other_writes
from workbench.analysis.circuits.exact import patch_edges
from workbench.analysis.circuits.local_exact import attribute_locally

Score = Callable[[Any, Any, Any, Any], dict[str, Tensor]]
METHODS: dict[str, Score] = {
    "exact": patch_edges,
    "eap": attribute_edges,
    "eap_ig": integrate_edges,
    "local": attribute_locally,
}
ABLATIONS: tuple[Ablation, ...] = ("zero", "resample")
TARGETS = {"exact zero": (">= 1", ">= 1"), "local zero": (">= 0.95", ">= 0.9")}


def areas() -> Iterator[Figure]:
    """The mean over all programs and the worst of them, for each method and ablation."""
    for method in METHODS:
        for ablation in ABLATIONS:
            found = {name: area for name in PROGRAMS if (area := auroc(name, method, ablation)) is not None}
            worst = min(found, key=lambda name: found[name])
            bounds = TARGETS.get(f"{method} {ablation}", (None, None))
            unit = f"edge AUROC, {len(found)} Tracr programs"
            yield Figure(f"circuits.auroc.{method}.{ablation}.mean", mean(found.values()), unit, target=bounds[0])
            label = f"circuits.auroc.{method}.{ablation}.worst"
            yield Figure(label, found[worst], f"edge AUROC, {worst}", target=bounds[1])


def auroc(name: str, method: str, ablation: Ablation) -> float | None:
    """Of one program; None where no edge matters, as for the length of inputs that are all equally long."""
    matters = labels(name, ablation)
    if not matters.any():
        return None
    known = program(name)
    graph, tokens = known.graph(), known.stored["tokens"]
    other = other_writes(graph, known.corrupted, ablation)
    scores = graph.wiring.as_vector(METHODS[method](graph, tokens, other, known.metric))
    return float(roc_auc_score(matters, scores.abs()))
