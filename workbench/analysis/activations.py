"""Activations at one hook, and summary statistics of all hooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.analysis.hook_shapes import require_batch_first, trace_hook, trace_hooks
from workbench.core.coordinates import Result, View
from workbench.core.hooked import HookedModel
from workbench.core.metrics import logits_of
from workbench.core.registry import ANALYSES


@dataclass(frozen=True)
class Activations(Result):
    """Activations at `hook` for each example, and the model's logits.

    `logits` are those of classes, actions or the token after the last position.
    """

    hook: str
    axes: tuple[str, ...]
    values: Float[Tensor, " batch *shape"]
    logits: Float[Tensor, "batch choice"]

    def coordinates(self) -> Mapping[str, tuple[str, ...]]:
        """Name the axes at the hook."""
        return {"shape": self.axes[1:]}


@dataclass(frozen=True)
class HookStatistics(Result):
    """Number of values, mean, standard deviation, minimum, maximum and share of exact zeros, for each hook."""

    view: ClassVar[View] = View(
        main="mean", quantity="mean and standard deviation", interval=lambda r: (r.mean - r.std, r.mean + r.std),
        title="Mean and standard deviation at each hook",
        sentence="Of {hooks:n} hooks {std:site} spreads most (standard deviation {std:max}); {zero_share:site} has "
        "most zeros, {zero_share:max%}.",
    )  # fmt: skip

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
    """Return the activation at a hook.

    Args:
        model: Any model.
        inputs: Inputs, batch first.
        hook: Name of one hook, such as "blocks.0.hook_post".

    Returns:
        An `Activations`: the values, their axes, and the logits.

    Raises:
        InputError: If `hook` matches several hooks.

    Cost: 1 forward pass.

    Example:
        >>> found = workbench.run("activations", model="digits_mlp", hook="blocks.0.hook_post", inputs="test:0:16")
        >>> found.axes, found.values.shape
        (('batch', 'unit'), torch.Size([16, 64]))
    """
    info = require_batch_first(trace_hook(model, inputs, hook))
    output, cache = model.run_with_cache(inputs, info.name)
    return Activations(info.name, info.axes, cache[info.name].float(), logits_of(output))


@ANALYSES.register("statistics")
@torch.no_grad()
def compute_statistics(model: HookedModel, inputs: Any, hook: str = "*") -> HookStatistics:
    """Summarize the values at each hook.

    Args:
        model: Any model.
        inputs: Inputs, batch first.
        hook: Name or glob. The default "*" takes all hooks without additional cost.

    Returns:
        A `HookStatistics` with one entry per hook, in the order in which they fire.

    Cost: 1 forward pass.

    Example:
        >>> found = workbench.run("statistics", model="digits_mlp", hook="blocks.*.hook_post", inputs="test:0:16")
        >>> found.hooks, found.size
        (('blocks.0.hook_post', 'blocks.1.hook_post'), tensor([1024,  512]))
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
