"""Models whose activations have names and named axes: running, caching and editing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from workbench.core.errors import ConfigError, InputError, NeverFiredError, UnknownNameError
from workbench.core.hook_points import AxisHookPoint, HookFn, HookInfo, Router
from workbench.core.inputs import explain_input_errors
from workbench.core.interventions import Intervention, apply_all, require_interventions
from workbench.core.lens import HookedRootModule
from workbench.core.listeners import (
    Capture,
    Everything,
    chain,
    compose,
    function_handler,
    gradient_handler,
    identity,
    value_handler,
    versions,
)
from workbench.core.probe import Probe
from workbench.core.run_lock import RunLock
from workbench.core.survey import survey
from workbench.core.torch_internals import tree_leaves, tree_map
from workbench.core.training_mode import require_evaluation_mode

HookFilter = str | Sequence[str] | Callable[[str], bool] | None
State = Any
Stage = Callable[[State], State]


class HookedModel(HookedRootModule):
    """Network whose `forward` passes a state through `stages` and whose activations have hook points.

    A subclass takes a frozen config as `cfg`, builds its modules and calls `setup(stages=[...])`. A stage is a callable
    from state to state; the batch is the first axis of every tensor in the state.
    """

    cfg: Any
    card: Any = None
    tokenizer: Any = None
    probe: Probe | None = None
    family: ClassVar[str] = "model"
    input_axes: ClassVar[str] = "batch feature"
    details: ClassVar[tuple[str, ...]] = ()
    broadcasts_rows: ClassVar[bool] = False
    """True if a stage gives the same result for one row as for that row repeated, so rows can be expanded later."""
    stages: tuple[Stage, ...]
    hook_dict: dict[str, AxisHookPoint]  # type: ignore[assignment]

    def setup(self, stages: Sequence[Stage]) -> None:  # type: ignore[override]
        """Name the hook points and connect them to one router. Call it last in `__init__`."""
        super().setup()
        self.join(self.hook_dict, stages)

    def join(self, points: Mapping[str, AxisHookPoint], stages: Sequence[Stage]) -> None:
        """Connect hook points, under these names, to one router of this model."""
        self.hook_dict = dict(points)
        self.stages = tuple(stages)
        self.router = Router()
        self._traces: dict[tuple[Any, bool], dict[str, HookInfo]] = {}
        self.overwritten: set[str] = set()
        for name, point in points.items():
            point.name, point.router = name, self.router

    @property
    def lock(self) -> RunLock:
        """Lock that every run holds. Take it to protect several runs together."""
        return self.router.lock

    def forward(self, inputs: State) -> Any:
        """Compute the output for inputs, batch first."""
        lock = self.router.lock
        if not lock.plain.acquire(blocking=False):
            lock.wait()
        try:
            return self.run_stages(inputs, 0, len(self.stages))
        finally:
            lock.plain.release()

    def run_stages(self, state: State, start: int, stop: int) -> State:
        """Run stages `start` to `stop` (exclusive) and return the state."""
        for stage in self.stages[start:stop]:
            state = stage(state)
        return state

    def example(self, batch: int = 2, seed: int = 0) -> Any:
        """Return random valid inputs. Each architecture defines it."""
        raise ConfigError(f"{type(self).__name__} does not define example(); add it to the class.")

    def count_rows(self, inputs: State) -> int:
        """Return the number of examples: the length of the first axis of the first tensor."""
        return batch_size(inputs)

    def take_rows(self, inputs: State, rows: Tensor) -> State:
        """Select rows of the inputs, or of the state between two stages."""
        return tree_map(lambda x: x[rows.to(x.device)] if isinstance(x, Tensor) else x, inputs)

    def require_independent_rows(self, purpose: str) -> None:
        """Raise InputError if rows depend on one another, for a `purpose` that runs unrelated rows together."""
        if self.probe is not None:
            self.probe.require_independent_rows(purpose)

    def select(self, hooks: HookFilter) -> list[str]:
        """Return the names of the hook points that match a name, a glob, a list of these or a predicate.

        None selects all hook points that fire by default. Raises UnknownNameError if nothing matches.
        """
        if hooks is None:
            return [name for name, point in self.hook_dict.items() if not point.on_request]
        if callable(hooks):
            names = [name for name in self.hook_dict if hooks(name)]
            if not names:
                raise UnknownNameError("hook", getattr(hooks, "__name__", "<filter>"), self.hook_dict, self._where)
            return names
        several = isinstance(hooks, Iterable) and not isinstance(hooks, str | Tensor)
        chosen = [name for pattern in (hooks if several else [hooks]) for name in self._match(pattern)]
        if not chosen:
            raise InputError(f"An empty list of hooks was given{self._where}. Name at least one, or pass None for all.")
        return list(dict.fromkeys(chosen))

    @property
    def _where(self) -> str:
        return f" in {type(self).__name__}"

    def _match(self, pattern: str) -> list[str]:
        if isinstance(pattern, str) and pattern in self.hook_dict:
            return [pattern]
        wild = isinstance(pattern, str) and set(pattern) & set("*?[")
        names = [name for name in self.hook_dict if fnmatchcase(name, pattern)] if wild else []
        if not names:
            raise UnknownNameError("hook", pattern, self.hook_dict, self._where)
        return names

    # Running

    @contextmanager
    def attach(self, handlers: Mapping[str, HookFn], force: Iterable[str] = ()) -> Iterator[None]:
        """Activate hook functions while the context lasts, inside those of any outer context.

        Args:
            handlers: Hook function by name of its hook point.
            force: Hook points that are requested but not changed, so that the network computes their activations.

        Raises:
            TrainingModeError: If the model is in training mode.
            NeverFiredError: At the end, if a hook function was never called.
        """
        require_evaluation_mode(self)
        with self.router.lock:
            outer = self.router.active_hooks
            fired: set[str] = set()
            inner = {name: chain(outer, name, handler, fired) for name, handler in handlers.items()}
            self.router.active_hooks = {**dict.fromkeys(force, identity), **(outer or {}), **inner}
            try:
                yield
            finally:
                self.router.active_hooks = outer
        if silent := [name for name in handlers if name not in fired]:
            raise NeverFiredError(
                f"Hook {silent[0]!r}{self._where} never fired: no forward pass ran inside the context, or this "
                "input does not reach it. Run the model inside the context, or drop the hook."
            )

    def cache(self, inputs: State, hooks: HookFilter = None, copy: bool | None = None) -> dict[str, Tensor]:
        """Return activations by hook name, in firing order, running only the stages they need.

        Args:
            inputs: The batch first in every tensor.
            hooks: A name, a glob, a list of these or a predicate. None selects all that fire by default.
            copy: None copies the activations that a later in-place operation overwrites, True copies all (which doubles
                the memory), False copies none.

        Raises:
            OverwrittenError: If `copy` is False and an activation was overwritten in place after it passed its hook.

        Cost: At most 1 forward pass, and a second one the first time that an activation is found to be overwritten.
        Caching large activations is faster after `workbench.keep_freed_pages()`, which changes how the whole process
        allocates memory and is therefore left to the caller.
        """
        names = self.select(hooks)
        fired = self.trace() if len(self.stages) > 1 else {}
        stop = 1 + max(fired[name].stage if name in fired else self.stage_of(name) for name in names)
        return self._capture(names, copy, inputs, lambda x: self.run_stages(x, 0, stop))[1]

    def run_with_cache(self, inputs: State, names_filter: HookFilter = None) -> tuple[Any, dict[str, Tensor]]:
        """Return the output, and the activations by hook name, from one forward pass."""
        return self._capture(self.select(names_filter), None, inputs, self)

    def _capture(
        self, names: Sequence[str], copy: bool | None, inputs: State, run: Callable[[State], Any]
    ) -> tuple[Any, dict[str, Tensor]]:
        """Run the model and capture activations; run it again if some of them were overwritten in place."""
        copied = self.overwritten if copy is None else Everything() if copy else ()
        store, before = Capture(copied), versions(inputs)
        with self.attach({name: partial(store.keep, name) for name in names}), explain_input_errors(self, inputs):
            output = run(inputs)
        if not (bad := store.overwritten):
            return output, store.apart_from(inputs)
        if copy is False or versions(inputs) != before:
            raise store.error()
        self.overwritten |= set(bad)
        return self._capture(names, copy, inputs, run)

    def run_with_hooks(
        self,
        inputs: State,
        fwd_hooks: Iterable[tuple[Any, Callable[..., Any]]] = (),
        bwd_hooks: Iterable[tuple[Any, Callable[..., Any]]] = (),
    ) -> Any:
        """Compute the output with TransformerLens-style hooks; `fn(activation, hook=point)` returns a new one or None.

        A backward hook gets the gradient. It lives as long as the autograd graph of the output and needs no clean-up.
        """
        handlers: dict[str, HookFn] = {}
        for hooks, kind in ((bwd_hooks, gradient_handler), (fwd_hooks, value_handler)):
            for names, function in hooks:
                for name in self.select(names):
                    handlers[name] = compose(handlers.get(name), kind(function, self.hook_dict[name]))
        with self.attach(handlers):
            return self(inputs)

    @contextmanager
    def edited(self, edits: Mapping[str, HookFn] | Iterable[Intervention]) -> Iterator[HookedModel]:
        """Apply interventions (or `{hook: function}`) to every run of the model while the context lasts."""
        if isinstance(edits, Mapping):
            handlers: dict[str, HookFn] = {
                name: function_handler(name, function)
                for key, function in edits.items()
                for name in self.select(str(key))
            }
        else:
            handlers = self.compile_edits(edits)
        with self.attach(handlers):
            yield self

    def compile_edits(self, interventions: Iterable[Intervention]) -> dict[str, HookFn]:
        """Resolve the sites of interventions and combine them into one hook function per hook."""
        by_hook: dict[str, list[Intervention]] = {}
        for intervention in require_interventions(interventions):
            by_hook.setdefault(intervention.site.resolve(self).hook, []).append(intervention)
        return {hook: partial(apply_all, tuple(items), self.hook_dict[hook].axes) for hook, items in by_hook.items()}

    # Description

    def trace(self, inputs: State = None, on_request: bool = True) -> dict[str, HookInfo]:
        """Return axes and shape of every activation on `inputs` (default: a random example), in firing order.

        Costs 1 forward pass, cached by the shapes of the inputs.
        """
        tensors = () if inputs is None else (leaf for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor))
        key = (None if inputs is None else tuple(tuple(leaf.shape) for leaf in tensors), on_request)
        if key not in self._traces:
            self._traces[key] = survey(self, self._convert(self.example()) if inputs is None else inputs, on_request)
        return self._traces[key]

    def _convert(self, inputs: State) -> State:
        """Convert inputs to the model's device, and floating-point ones to its precision."""
        like = next(self.parameters(), torch.zeros(()))
        fit = partial(_convert_like, like)
        return tree_map(fit, inputs)

    def stage_of(self, hook: str) -> int:
        """Return the index of the stage in which a hook fires."""
        if hook not in self.hook_dict:
            raise UnknownNameError("hook", hook, self.hook_dict, self._where)
        if len(self.stages) == 1:
            return 0
        info = self.trace()
        if hook not in info:
            raise NeverFiredError(f"Hook {hook!r}{self._where} never fires on an example input. Choose another.")
        return info[hook].stage

    def graph(self) -> Any:
        """Return the computation graph. Each architecture defines it and may take the name of one of its `details`."""
        raise ConfigError(
            f"{type(self).__name__} declares no computation graph, so its edges cannot be traced. "
            "Ablation, patching and activation maximization work on its hooks."
        )


def batch_size(inputs: Any) -> int:
    """Return the number of examples: the length of the first axis of the first tensor that has axes."""
    leaf = next((leaf for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor) and leaf.ndim), None)
    if leaf is None:
        raise InputError("The inputs contain no tensor with a batch axis. Pass a batch, with the examples first.")
    return len(leaf)


def _convert_like(like: Tensor, x: Any) -> Any:
    if not isinstance(x, Tensor):
        return x
    return x.to(like) if x.is_floating_point() else x.to(like.device)
