"""Opens any torch module: every submodule's output becomes a site, its axes inferred from its type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from workbench.core.errors import InputError
from workbench.core.hooked import AxisHookPoint, HookedModel, State
from workbench.core.stages import batch_size

Forward = Callable[[nn.Module, Any], Any]
AXES_BY_RANK = {1: "batch", 2: "batch unit", 3: "batch pos d_model", 4: "batch channel height width"}
AXES_BY_TYPE: dict[type[nn.Module], dict[int, str]] = {
    nn.Conv1d: {3: "batch channel pos"},
    nn.BatchNorm1d: {3: "batch channel pos"},
    nn.Softmax: {4: "batch head query key"},
}


def wrap(module: nn.Module, example: Any, forward: Forward | None = None) -> WrappedModel:
    """The module with every submodule's output open to caching, editing and sweeps; costs one forward pass.

    `example` is a valid input, the batch first: a tensor, a tuple of arguments or a mapping of keyword arguments.
    `forward(module, inputs)` replaces the plain call, for a module whose `forward` is not what is studied. The
    module itself is used, not a copy, and is put in evaluation mode.

    Sites are named like the submodules. A submodule called more than once has `name@2` and so on for its later
    calls; one that returns several tensors has `name:0`, `name:1` and so on.
    """
    return WrappedModel(module, example, forward)


class WrappedModel(HookedModel):
    """A foreign module as one stage: what it lacks in speed it has in never being wrong."""

    family = "module"

    def __init__(self, module: nn.Module, example: Any, forward: Forward | None = None) -> None:
        super().__init__()
        self.module = module.eval()
        self._example, self._forward = example, forward or call
        self._calls: Counter[str] = Counter()
        self._listening: Callable[[str, Tensor], Tensor] | None = None
        self.join({}, [self.run])
        for name, part in module.named_modules():
            if name:
                part.register_forward_hook(partial(self._route, name))
        self.join(self._discover(batch_size(example)), [self.run])
        self.eval()

    def run(self, inputs: State) -> Any:
        """The only stage: the whole module."""
        self._calls.clear()
        return self._forward(self.module, inputs)

    def example(self, batch: int = 2, seed: int = 0) -> Any:
        """The example given, its rows repeated or cut to `batch`."""
        size = batch_size(self._example)
        rows = torch.arange(batch) % size
        return tree_map(
            lambda x: x[rows.to(x.device)] if isinstance(x, Tensor) and x.ndim and len(x) == size else x, self._example
        )

    @torch.no_grad()
    def _discover(self, batch: int) -> dict[str, AxisHookPoint]:
        points: dict[str, AxisHookPoint] = {}
        types = {name: type(part) for name, part in self.module.named_modules()}

        def note(name: str, x: Tensor) -> Tensor:
            module_type = types[name.partition("@")[0].partition(":")[0]]
            points[name] = AxisHookPoint(infer_axes(module_type, x, batch))
            points[name].inferred = True
            return x

        self._listening = note
        try:
            self.run(self._example)
        finally:
            self._listening = None
        if not points:
            raise InputError(
                f"{type(self.module).__name__} has no submodule that returns a tensor on this example, so there is "
                "nothing to open. Wrap a module with parts, or pass `forward` to say how it is run."
            )
        return points

    def _route(self, name: str, part: nn.Module, args: Any, output: Any) -> Any:
        """The forward hook of every submodule: sends each tensor of its output through its hook point."""
        if self._listening is None and self.router.handlers is None:
            return None
        self._calls[name] += 1
        call_name = name if self._calls[name] == 1 else f"{name}@{self._calls[name]}"
        leaves, structure = tree_flatten(output)
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        for i in places:
            leaves[i] = self._send(call_name if len(places) == 1 else f"{call_name}:{i}", leaves[i])
        return tree_unflatten(leaves, structure)

    def _send(self, name: str, x: Tensor) -> Tensor:
        if self._listening is not None:
            return self._listening(name, x)
        return self.hook_dict[name](x) if name in self.hook_dict else x


def call(module: nn.Module, inputs: Any) -> Any:
    """The module on a tensor, a tuple of arguments or a mapping of keyword arguments."""
    if isinstance(inputs, Mapping):
        return module(**inputs)
    return module(*inputs) if isinstance(inputs, tuple) else module(inputs)


def infer_axes(module_type: type[nn.Module], x: Tensor, batch: int) -> str:
    """Axes guessed from a submodule's type and the rank of its output."""
    by_type = next((axes for base, axes in AXES_BY_TYPE.items() if issubclass(module_type, base)), {})
    if x.ndim and len(x) == batch and (x.ndim in by_type or x.ndim in AXES_BY_RANK):
        return by_type.get(x.ndim) or AXES_BY_RANK[x.ndim]
    first = ["batch"] if x.ndim and len(x) == batch else []
    return " ".join([*first, *(f"axis{i}" for i in range(len(first), x.ndim))])
