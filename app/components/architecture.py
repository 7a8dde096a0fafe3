"""Diagram of a network's stages with a button for each hook."""

from __future__ import annotations

from itertools import groupby, takewhile
from typing import Any

from app.components import declare
from app.widgets.hook_choice import Hook
from workbench.analysis.anatomy import Anatomy

RENDER = declare(
    "architecture", '<div class="wb-architecture" role="group" aria-label="Architecture, from input to output"></div>'
)


def diagram(model: str, parts: Anatomy, known: dict[str, Hook], selected: str, key: str) -> str | None:
    """Draw the stages and return the hook that was pressed last."""
    stages = [stage(place, parts, known) for place in range(len(parts.stages))]
    data = {"key": model, "stages": stages, "selected": selected}
    return RENDER(key=key, data=data, default={"hook": None}, on_hook_change=lambda: None).hook


def stage(place: int, parts: Anatomy, known: dict[str, Hook]) -> dict[str, Any]:
    """Return the title of a stage, its output shape and its hooks grouped by module."""
    names = [name for name, at in zip(parts.hook, parts.stage, strict=True) if at == place]
    where = shared([name.split(".")[:-1] for name in names])
    rows = [
        {"title": module.removeprefix(where).strip("."), "hooks": [chip(known[name]) for name in group]}
        for module, group in groupby(names, key=lambda name: name.rpartition(".")[0])
    ]
    title = f"{where} · {parts.stages[place]}" if where else parts.stages[place]
    shown = [name for name in names if not known[name].on_request]
    return {"title": f"{place}  {title}", "shape": known[shown[-1]].shape if shown else "", "parts": rows}


def shared(modules: list[list[str]]) -> str:
    """Return the longest module prefix shared by all hooks of a stage."""
    together = takewhile(lambda parts: len(set(parts)) == 1, zip(*modules, strict=False))
    return ".".join(parts[0] for parts in together)


def chip(hook: Hook) -> dict[str, Any]:
    """Return the label and the shape on a hook's button."""
    label = hook.name.rpartition(".")[2].removeprefix("hook_")
    return {"name": hook.name, "label": label, "shape": hook.shape, "asked": hook.on_request}
