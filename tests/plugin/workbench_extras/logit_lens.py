"""Logit lens (nostalgebraist 2020): the answer that the read-out would give at each earlier point of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from workbench.core.hooked import HookedModel
from workbench.core.metrics import Metric


@dataclass(frozen=True)
class LogitLens:
    """Metric of the answers read out at each of `hooks`, the last of which is the output itself."""

    hooks: tuple[str, ...]
    value: Float[Tensor, "layer batch"]


@torch.no_grad()
def read_through(model: HookedModel, inputs: Any, metric: Metric) -> LogitLens:
    """Apply a network's last stage to every earlier activation that has the shape it reads.

    Args:
        model: Any model.
        inputs: Inputs, batch first.
        metric: Returns one number per example from the model's output.

    Cost: 2 forward passes, and the last stage once for each hook.
    """
    with model.lock:
        last = len(model.stages) - 1
        leaves, tree = tree_flatten(model.run_stages(inputs, 0, last))
        earlier = [i.name for i in model.trace(inputs).values() if i.stage < last and not i.on_request]
        cache = model.cache(inputs, earlier) if earlier else {}
        shapes = [leaf.shape if isinstance(leaf, Tensor) and leaf.is_floating_point() else None for leaf in leaves]
        slot = max((i for i, shape in enumerate(shapes) if shape in [x.shape for x in cache.values()]), default=0)
        found = {name: x for name, x in cache.items() if x.shape == shapes[slot]}
        states = [[*leaves[:slot], x, *leaves[slot + 1 :]] for x in (*found.values(), leaves[slot])]
        values = [metric(model.run_stages(tree_unflatten(state, tree), last, last + 1)) for state in states]
    return LogitLens((*found, "output"), torch.stack(values))
