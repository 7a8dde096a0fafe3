"""Checkpoints that store only the weights that differ from a base checkpoint's.

A model whose config names a `base` lists in `inherited` the weights that it shares with it, by both names.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from workbench.checkpoints.card import card_of, model_folder
from workbench.core.errors import CheckpointError
from workbench.core.hooked import HookedModel

BASE = "base_sha256"


def base_of(model: HookedModel) -> str:
    """Return the name of the checkpoint that holds a model's fixed weights; "" if there is none."""
    return getattr(model.cfg, "base", "")


def inherited(model: Any) -> dict[str, str]:
    """Map the names of inherited weights to their names in the base; empty without a base."""
    return model.inherited if base_of(model) else {}


def select_own(model: HookedModel, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Select the tensors that are not inherited."""
    elsewhere = inherited(model)
    return {name: tensor for name, tensor in tensors.items() if name not in elsewhere}


def base_header(model: HookedModel) -> dict[str, str]:
    """Return the base's hash for the header of a file of weights; empty without a base."""
    return {BASE: card_of(model_folder(base)).weights_sha256} if (base := base_of(model)) else {}


def add_inherited(
    model: HookedModel, tensors: Mapping[str, Tensor], about: Mapping[str, Any], base: Mapping[str, Tensor], where: str
) -> dict[str, Tensor]:
    """Add the inherited tensors to those of a file.

    Raises:
        CheckpointError: If the base's weights are not those that the file was trained with.
    """
    found = card_of(model_folder(base_of(model))).weights_sha256
    if found != about.get(BASE):
        raise CheckpointError(
            f"{where} was trained beside {base_of(model)} with weights {str(about.get(BASE))[:12]}..., and those here "
            f"are {found[:12]}.... Restore that checkpoint, or train this one again."
        )
    return {**{name: base[there] for name, there in inherited(model).items() if there in base}, **tensors}
