"""Frames of an episode, rendered by repeating it up to a step."""

from __future__ import annotations

import gymnasium
import numpy as np
from jaxtyping import UInt8

from workbench.core.errors import InputError
from workbench.data.environments import make, not_installed
from workbench.experiments.episodes import Played

Picture = UInt8[np.ndarray, "row column colour"]


def frame_at(episode: Played, step: int) -> Picture:
    """Render the environment at a step of an episode.

    Raises when it draws no frames, when drawing needs a package that is missing, and when chance decides what follows,
    so that the episode cannot be played again.
    """
    name = episode.environment
    if "rgb_array" not in render_modes(name):
        raise InputError(f"{name} draws no frames. Look at what the policy sees of it instead.")
    env = make(name, "rgb_array")
    try:
        seen, _ = env.reset(seed=episode.seed)
        for action in episode.trace.action[:step].tolist():
            seen = env.step(action)[0]
        if not np.allclose(np.asarray(seen, dtype=np.float32), episode.trace.observation[step].numpy(), atol=1e-3):
            raise InputError(f"Chance decides what follows in {name}, so its frames cannot be drawn afterwards.")
        return np.asarray(env.render(), dtype=np.uint8)
    except gymnasium.error.DependencyNotInstalled as missing:
        raise not_installed(name, missing) from missing
    finally:
        env.close()


def render_modes(name: str) -> list[str]:
    """List the render modes of an environment."""
    env = make(name)
    env.close()
    return list(env.metadata.get("render_modes", []))
