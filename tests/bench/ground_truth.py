"""Benchmark of edge scores on known circuits: area under the ROC curve against causal labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from statistics import mean
from typing import Any

from torch import Tensor

from tests.bench.harness import Figure
from workbench.analysis.circuits.attribution import eap, eap_ig, other_writes
from workbench.analysis.circuits.exact import exact
from workbench.analysis.circuits.local_exact import local_exact
from workbench.core.registry import CIRCUITS
from workbench.ground_truth.known import Ablation, KnownCircuit, known_circuit

Score = Callable[[Any, Any, Any, Any], dict[str, Tensor]]
METHODS: dict[str, Score] = {
    "exact": exact,
    "eap": eap,
    "eap_ig": eap_ig,
    "local": local_exact,
}
ABLATIONS: tuple[Ablation, ...] = ("zero", "resample")
TARGETS = {"exact zero": (">= 1", ">= 1"), "local zero": (">= 0.95", ">= 0.9")}


@cache
def known(name: str) -> KnownCircuit:
    """A known circuit, made once."""
    return known_circuit(name)


def areas() -> Iterator[Figure]:
    """The mean over all known circuits and the worst of them, for each method and ablation."""
    for method in METHODS:
        for ablation in ABLATIONS:
            found = {name: area for name in CIRCUITS if (area := auroc(name, method, ablation)) is not None}
            worst = min(found, key=lambda name: found[name])
            bounds = TARGETS.get(f"{method} {ablation}", (None, None))
            unit = f"edge AUROC, {len(found)} known circuits"
            yield Figure(f"circuits.auroc.{method}.{ablation}.mean", mean(found.values()), unit, target=bounds[0])
            label = f"circuits.auroc.{method}.{ablation}.worst"
            yield Figure(label, found[worst], f"edge AUROC, {worst}", target=bounds[1])


def auroc(name: str, method: str, ablation: Ablation) -> float | None:
    """Of one network; None where no edge matters, as for the length of inputs that are all equally long."""
    it = known(name)
    other = other_writes(it.graph, it.corrupted, ablation)
    return it.auroc(METHODS[method](it.graph, it.inputs, other, it.metric), ablation)
