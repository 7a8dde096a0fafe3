"""Hook points: identity modules that name an activation and its axes, and the router that dispatches hook functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import Tensor

from workbench.core.axes import parse_axes
from workbench.core.errors import UnknownNameError
from workbench.core.hook_functions import apply_lens_function
from workbench.core.lens import HookPoint, LensHandle
from workbench.core.run_lock import RunLock

HookFn = Callable[[Tensor], Tensor]
"""Maps an activation to the activation with which the network continues."""


class Router:
    """Hook functions that are active on the hook points of one model.

    All hook points share one router, so changing the hook functions costs one assignment. `lock` is held while hook
    functions are active, so no other thread runs the model with these edits. `listened` is True if a hook point may
    have torch hooks.
    """

    def __init__(self) -> None:
        self.active_hooks: dict[str, HookFn] | None = None
        self.listened = False
        self.lock = RunLock()

    def __deepcopy__(self, memo: dict[int, Any]) -> Router:
        return memo.setdefault(id(self), Router())

    def __reduce__(self) -> tuple[type[Router], tuple[()]]:
        return Router, ()


class AxisHookPoint(HookPoint):
    """Identity module that names an activation and its axes, such as "batch channel height width".

    A hook point `on_request` fires only if it is requested by name, because its activation has an additional cost. One
    that `displaces` others replaces them when it fires, such as a stream per head instead of one norm for all heads.
    """

    def __init__(self, axes: str, on_request: bool = False, displaces: bool = False) -> None:
        super().__init__()
        self.axes = parse_axes(axes)
        self.on_request, self.displaces = on_request or displaces, displaces
        self.inferred = False
        self.router = Router()

    def __call__(self, x: Tensor) -> Tensor:
        # torch's own call costs more than a small policy's layer: it is made only where torch's hooks may listen.
        if self._forward_hooks or self._forward_pre_hooks or self._backward_hooks or self._backward_pre_hooks:
            return super().__call__(x)
        return x if self.router.active_hooks is None else self.forward(x)

    def forward(self, x: Tensor) -> Tensor:
        handlers = self.router.active_hooks
        if handlers is None:
            return x
        handler = handlers.get(self.name)  # type: ignore[arg-type]
        return x if handler is None else handler(x)

    def add_hook(
        self,
        hook: Callable[..., Any],
        dir: Literal["fwd", "bwd"] = "fwd",
        is_permanent: bool = False,
        level: int | None = None,
        prepend: bool = False,
        alias_names: list[str] | None = None,
    ) -> LensHandle:
        """Add TransformerLens's `hook(activation, hook=point)`, which gets a tensor that it may write into."""
        self.router.listened = True
        return super().add_hook(partial(apply_lens_function, hook), dir, is_permanent, level, prepend, alias_names)

    @property
    def is_observed(self) -> bool:
        """True if the activation has an active hook function, or a torch or TransformerLens hook."""
        handlers = self.router.active_hooks
        return bool(self._forward_hooks or self._backward_hooks) or (handlers is not None and self.name in handlers)


@dataclass(frozen=True)
class HookInfo:
    """Axes and shape of an activation on one input, and the stage and order in which its hook fired."""

    name: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    stage: int
    order: int
    on_request: bool
    inferred: bool

    def size(self, axis: str) -> int:
        """Return the length of a named axis."""
        if axis not in self.axes:
            raise UnknownNameError("axis", axis, self.axes, where=f" at {self.name}")
        return self.shape[self.axes.index(axis)]
