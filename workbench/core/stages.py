"""Sweeps over interventions with prefix reuse and batched conditions.

1. Find the first stage that each condition edits.
2. Run the intact model stage by stage, and start each condition from the cached state before its first stage.
3. Run conditions that start at the same stage as blocks of one batch, as many as fit in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.core.arguments import check_arguments
from workbench.core.errors import InputError, OverwrittenError, ShapeError
from workbench.core.hooked import HookedModel, HookFn
from workbench.core.inputs import check_inputs, explain_input_errors
from workbench.core.interventions import Intervention, apply_all, require_interventions
from workbench.core.listeners import versions
from workbench.core.nested import map_tensors
from workbench.core.probing import equal
from workbench.core.progress import Progress, silent

Condition = Sequence[Intervention]
Measure = Callable[[Any], Tensor]


@check_arguments
@torch.no_grad()
def sweep(
    model: HookedModel,
    inputs: Any,
    conditions: Sequence[Condition],
    measure: Measure,
    memory: int = 2**21,
    progress: Progress = silent,
) -> Float[Tensor, "condition batch"]:
    """Measure the output under each of many conditions.

    The result equals one full hooked forward pass per condition to rounding. A wrapped module shares runs only if its
    rows are independent (see `model.probe`): each condition is run again among half of the others, and if one differs,
    all are run one at a time, now and later. A module that draws random numbers gets the same noise under every
    condition.

    Args:
        model: Any model.
        inputs: Inputs, batch first.
        conditions: Interventions of each condition; the empty condition is the intact model.
        measure: Returns one number per example from the model's output.
        memory: Bytes of the largest activation of a run that conditions share. Large batches gain nothing from more.
        progress: Called with the number of finished conditions and their total.

    Returns:
        The measure under each condition on each example.

    Raises:
        InputError: If the inputs hold NaN or infinity, or if the model keeps a state from run to run.
        OverwrittenError: If a stage overwrites its own input, from which the next condition would start.
        ShapeError: If `measure` does not return one number per example.

    Cost: 1 forward pass, and for each condition the stages from the first edited one on.

    Example:
        >>> model = workbench.load("digits_mlp")
        >>> conditions = [(), *[(workbench.interventions.zero(f"blocks.0.hook_post[unit={i}]"),) for i in range(3)]]
        >>> workbench.sweep(model, model.example(5), conditions, lambda logits: logits[:, 0]).shape
        torch.Size([4, 5])
    """
    check_inputs(inputs, "inputs")
    if not conditions:
        raise InputError("A sweep needs at least one condition. Pass [()] for the intact model alone.")
    starts = tuple(_first_stage(model, condition) for condition in conditions)
    force = frozenset(i.site.hook for c in conditions for i in c if _changes_path(model, i.site.hook))
    with model.lock, explain_input_errors(model, inputs):
        if model.probe is not None:
            model.probe.require_repeatable()
        room = _conditions_that_fit(model, inputs, memory)
        plan = _Sweep(model, conditions, measure, starts, force, model.count_rows(inputs), room)
        try:
            return plan.run(inputs, progress)
        except _RowsInteract:
            model.probe = replace(model.probe, rows_interact=True) if model.probe else None
            return replace(plan, room=1).run(inputs, progress)


class _RowsInteract(Exception):
    """A condition had another result among others than by itself."""


@dataclass(frozen=True)
class _Sweep:
    """Conditions of a sweep, the stage at which each starts, and the number that may share a run."""

    model: HookedModel
    conditions: Sequence[Condition]
    measure: Measure
    starts: tuple[int, ...]
    force: frozenset[str]
    batch: int
    room: int

    def run(self, inputs: Any, progress: Progress) -> Float[Tensor, "condition batch"]:
        """Measure under each condition, stage by stage."""
        results: dict[int, Tensor] = {}
        state = inputs
        for stage in range(len(self.model.stages)):
            todo = [c for c, start in enumerate(self.starts) if start == stage]
            for chunk in _chunks(self.model, self.conditions, todo, self.room):
                results |= zip(chunk, self.measure_together(state, stage, chunk), strict=True)
                progress(len(results), len(self.conditions))
            if max(self.starts, default=0) > stage:
                with self.model.attach({}, self.force):
                    state = self.model.run_stages(state, stage, stage + 1)
        if intact := [c for c, start in enumerate(self.starts) if start == len(self.model.stages)]:
            results |= dict.fromkeys(intact, self.value(state))
        progress(len(self.conditions), len(self.conditions))
        return torch.stack([results[c] for c in range(len(self.conditions))])

    def measure_together(self, state: Any, stage: int, chunk: Sequence[int]) -> list[Tensor]:
        """Measure under conditions that share a run.

        For a wrapped module, each condition is run again with half of the group and compared.
        """
        values = self.measure_once(state, stage, chunk)
        if self.model.probe is not None and len(chunk) > 1:
            half = len(chunk) // 2
            again = [x for part in (chunk[:half], chunk[half:]) for x in self.measure_once(state, stage, part)]
            if not all(equal(one, other, rounding=True) for one, other in zip(values, again, strict=True)):
                raise _RowsInteract
        return values

    def measure_once(self, state: Any, stage: int, chunk: Sequence[int]) -> list[Tensor]:
        """Measure under the conditions of one run."""
        output = self.output(state, stage, chunk)
        return [self.value(_block(output, place, self.batch, len(chunk))) for place in range(len(chunk))]

    def output(self, state: Any, stage: int, chunk: Sequence[int]) -> Any:
        """Compute the output from a stage on; raises OverwrittenError if the state is overwritten."""
        before = versions(state)
        output = _suffix(self.model, state, stage, [self.conditions[c] for c in chunk], self.force)
        if versions(state) != before:
            raise OverwrittenError(
                f"Stage {stage} of {type(self.model).__name__} or a later one overwrites its own input, from which the "
                "next condition would start. Make its first operation out of place."
            )
        return output

    def value(self, output: Any) -> Float[Tensor, " batch"]:
        """Return the measure, after checking that it is one real number per example."""
        value = self.measure(output)
        if not isinstance(value, Tensor) or value.shape != (self.batch,):
            what = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
            raise ShapeError(f"The measure returned {what} for {self.batch} examples. Return one number per example.")
        if value.is_complex():
            raise InputError("The measure returned complex numbers. Return real ones, such as their moduli.")
        return value.float() if value.element_size() < 4 and value.is_floating_point() else value


def _first_stage(model: HookedModel, condition: Condition) -> int:
    edits = require_interventions(condition)
    return min((model.stage_of(i.site.resolve(model).hook) for i in edits), default=len(model.stages))


def _conditions_that_fit(model: HookedModel, inputs: Any, memory: int) -> int:
    """Return the number of copies of the batch (at least 1) whose largest activation fits in `memory` bytes."""
    if model.probe is not None and not model.probe.batches_conditions:
        return 1
    infos = model.trace(inputs, on_request=False).values()
    batch = model.count_rows(inputs)
    if model.probe is None and any(info.shape[:1] != (batch,) for info in infos):
        return 1
    largest = max(torch.Size(info.shape).numel() for info in infos)
    return max(1, memory // (4 * largest))


def _suffix(model: HookedModel, state: Any, stage: int, chunk: Sequence[Condition], force: frozenset[str]) -> Any:
    """Compute the output from `stage` on, with the state repeated and edited for each condition.

    A single row is repeated at the first edit, if the model can broadcast it until then.
    """
    blocks = len(chunk)
    if blocks == 1:
        with model.attach(model.compile_edits(chunk[0]), force):
            return model.run_stages(state, stage, len(model.stages))
    batch = model.count_rows(state)
    lazy = model.broadcasts_rows and batch == 1
    with model.attach(_block_handlers(model, chunk, batch), force):
        rows = torch.arange(batch).repeat(blocks)
        state = model.run_stages(state if lazy else model.take_rows(state, rows), stage, stage + 1)
        if lazy:
            state = map_tensors(lambda x: _to_blocks(x, blocks), state)
        return model.run_stages(state, stage + 1, len(model.stages))


def _to_blocks(x: Tensor, blocks: int) -> Tensor:
    """Expand a single row to one row per block."""
    return x.expand(blocks, *x.shape[1:]) if len(x) == 1 else x


def _block_handlers(model: HookedModel, chunk: Sequence[Condition], batch: int) -> dict[str, HookFn]:
    by_hook: dict[str, list[tuple[int, Intervention]]] = {}
    for block, condition in enumerate(chunk):
        for intervention in condition:
            by_hook.setdefault(intervention.site.hook, []).append((block, intervention))
    return {
        hook: partial(_edit_blocks, model.hook_dict[hook].axes, items, batch, len(chunk))
        for hook, items in by_hook.items()
    }


def _edit_blocks(
    axes: tuple[str, ...], items: list[tuple[int, Intervention]], batch: int, blocks: int, x: Tensor
) -> Tensor:
    y = (_to_blocks(x, blocks) if batch == 1 else x).clone()
    if len(y) != batch * blocks:
        raise _RowsInteract
    for block, intervention in items:
        rows = slice(block * batch, (block + 1) * batch)
        y[rows] = apply_all((intervention,), axes, y[rows])
    return y


def _changes_path(model: HookedModel, hook: str) -> bool:
    """Return whether requesting a hook changes the computation (explicit instead of fused attention)."""
    point = model.hook_dict[hook]
    return point.on_request and not point.displaces


def _chunks(model: HookedModel, conditions: Sequence[Condition], todo: Sequence[int], room: int) -> Iterator[list[int]]:
    """Yield conditions that share a run: at most `room`, none of which displaces hook points of another.

    A condition on an activation whose first axis is not the batch gets a separate run.
    """

    def kind(c: int) -> tuple[bool, list[str]]:
        points = [model.hook_dict[i.site.hook] for i in conditions[c]]
        alone = any(point.axes[:1] != ("batch",) for point in points)
        return alone, sorted(str(point.name) for point in points if point.displaces)

    for (alone, _), alike in groupby(sorted(todo, key=kind), key=kind):
        members, size = list(alike), 1 if alone else room
        yield from (members[i : i + size] for i in range(0, len(members), size))


def _block(output: Any, block: int, batch: int, blocks: int) -> Any:
    """Select the rows of one condition."""
    if blocks == 1:
        return output
    return map_tensors(lambda x: x[block * batch : (block + 1) * batch], output)
