"""Cut composition: the effect of cutting the edges from one head to another's queries, keys or values in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.circuits.head_weights import find_head
from workbench.analysis.contrast import check_same_shape, metric_gap
from workbench.core.graph import Graph
from workbench.core.hooked import HookedModel
from workbench.core.metrics import Metric


@dataclass(frozen=True)
class CutComposition:
    """The metric with the edges from writing to reading heads cut at one part of the readers, on each example.

    `cut[i]` belongs to `parts[i]` (Q, K or V); `clean` is the intact metric, `corrupted` that with all edges cut.
    """

    writers: tuple[str, ...]
    readers: tuple[str, ...]
    parts: tuple[str, ...]
    cut: Float[Tensor, "part batch"]
    clean: Float[Tensor, " batch"]
    corrupted: Float[Tensor, " batch"]


@torch.no_grad()
def cut_composition(
    model: HookedModel,
    inputs: Any,
    corrupted: Any,
    metric: Metric,
    writers: Sequence[str],
    readers: Sequence[str],
) -> CutComposition:
    """Cut the edges from writing heads to the queries, keys or values of reading heads, one part at a time.

    A cut edge carries the corrupted run's write; everything else that a node reads stays clean. Heads compose through
    the part whose cut changes the metric.

    Args:
        model: A model with attention heads.
        inputs: Clean inputs, batch first.
        corrupted: Inputs of the same shape that change the answer.
        metric: Returns one number per example from the model's output.
        writers: Sites of the writing heads, such as `blocks.0.attn.hook_z[head=1]`.
        readers: Sites of the reading heads.

    Returns:
        A `CutComposition`: the metric on each example for each part.

    Raises:
        InputError: If the examples share no effect of the corruption.

    Cost: 6 forward passes.
    """
    check_same_shape(inputs, corrupted)
    with model.lock:
        graph = model.graph()
        other = graph.writes(corrupted)
        masks = [cut_edges(graph, writers, readers, part) for part in "qkv"]
        values = []
        for mask in (*masks, graph.full(0.0), graph.full(1.0)):
            with graph.patch(other, mask) as patched:
                values.append(metric(patched(inputs)))
    metric_gap(values[3], values[4])  # raises where the examples share no effect
    names = tuple(writers), tuple(readers)
    return CutComposition(*names, ("Q", "K", "V"), torch.stack(values[:3]), values[3], values[4])


def cut_edges(graph: Graph, writers: Sequence[str], readers: Sequence[str], part: str) -> dict[str, Tensor]:
    """1 on the edges from each writer to this part of each reader, where there is one."""
    cut = graph.full(0.0)
    for writer in writers:
        for reader in readers:
            (source, row), (target, column) = find_head(graph, writer), find_head(graph, reader)
            name = f"{source.hook} -> {target.reads['qkv'.index(part)]}"
            if name in cut:
                cut[name][row, column] = 1
    return cut
