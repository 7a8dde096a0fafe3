"""Liveness of every hook point, and the graph's invariants, on the committed models in double precision."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from tests.bench.harness import Figure
from workbench.checkpoints.card import names
from workbench.checkpoints.store import load
from workbench.core.hooked import HookedModel
from workbench.core.random import generator


@torch.no_grad()
def figures() -> Iterator[Figure]:
    """Every figure of this benchmark."""
    for name in names():
        model = load(name).double()
        clean, other = (tree_map(in_double, model.example(2, seed)) for seed in (0, 1))
        alive = [hook for hook in model.hook_dict if is_alive(model, hook, clean)]
        yield Figure(f"invariants.{name}.liveness", len(alive) / len(model.hook_dict), "share of hooks", None, "== 1")
        yield from of_graph(name, model, clean, other)


def of_graph(name: str, model: HookedModel, clean: Tensor, other: Tensor) -> Iterator[Figure]:
    """Largest absolute errors of the computation graph's invariants."""
    graph = model.graph()
    writes, other_writes = graph.writes(clean), graph.writes(other)
    reads = model.cache(clean, list(graph.ports))
    conservation = max(float((reads[port] - graph.predict_reads(port, writes)).abs().max()) for port in graph.ports)
    yield Figure(f"invariants.{name}.conservation", conservation, "largest error", "what ports really read", "<= 1e-8")
    for cut, expected in ((0.0, model(clean)), (1.0, model(other))):
        with graph.patch(other_writes, graph.full(cut)):
            output = model(clean)
        label = "all_cut_is_corrupted" if cut else "all_kept_is_clean"
        yield Figure(
            f"invariants.{name}.{label}", largest_difference(output, expected), "largest error", None, "<= 1e-8"
        )


def is_alive(model: HookedModel, hook: str, inputs: Tensor) -> bool:
    """Whether changing an activation changes the output."""
    clean = model(inputs)
    draw = generator(0, hook)
    with model.edited({hook: lambda x: x * (1 + torch.rand(x.shape, generator=draw))}):
        return largest_difference(model(inputs), clean) > 0


def largest_difference(one: object, other: object) -> float:
    """Over all tensors of two outputs."""
    pairs = zip(tree_leaves(one), tree_leaves(other), strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs)


def in_double(x: Tensor) -> Tensor:
    """Floating inputs in double precision."""
    return x.double() if x.is_floating_point() else x
