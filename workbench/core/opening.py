"""Discovery of a module's activations and the names of their axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from workbench.core.axis_names import Axes, AxisTracker, Factor, fresh
from workbench.core.axis_rules import FollowAxes, note_recurrent
from workbench.core.errors import InputError, WorkbenchError
from workbench.core.module_run import ModuleRun
from workbench.core.nested import map_tensors, tensors_in
from workbench.core.random import fixed_noise

MOST_AXES = 8
"""Maximum number of axes of a site."""
Shapes = dict[str, tuple[int, ...]]


@torch.no_grad()
def discover(run: ModuleRun, example: Any, seed: int) -> tuple[Shapes, tuple[str, ...]]:
    """Run the module on the example.

    Returns:
        The shape of each activation by name, and the names of submodules and activations that cannot be sites.
    """
    shapes: Shapes = {}
    opened, ran = set[str](), list[str]()

    def note(name: str, x: Tensor) -> Tensor:
        if name in shapes:
            raise InputError(f"Two submodules would both be called {name!r}. Rename one of them.")
        shapes[name] = tuple(x.shape)
        opened.add(ran[-1])
        return x

    try:
        with fixed_noise(seed):
            run(map_tensors(torch.clone, example), note, lambda part, *_: ran.append(part))
    except WorkbenchError:
        raise
    except Exception as error:
        said = next(iter(str(error).splitlines()), "").rstrip(".")
        raise InputError(
            f"{type(run.module).__name__} cannot run on the example ({type(error).__name__}: {said}). Pass an input "
            "that it accepts, the batch first, or `forward` to say how it is run."
        ) from error
    if not shapes:
        raise InputError(
            f"{type(run.module).__name__} has no submodule that returns a tensor on this example, so there is "
            "nothing to open. Wrap a module with parts, or pass `forward` to say how it is run."
        )
    closed = [run.labels[part] for part in dict.fromkeys(ran) if part not in opened]
    deep = [name for name, shape in shapes.items() if len(shape) > MOST_AXES]
    return {name: shape for name, shape in shapes.items() if name not in deep}, (*closed, *deep)


@torch.no_grad()
def follow_axes(run: ModuleRun, inputs: Any, per_row: Sequence[bool], seed: int) -> dict[str, Axes]:
    """Follow the axes from the inputs through one run and return them by name; none if an operation prevents it."""
    tracker, found = AxisTracker(), dict[str, Axes]()
    for x, own in zip(tensors_in(inputs), per_row, strict=True):
        places = [(Factor(n, of_input=True),) for n in x.shape[1:]]
        tracker.set(x, ((Factor(len(x), "batch"),), *places) if own else fresh(x.shape))

    def note(name: str, x: Tensor) -> Tensor:
        found[name] = tracker.of(x)
        return x

    def watch(part: str, module: nn.Module, output: Any) -> None:
        if isinstance(module, nn.RNNBase):
            note_recurrent(tracker, module, output)

    try:
        with fixed_noise(seed), FollowAxes(tracker):
            run(inputs, note, watch)
    except Exception:  # an operation that cannot be followed leaves the axes without names
        return {}
    return found
