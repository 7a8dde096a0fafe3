"""Activations as they are: what one hook holds on some inputs, and how large every hook's values run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.analysis.firing import trace_hooks
from workbench.core.errors import InputError
from workbench.core.hooked import HookedModel
from workbench.core.metrics import logits_of
from workbench.core.registry import ANALYSES


@dataclass(frozen=True)
class Activations:
    """What `hook` holds for each example, and the logits the model ends with.

    `logits` are those of a classifier's classes, a policy's actions or the token after the last position.
    """

    hook: str
    axes: tuple[str, ...]
    values: Float[Tensor, " batch *shape"]
    logits: Float[Tensor, "batch choice"]


@dataclass(frozen=True)
class HookStatistics:
    """Over all values of each hook: mean, standard deviation, extremes, and the share that is exactly zero."""

    hooks: tuple[str, ...]
    size: Int[Tensor, " hook"]
    mean: Float[Tensor, " hook"]
    std: Float[Tensor, " hook"]
    low: Float[Tensor, " hook"]
    high: Float[Tensor, " hook"]
    zero_share: Float[Tensor, " hook"]


@ANALYSES.register("activations")
@torch.no_grad()
def read_activations(model: HookedModel, inputs: Any, hook: str) -> Activations:
    """The activation at `hook` on the inputs, unaltered. Costs one forward pass."""
    infos = trace_hooks(model, inputs, hook)
    if len(infos) > 1:
        raise InputError(f"{hook!r} picks {len(infos)} hooks. Read one at a time, such as {infos[0].name!r}.")
    name = infos[0].name
    output, cache = model.run_with_cache(inputs, name)
    return Activations(name, infos[0].axes, cache[name].float(), logits_of(output))


@ANALYSES.register("statistics")
@torch.no_grad()
def compute_statistics(model: HookedModel, inputs: Any, hook: str = "*") -> HookStatistics:
    """How the values at each hook are spread on the inputs, in firing order. Costs one forward pass.

    `hook` may be a glob; "*" takes all hooks that cost nothing extra.
    """
    names = model.select(None if hook == "*" else hook)
    cache = model.cache(inputs, [info.name for info in trace_hooks(model, inputs, "*") if info.name in names])
    values = [x.flatten().float() for x in cache.values()]
    return HookStatistics(
        hooks=tuple(cache),
        size=torch.tensor([x.numel() for x in values]),
        mean=torch.stack([x.mean() for x in values]),
        std=torch.stack([x.std(correction=0) for x in values]),
        low=torch.stack([x.min() for x in values]),
        high=torch.stack([x.max() for x in values]),
        zero_share=torch.stack([(x == 0).float().mean() for x in values]),
    )
