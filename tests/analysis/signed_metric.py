"""Metric whose sign is set per example so that cutting all edges lowers it, for tests on random networks."""

from __future__ import annotations

from typing import Any

import torch

from tests.analysis.test_ablation import first_logit
from workbench.analysis.circuits.attribution import Replacement, other_writes
from workbench.analysis.circuits.faithfulness import metric_kept
from workbench.core.metrics import Metric, Signed


@torch.no_grad()
def one_way(
    model: Any, clean: Any, corrupted: Any, ablation: Replacement = "resample", metric: Metric = first_logit
) -> Signed:
    """The metric turned so that cutting every edge lowers it on each example."""
    graph = model.graph()
    cut = metric_kept(graph, clean, other_writes(graph, corrupted, ablation), metric, graph.full(0.0))
    return Signed(metric, torch.where(metric(model(clean)) < cut, -1.0, 1.0).to(cut))
