"""Survey of a model: axes, shape and order of every activation on an input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from workbench.core.errors import ShapeError
from workbench.core.hook_points import HookInfo
from workbench.core.training_mode import evaluating

if TYPE_CHECKING:
    from workbench.core.hooked import HookedModel


def survey(model: HookedModel, inputs: Any, on_request: bool) -> dict[str, HookInfo]:
    """Run the model until every hook has fired, because one on request may displace another."""
    order: list[str] = []
    seen: dict[str, HookInfo] = {}
    missing = list(model.hook_dict) if on_request else model.select(None)
    while missing:
        new = _fired(model, inputs, missing)
        place = 0
        for name in new:
            if name not in seen:
                order.insert(place, name)
            place = order.index(name) + 1
        if not new.keys() - seen.keys():
            break
        seen = {**new, **seen}
        missing = [name for name in missing if name not in seen]
    return {name: replace(seen[name], order=i) for i, name in enumerate(order)}


@torch.no_grad()
def _fired(model: HookedModel, inputs: Any, asked: Sequence[str]) -> dict[str, HookInfo]:
    """Run once, requesting these hooks, and describe them and those that fire by default."""
    seen: dict[str, HookInfo] = {}

    def note(stage: int, name: str, x: Tensor) -> Tensor:
        point = model.hook_dict[name]
        if len(point.axes) != x.ndim:
            raise ShapeError(f"{name} says axes {point.axes} but its activation has shape {tuple(x.shape)}.")
        dtype = str(x.dtype).removeprefix("torch.")
        seen[name] = HookInfo(
            name, point.axes, tuple(x.shape), dtype, stage, len(seen), point.on_request, point.inferred
        )
        return x

    with model.lock, evaluating(model):
        outer = model.router.active_hooks
        try:
            for stage, run in enumerate(model.stages):
                names = (*model.select(None), *asked)
                model.router.active_hooks = {name: partial(note, stage, name) for name in names}
                inputs = run(inputs)
        finally:
            model.router.active_hooks = outer
    return seen
