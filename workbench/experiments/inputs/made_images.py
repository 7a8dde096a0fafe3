"""Images produced by a network: reconstructions and generated images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from workbench.core.hooked import HookedModel

IMAGE = "hook_image"
"""Last part of the name of a hook that holds an image in 0..1."""


def image_hook(model: HookedModel) -> str | None:
    """Return the hook that holds an image, or None if the network makes none."""
    return next((name for name in reversed(model.hook_dict) if name.rpartition(".")[2] == IMAGE), None)


@torch.no_grad()
def made_images(model: HookedModel, inputs: Any) -> Float[np.ndarray, "batch height width channel"]:
    """Return the images in 0..1 that a network makes of inputs.

    Costs the part of a forward pass up to the image. Other threads that use the network are waited for.
    """
    hook = image_hook(model)
    assert hook is not None, "only asked of networks that make images"
    with model.lock:
        return model.cache(inputs, hook)[hook].permute(0, 2, 3, 1).numpy()
