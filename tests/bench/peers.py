"""The same networks without hook points, and with those of TransformerLens, torch and nnsight."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformer_lens.hook_points import HookPoint
from transformer_lens.HookedRootModule import HookedRootModule

from workbench.core.hooked import HookedModel


class Passed:
    """What is left of a hook point that was taken out: not a module, so that no module call is paid."""

    is_observed = False

    def __call__(self, x: Tensor) -> Tensor:
        return x


class Identity(nn.Identity):
    """A place for torch's own hooks."""

    is_observed = False


class LensPoint(HookPoint):
    """TransformerLens's hook point, unchanged."""

    is_observed = False


def rebuilt(model: HookedModel, point: Callable[[], Any]) -> nn.Module:
    """A copy of the model with every hook point replaced."""
    twin = copy.deepcopy(model)
    for name in model.hook_dict:
        parent, _, attribute = name.rpartition(".")
        owner = twin.get_submodule(parent)
        delattr(owner, attribute)
        setattr(owner, attribute, point())
    twin.stages = tuple(point_free(stage, twin) for stage in twin.stages)
    return twin.eval()


def point_free(stage: Any, twin: HookedModel) -> Any:
    """The stage, or what took its place when it was a hook point itself."""
    old = next((name for name, point in twin.mod_dict.items() if point is stage and name in twin.hook_dict), None)
    return stage if old is None else _attribute(twin, old)


def _attribute(root: Any, path: str) -> Any:
    for part in path.split("."):
        root = getattr(root, part)
    return root


class Folded(HookedRootModule):
    """A copy of one of our models whose stages are folded by TransformerLens's root module."""

    def __init__(self, model: HookedModel, point: Callable[[], Any]) -> None:
        super().__init__()
        self.net = rebuilt(model, point)
        self.n_stages = len(model.stages)
        self.setup()

    def forward(self, x: Tensor) -> Tensor:
        return self.net.run_stages(x, 0, self.n_stages)


def without_points(model: HookedModel) -> Callable[[Tensor], Tensor]:
    """The plain forward pass."""
    return Folded(model, Passed)


def with_lens(model: HookedModel) -> Folded:
    """The model under TransformerLens's runner; its hooks are called `net.` and our name."""
    return Folded(model, LensPoint)


def with_identities(model: HookedModel) -> Folded:
    """The model with plain identities for torch's hooks and for nnsight."""
    return Folded(model, Identity)


def cache_with_torch(folded: Folded, names: Sequence[str], x: Tensor) -> dict[str, Tensor]:
    """Activations by torch's own forward hooks, put on and taken off as a user would."""
    store: dict[str, Tensor] = {}
    handles = [
        folded.net.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: store.__setitem__(name, output)
        )
        for name in names
    ]
    try:
        folded(x)
    finally:
        for handle in handles:
            handle.remove()
    return store


def cache_with_nnsight(opened: Any, names: Sequence[str], x: Tensor) -> Any:
    """Activations by nnsight's cache of the named modules."""
    modules = [_attribute(opened.net, name) for name in names]
    with opened.trace(x) as tracer:
        cache = tracer.cache(modules=modules).save()
    return cache


def edit_with_nnsight(opened: Any, name: str, head: int, x: Tensor) -> Tensor:
    """One head's output set to zero by nnsight."""
    point = _attribute(opened.net, name)
    with opened.trace(x):
        z = point.output.clone()
        z[:, :, head] = 0
        point.output = z
        output = opened.output.save()
    return output


@torch.no_grad()
def nnsight_of(model: HookedModel) -> Any:
    """The model opened by nnsight."""
    from nnsight import NNsight

    return NNsight(with_identities(model))
