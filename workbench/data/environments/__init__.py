"""Environments as rows of one: ours are registered with gymnasium under `workbench/`, everyone else's wrapped."""

import hashlib
import inspect
from pathlib import Path

import gymnasium
from gymnasium.vector import AutoresetMode, VectorEnv

from workbench.core.errors import ConfigError, UnknownNameError

NAMESPACE = "workbench/"

gymnasium.register(
    id=f"{NAMESPACE}CartPole-v1",
    entry_point="gymnasium.envs.classic_control:CartPoleEnv",
    vector_entry_point="workbench.data.environments.cartpole:VectorCartPole",
    max_episode_steps=500,
)

for suffix, goal in (("", "corner"), ("Anywhere", "anywhere")):
    gymnasium.register(
        id=f"{NAMESPACE}Maze{suffix}-v0",
        entry_point="workbench.data.environments.maze:Maze",
        vector_entry_point="workbench.data.environments.maze:VectorMaze",
        max_episode_steps=100,
        kwargs={"goal": goal},
    )


def make(name: str, render_mode: str | None = None) -> gymnasium.Env:
    """One environment, for looking at an episode; `render_mode="rgb_array"` lets it draw its frames."""
    require(name)
    try:
        return gymnasium.make(name, render_mode=render_mode)
    except gymnasium.error.DependencyNotInstalled as missing:
        raise not_installed(name, missing) from missing


def make_vector(name: str, n: int) -> VectorEnv:
    """`n` independent copies of an environment, each reset in the very step that ends its episode.

    Ours step all rows at once; any other one is stepped row by row. gymnasium's default would instead spend
    one further step, without meaning, on each reset.
    """
    require(name)
    try:
        if name.startswith(NAMESPACE):
            return gymnasium.make_vec(name, n, vectorization_mode="vector_entry_point")
        options = {"autoreset_mode": AutoresetMode.SAME_STEP}
        return gymnasium.make_vec(name, n, vectorization_mode="sync", vector_kwargs=options)
    except gymnasium.error.DependencyNotInstalled as missing:
        raise not_installed(name, missing) from missing


def rules_sha256(name: str) -> str:
    """The sha256 of the source that defines an environment's rules: what its data are, for a card."""
    source = inspect.getsourcefile(type(make(name).unwrapped))
    assert source is not None
    return hashlib.sha256(Path(source).read_bytes()).hexdigest()


def require(name: str) -> None:
    """Raises when gymnasium knows no such environment."""
    if name not in gymnasium.registry:
        raise UnknownNameError("environment", name, gymnasium.registry)


def not_installed(name: str, missing: Exception) -> ConfigError:
    """The error that names the package an environment needs."""
    return ConfigError(f"The environment {name!r} needs a package that is not installed: {missing}")
