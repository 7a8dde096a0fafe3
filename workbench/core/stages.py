"""Sweeps over interventions that run each network part once: prefix reuse and batched conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from workbench.core.errors import InputError, ShapeError
from workbench.core.hooked import Handler, HookedModel
from workbench.core.interventions import Intervention, apply_all
from workbench.core.progress import Progress, silent

Condition = Sequence[Intervention]
Measure = Callable[[Any], Tensor]


@torch.no_grad()
def sweep(
    model: HookedModel,
    inputs: Any,
    conditions: Sequence[Condition],
    measure: Measure,
    memory: int = 2**21,
    progress: Progress = silent,
) -> Float[Tensor, "condition batch"]:
    """`measure` of the output under each condition; the empty condition is the intact model.

    Equal to one full hooked forward pass per condition to float tolerance, at the cost of one forward pass and
    one suffix per condition: a condition starts from the one cached state before the first stage it touches.
    Conditions that start at one stage share suffix runs, as blocks of the batch, as far as the largest
    activation of such a run stays within `memory` bytes (large batches gain nothing from more).
    """
    starts = [_first_stage(model, condition) for condition in conditions]
    pinned = {i.site.hook for c in conditions for i in c if _changes_path(model, i.site.hook)}
    batch, room = batch_size(inputs), _conditions_that_fit(model, inputs, memory)
    results: dict[int, Tensor] = {}
    state = inputs
    with model.lock:
        for stage in range(len(model.stages)):
            todo = [c for c, start in enumerate(starts) if start == stage]
            for chunk in _chunks(model, conditions, todo, room):
                output = _suffix(model, state, stage, [conditions[c] for c in chunk], pinned)
                for block, c in enumerate(chunk):
                    results[c] = _measured(measure, _rows(output, block, batch, len(chunk)), batch)
                progress(len(results), len(conditions))
            if max(starts, default=0) > stage:
                with model.routed({}, pinned):
                    state = model.run_stages(state, stage, stage + 1)
    for c, start in enumerate(starts):
        if start == len(model.stages):
            results[c] = _measured(measure, state, batch)
    progress(len(conditions), len(conditions))
    return torch.stack([results[c] for c in range(len(conditions))])


def batch_size(inputs: Any) -> int:
    """Number of examples: the first axis of the first tensor."""
    leaf = next((leaf for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor)), None)
    if leaf is None or leaf.ndim == 0:
        raise InputError("The inputs hold no tensor with a batch axis. Pass a batch, its examples first.")
    return len(leaf)


def _first_stage(model: HookedModel, condition: Condition) -> int:
    return min((model.stage_of(i.site.resolve(model).hook) for i in condition), default=len(model.stages))


def _conditions_that_fit(model: HookedModel, inputs: Any, memory: int) -> int:
    """How many copies of the batch keep the largest activation within `memory` bytes, at least one."""
    infos = model.trace(inputs, on_request=False).values()
    batch = batch_size(inputs)
    if any(info.shape[:1] != (batch,) for info in infos):
        return 1  # a foreign model whose activations are not batch-first: one condition at a time
    largest = max(torch.Size(info.shape).numel() for info in infos)
    return max(1, memory // (4 * largest))


def _suffix(model: HookedModel, state: Any, stage: int, chunk: Sequence[Condition], pinned: set[str]) -> Any:
    """The output from `stage` on, for the state repeated once per condition, each block edited its own way."""
    batch = batch_size(state)
    if len(chunk) == 1:
        handlers = model.handlers_for(chunk[0])
    else:
        state = tree_map(lambda x: x.repeat(len(chunk), *[1] * (x.ndim - 1)) if isinstance(x, Tensor) else x, state)
        handlers = _block_handlers(model, chunk, batch)
    with model.routed(handlers, pinned):
        return model.run_stages(state, stage, len(model.stages))


def _block_handlers(model: HookedModel, chunk: Sequence[Condition], batch: int) -> dict[str, Handler]:
    by_hook: dict[str, list[tuple[int, Intervention]]] = {}
    for block, condition in enumerate(chunk):
        for intervention in condition:
            by_hook.setdefault(intervention.site.hook, []).append((block, intervention))
    return {hook: partial(_edit_blocks, model.hook_dict[hook].axes, items, batch) for hook, items in by_hook.items()}


def _edit_blocks(axes: tuple[str, ...], items: list[tuple[int, Intervention]], batch: int, x: Tensor) -> Tensor:
    y = x.clone()
    for block, intervention in items:
        rows = slice(block * batch, (block + 1) * batch)
        y[rows] = apply_all((intervention,), axes, y[rows])
    return y


def _changes_path(model: HookedModel, hook: str) -> bool:
    """Whether asking for a hook makes the network compute the same another way (explicit for fused attention)."""
    point = model.hook_dict[hook]
    return point.on_request and not point.displaces


def _chunks(model: HookedModel, conditions: Sequence[Condition], todo: Sequence[int], room: int) -> Iterator[list[int]]:
    """Conditions that share a run: at most `room`, and none that takes another's hook points away."""

    def displacing(c: int) -> list[str]:
        return sorted(i.site.hook for i in conditions[c] if model.hook_dict[i.site.hook].displaces)

    for _, alike in groupby(sorted(todo, key=displacing), key=displacing):
        members = list(alike)
        yield from (members[i : i + room] for i in range(0, len(members), room))


def _rows(output: Any, block: int, batch: int, blocks: int) -> Any:
    if blocks == 1:
        return output
    return tree_map(lambda x: x[block * batch : (block + 1) * batch] if isinstance(x, Tensor) else x, output)


def _measured(measure: Measure, output: Any, batch: int) -> Tensor:
    value = measure(output)
    if value.shape != (batch,):
        raise ShapeError(
            f"The measure returned shape {tuple(value.shape)} for {batch} examples. Return one number per example."
        )
    return value
