"""Initial weights scaled to the range of each entry of an observation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Space

from workbench.core.errors import ConfigError


@torch.no_grad()
def even_out(model: Any, observations: Space) -> None:
    """Divide the first layers' weights by the largest absolute value of each entry.

    Equivalent at initialisation to scaling the observations. Raises if an entry is unbounded.
    """
    if not (isinstance(observations, Box) and np.isfinite([observations.low, observations.high]).all()):
        raise ConfigError(f"Observations in {observations} have no range to even out. Leave the weights as they are.")
    reach = torch.from_numpy(np.maximum(np.abs(observations.low), np.abs(observations.high)))
    streams = [model] if hasattr(model, "blocks") else [model.actor, model.critic]
    for stream in streams:
        stream.blocks[0].linear.weight /= reach
