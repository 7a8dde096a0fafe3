"""Images that a network makes on its way: a reconstruction, a generated picture."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.core.hooked import HookedModel

IMAGE = "hook_image"
"""The last part of the name of a hook that holds an image in 0..1."""


def image_hook(model: HookedModel) -> str | None:
    """The hook that holds the image, or None where a network makes none."""
    return next((name for name in reversed(model.hook_dict) if name.rpartition(".")[2] == IMAGE), None)


@torch.no_grad()
def made_images(model: HookedModel, inputs: Any) -> Float[Tensor, "batch channel height width"]:
    """The images that a network makes of inputs, in 0..1. Costs the part of a forward pass that leads there."""
    hook = image_hook(model)
    assert hook is not None, "only asked of networks that make images"
    return model.cache(inputs, hook)[hook]
