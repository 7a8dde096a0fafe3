"""Hooks of a model and the widget that chooses one."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from app.state import address, jobs
from workbench.analysis.anatomy import Anatomy
from workbench.core.axes import unit_axis
from workbench.core.errors import UnknownNameError
from workbench.core.sites import Site
from workbench.experiments.questions.spec import Spec

UNHURRIED = 120.0
"""Seconds to wait for the list of hooks, which every page needs."""
PREFERRED = ("hook_post", "hook_z", "hook_mid", "hook_pooled", "hook_out")
"""Name endings of hooks that hold a layer's units, in order of preference."""


@dataclass(frozen=True)
class Hook:
    """Hook with its axes after the batch and their lengths."""

    name: str
    sizes: dict[str, int]
    on_request: bool

    @property
    def unit(self) -> str | None:
        """Return the axis of the units, or None."""
        return unit_axis(tuple(self.sizes))

    @property
    def shape(self) -> str:
        """Return axes and lengths in words: channel 16, height 32, width 32."""
        return ", ".join(f"{axis} {size}" for axis, size in self.sizes.items()) or "one number"


def anatomy(model: str) -> Anatomy:
    """Return the stages and hooks of a model."""
    found = jobs.result_of(Spec(model, "anatomy"), slot=f"anatomy {model}", patience=UNHURRIED)
    if found is None:
        address.stop()
    return found


def hooks(model: str) -> dict[str, Hook]:
    """Return the hooks of a model by name, in firing order."""
    parts = anatomy(model)
    rows = zip(parts.hook, parts.axes, parts.size, parts.on_request, strict=True)
    return {name: Hook(name, dict(zip(axes[1:], size, strict=True)), asked) for name, axes, size, asked in rows}


def usual(known: dict[str, Hook]) -> str:
    """Return the default hook: units in the middle of the network."""
    for ending in PREFERRED:
        if fitting := [name for name, hook in known.items() if name.endswith(ending) and hook.unit]:
            return fitting[len(fitting) // 2]
    return next((name for name, hook in known.items() if hook.unit), next(iter(known)))


def choose_hook(model: str, default: str | None = None, with_units: bool = False, globs: bool = False) -> str:
    """Choose a hook of the model; with `globs` also a pattern such as `blocks.*.hook_resid_pre`."""
    known = hooks(model)
    names = [name for name, hook in known.items() if hook.unit or not with_units]
    if globs and default and default not in names:
        names = [default, *names]
    free = (lambda text: check_pattern(text, model)) if globs else False
    return address.choose("Hook", names, "hook", default or usual(known), free=free, help="Where to look or to cut.")


def check_pattern(text: str, model: str) -> None:
    """Raise an `UnknownNameError` unless a hook of the model matches the pattern."""
    if not any(fnmatchcase(name, text) for name in hooks(model)):
        raise UnknownNameError("hook", text, hooks(model), where=f" in {model}, which the link asks for")


def check_site(site: Site, model: str) -> None:
    """Raise an error with the nearest name or the range unless the model has the site."""
    known = hooks(model)
    if site.hook not in known:
        raise UnknownNameError("hook", site.hook, known, where=f" in {model}")
    sizes = known[site.hook].sizes
    for axis in site.index:
        if axis not in sizes:
            raise UnknownNameError("axis", axis, sizes, where=f" at {site.hook}")
    site.check(sizes)
