"""Partial forward passes that start at an activation, with several versions of it as blocks of the batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import cached_property, partial
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from workbench.core.hooked import HookedModel, HookFn
from workbench.core.metrics import Metric
from workbench.core.torch_internals import tree_leaves, tree_map

MEMORY = 2**21
"""Maximum size in bytes of the largest activation in one run of blocks."""


def repeat_blocks(state: Any, blocks: int) -> Any:
    """Repeat a state for each block along the batch, with the memory layout kept."""
    return tree_map(lambda x: torch.cat([x] * blocks) if isinstance(x, Tensor) else x, state)


def match_layout(x: Float[Tensor, "all *rest"], like: Tensor) -> Float[Tensor, "all *rest"]:
    """Copy an activation into the memory layout of another (channels last or contiguous)."""
    last = like.ndim == 4 and not like.is_contiguous() and like.is_contiguous(memory_format=torch.channels_last)
    return x.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


@dataclass(frozen=True)
class CleanRun:
    """Clean run: the state before each stage (the last is the output) and the activations at some hooks."""

    model: HookedModel
    inputs: Any
    states: Sequence[Any]
    activations: Mapping[str, Tensor]

    @classmethod
    @torch.no_grad()
    def of(cls, model: HookedModel, inputs: Any, hooks: Iterable[str]) -> CleanRun:
        """Run the model and keep states and activations.

        Images are converted to channels last, which is faster for convolutions of large batches.

        Cost: 1 forward pass, 2 if some hooks displace others.
        """
        if model.input_axes == "batch channel height width":
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        apart = [hook for hook in hooks if model.hook_dict[hook].displaces]
        kept = model.cache(inputs, apart) if apart else {}

        def keep(hook: str, x: Tensor) -> Tensor:
            kept[hook] = x
            return x

        states = [inputs]
        with model.attach({hook: partial(keep, hook) for hook in hooks if hook not in apart}):
            for stage in range(len(model.stages)):
                states.append(model.run_stages(states[-1], stage, stage + 1))
        return cls(model, inputs, states, kept)

    def room(self, first: int, last: int, on_request: bool = False, memory: int = MEMORY) -> int:
        """Return the number of blocks (at least 1) whose largest activation in these stages fits in `memory` bytes."""
        infos = self.model.trace(self.inputs, on_request).values()
        sizes = [torch.Size(info.shape).numel() for info in infos if first <= info.stage <= last]
        return max(1, memory // (4 * max(sizes, default=1)))

    @cached_property
    def costs(self) -> list[float]:
        """Count the floating-point operations of each stage on these inputs, in 1 forward pass."""
        counted = []
        for stage, state in enumerate(self.states[:-1]):
            with torch.enable_grad(), FlopCounterMode(display=False) as counter:  # it fails without
                self.model.run_stages(state, stage, stage + 1)
            counted.append(float(counter.get_total_flops()))
        return counted

    def share_from(self, stage: int) -> float:
        """Return the cost of all stages from this one on, as a share of a forward pass."""
        return sum(self.costs[stage:]) / sum(self.costs)

    @torch.no_grad()
    def measure(
        self, hook: str, replaced: Float[Tensor, "all *rest"], blocks: int, metric: Metric
    ) -> Float[Tensor, "block batch"]:
        """Measure the metric of each block when its own activation replaces that at `hook`.

        `replaced` holds the blocks one after another along the batch.

        Cost: the stages from the hook on, for all blocks in one batch.
        """
        model, stage = self.model, self.model.stage_of(hook)
        clean = self.activations[hook]
        instead = match_layout(replaced, clean)
        if self.ends_with(hook):
            state = tree_map(lambda x: instead if x is clean else repeat_blocks(x, blocks), self.states[stage + 1])
            output = model.run_stages(state, stage + 1, len(model.stages))
        else:
            handlers: dict[str, HookFn] = {hook: lambda _: instead}
            with model.attach(handlers):
                output = model.run_stages(repeat_blocks(self.states[stage], blocks), stage, len(model.stages))
        return measure_blocks(metric, output, blocks)

    def ends_with(self, hook: str) -> bool:
        """Return whether the activation itself is all that its stage adds to the state, so the stage can be skipped."""
        stage, clean = self.model.stage_of(hook), self.activations[hook]
        before = {id(leaf) for leaf in tree_leaves(self.states[stage])}
        after = [leaf for leaf in tree_leaves(self.states[stage + 1]) if id(leaf) not in before]
        return bool(after) and all(leaf is clean for leaf in after)


def measure_blocks(metric: Metric, output: Any, blocks: int) -> Float[Tensor, "block batch"]:
    """Measure the metric of each block of an output: a dataclass is vectorized with vmap, others run block by block."""

    def apart(x: Any) -> Any:
        return rearrange(x, "(block batch) ... -> block batch ...", block=blocks) if isinstance(x, Tensor) else x

    stacked = tree_map(apart, output)
    if is_dataclass(metric) and blocks > 1:
        return torch.vmap(metric)(stacked)
    return torch.stack([metric(tree_map(lambda x, i=i: x[i], stacked)) for i in range(blocks)])
