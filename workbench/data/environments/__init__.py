"""Environments as rows of one: ours are registered with gymnasium under `workbench/`, everyone else's wrapped."""

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


def make_vector(name: str, n: int) -> VectorEnv:
    """`n` independent copies of an environment, each reset in the very step that ends its episode.

    Ours step all rows at once; any other one is stepped row by row. gymnasium's default would instead spend
    one further step, without meaning, on each reset.
    """
    if name not in gymnasium.registry:
        raise UnknownNameError("environment", name, gymnasium.registry)
    try:
        if name.startswith(NAMESPACE):
            return gymnasium.make_vec(name, n, vectorization_mode="vector_entry_point")
        options = {"autoreset_mode": AutoresetMode.SAME_STEP}
        return gymnasium.make_vec(name, n, vectorization_mode="sync", vector_kwargs=options)
    except gymnasium.error.DependencyNotInstalled as missing:
        raise ConfigError(f"The environment {name!r} needs a package that is not installed: {missing}") from missing
