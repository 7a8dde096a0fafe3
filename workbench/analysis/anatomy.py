"""Anatomy: the stages of a model and the hooks in each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from workbench.core.coordinates import Result, View
from workbench.core.hooked import HookedModel, Stage
from workbench.core.registry import ANALYSES


@dataclass(frozen=True)
class Anatomy(Result):
    """One row per hook, in the order in which they fire.

    `stage` is the index of the hook's stage in `stages`. `size` has the lengths of its axes after the batch, for an
    example input. Hooks `on_request` have an additional cost and fire only if they are used.
    """

    view: ClassVar[View] = View(
        sentence="{parameters:,} parameters, {stages:n} stages and {hook:n} hooks, from {hook:span}."
    )

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
    """List the model's stages, and the axes and sizes of all hooks.

    Args:
        model: Any model.

    Returns:
        An `Anatomy`.

    Cost: 1 forward pass on two examples, sometimes 2.

    Example:
        >>> found = workbench.run("anatomy", model="digits_mlp")
        >>> found.hook[2], found.axes[2], found.size[2]
        ('blocks.0.hook_post', ('batch', 'unit'), (64,))
    """
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
    """Return the name of a stage's function or class; the stages of a recorded network have neither."""
    if isinstance(stage, partial):
        return "recorded operations"
    return getattr(stage, "__name__", type(stage).__name__)
