"""Checkpoints that hold what was learned beside another one's weights, and not these weights again.

A model whose config names a `base` says in `inherited` which of its weights are that checkpoint's, by both names.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from workbench.checkpoints.card import card_of, model_folder
from workbench.core.errors import CheckpointError
from workbench.core.hooked import HookedModel

BASE = "base_sha256"


def base_of(model: HookedModel) -> str:
    """The checkpoint that a model's fixed weights are those of; "" when it has all its weights itself."""
    return getattr(model.cfg, "base", "")


def inherited(model: Any) -> dict[str, str]:
    """Names of the weights that are the base's, here and there; none without a base."""
    return model.inherited if base_of(model) else {}


def own(model: HookedModel, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that a file must hold."""
    elsewhere = inherited(model)
    return {name: tensor for name, tensor in tensors.items() if name not in elsewhere}


def told(model: HookedModel) -> dict[str, str]:
    """What a file says of the checkpoint that it builds on."""
    return {BASE: card_of(model_folder(base)).weights_sha256} if (base := base_of(model)) else {}


def whole(
    model: HookedModel, tensors: Mapping[str, Tensor], about: Mapping[str, Any], base: Mapping[str, Tensor], where: str
) -> dict[str, Tensor]:
    """The tensors of a file with those that it inherits; `base` are the base checkpoint's.

    Raises when the base is no longer the one that the file was trained beside.
    """
    found = card_of(model_folder(base_of(model))).weights_sha256
    if found != about.get(BASE):
        raise CheckpointError(
            f"{where} was trained beside {base_of(model)} with weights {str(about.get(BASE))[:12]}..., and those here "
            f"are {found[:12]}.... Restore that checkpoint, or train this one again."
        )
    return {**{name: base[there] for name, there in inherited(model).items() if there in base}, **tensors}
