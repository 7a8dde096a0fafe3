"""Anatomy: the stages of a model and the hook points in each, before any question is asked."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.core.hooked import HookedModel, Stage
from workbench.core.registry import ANALYSES


@dataclass(frozen=True)
class Anatomy:
    """One row for each hook, in firing order; `stage` is the place in `stages` of the part that fires it.

    `size` has the lengths of the hook's axes after the batch, on an example input (positions and pixels follow
    the input's); a hook `on_request` costs extra and fires only when it is asked for.
    """

    family: str
    input_axes: str
    parameters: int
    stages: tuple[str, ...]
    hook: tuple[str, ...]
    stage: tuple[int, ...]
    axes: tuple[tuple[str, ...], ...]
    size: tuple[tuple[int, ...], ...]
    on_request: tuple[bool, ...]


@ANALYSES.register("anatomy")
def list_hooks(model: HookedModel) -> Anatomy:
    """The model's stages, and the axes and sizes of all its hooks. Costs about one forward pass on two examples."""
    hooks = list(model.trace().values())
    return Anatomy(
        family=model.family,
        input_axes=model.input_axes,
        parameters=sum(p.numel() for p in model.parameters()),
        stages=tuple(map(stage_name, model.stages)),
        hook=tuple(info.name for info in hooks),
        stage=tuple(info.stage for info in hooks),
        axes=tuple(info.axes for info in hooks),
        size=tuple(info.shape[1:] for info in hooks),
        on_request=tuple(info.on_request for info in hooks),
    )


def stage_name(stage: Stage) -> str:
    """What a stage is called in the code: its function's or its class's name."""
    return getattr(stage, "__name__", type(stage).__name__)
