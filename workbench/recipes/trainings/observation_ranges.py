"""Initial weights that see every entry of an observation alike, however small its numbers are."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Space

from workbench.core.errors import ConfigError


@torch.no_grad()
def even_out(model: Any, observations: Space) -> None:
    """Divides the first layers' weights by how far each entry may lie from zero.

    It is what scaling the observations would do at the beginning, and leaves the network as it is written. Raises
    when an entry is unbounded.
    """
    if not (isinstance(observations, Box) and np.isfinite([observations.low, observations.high]).all()):
        raise ConfigError(f"Observations in {observations} have no range to even out. Leave the weights as they are.")
    reach = torch.from_numpy(np.maximum(np.abs(observations.low), np.abs(observations.high)))
    streams = [model] if hasattr(model, "blocks") else [model.actor, model.critic]
    for stream in streams:
        stream.blocks[0].linear.weight /= reach
