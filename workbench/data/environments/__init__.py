"""Vector environments: native ones, registered with gymnasium under `workbench/`, and wrappers of others."""

import hashlib
import inspect
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers import FlattenObservation

from workbench.core.errors import ConfigError, UnknownNameError
from workbench.data.environments.acrobot import ACROBOT
from workbench.data.environments.cartpole import CARTPOLE
from workbench.data.environments.classic_control import VectorControl
from workbench.data.environments.mountain_car import MOUNTAIN_CAR
from workbench.data.environments.tabular import VectorTable

NAMESPACE = "workbench/"
EXTRAS = {"box2d": "box2d", "breakout": "minatar", "classic_control": "frames", "toy_text": "frames"}
"""Optional dependencies that environments need (some only for rendering), by a part of their entry points."""

for rules, version in ((CARTPOLE, 1), (ACROBOT, 1), (MOUNTAIN_CAR, 0)):
    theirs = gymnasium.spec(f"{rules.name}-v{version}")
    gymnasium.register(
        id=f"{NAMESPACE}{theirs.id}",
        entry_point=theirs.entry_point,
        vector_entry_point=partial(VectorControl, rules),
        max_episode_steps=rules.max_steps,
    )
for table in ("FrozenLake-v1", "Taxi-v4", "CliffWalking-v1"):
    theirs = gymnasium.spec(table)
    gymnasium.register(
        id=f"{NAMESPACE}{table}",
        entry_point=theirs.entry_point,
        vector_entry_point=partial(VectorTable, table),
        max_episode_steps=theirs.max_episode_steps,
    )
for suffix, goal in (("", "corner"), ("Anywhere", "anywhere")):
    gymnasium.register(
        id=f"{NAMESPACE}Maze{suffix}-v0",
        entry_point="workbench.data.environments.maze:Maze",
        vector_entry_point="workbench.data.environments.maze:VectorMaze",
        max_episode_steps=100,
        kwargs={"goal": goal},
    )
gymnasium.register(
    id=f"{NAMESPACE}MinAtarBreakout-v0",
    entry_point="workbench.data.environments.breakout:Breakout",
    vector_entry_point="workbench.data.environments.breakout:VectorBreakout",
    max_episode_steps=1000,
)


def make(name: str, render_mode: str | None = None) -> gymnasium.Env:
    """Create one environment.

    Args:
        name: Id of a registered environment.
        render_mode: "rgb_array" to render frames.

    Raises:
        UnknownNameError: If gymnasium has no such environment.
        ConfigError: If a package that it needs is not installed.
    """
    require_environment(name)
    try:
        return one_hot_observations(gymnasium.make(name, render_mode=render_mode))
    except gymnasium.error.DependencyNotInstalled as missing:
        raise not_installed(name, missing) from missing


def make_vector(name: str, n: int, steps: int | None = None) -> VectorEnv:
    """Create `n` copies of an environment, with autoreset in the step that ends an episode.

    Native environments step all rows at once, others row by row. gymnasium's default autoreset would add a step without
    meaning after each episode.

    Args:
        name: Id of a registered environment.
        n: Number of copies.
        steps: Time limit in place of the environment's own.

    Raises:
        UnknownNameError: If gymnasium has no such environment.
        ConfigError: If a package that it needs is not installed.
    """
    require_environment(name)
    options: dict[str, Any] = {} if steps is None else {"max_episode_steps": steps}
    try:
        if name.startswith(NAMESPACE):
            return gymnasium.make_vec(name, n, vectorization_mode="vector_entry_point", **options)
        options |= {"vector_kwargs": {"autoreset_mode": AutoresetMode.SAME_STEP}, "wrappers": [one_hot_observations]}
        return gymnasium.make_vec(name, n, vectorization_mode="sync", **options)
    except gymnasium.error.DependencyNotInstalled as missing:
        raise not_installed(name, missing) from missing


def one_hot_observations(env: gymnasium.Env) -> gymnasium.Env:
    """Wrap an environment so that discrete observations become one-hot vectors."""
    return FlattenObservation(env) if isinstance(env.observation_space, Discrete) else env


def native_name(name: str) -> str:
    """Return the name of our implementation of an environment if there is one, else `name`."""
    ours = f"{NAMESPACE}{name}"
    return ours if ours in gymnasium.registry else name


def rules_sha256(name: str) -> str:
    """Compute the sha256 of the source file with the environment's rules, which identifies its data in a card."""
    source = inspect.getsourcefile(rules_class(name))
    assert source is not None
    return hashlib.sha256(Path(source).read_bytes()).hexdigest()


def rules_package(name: str) -> str:
    """Return name and version of the package that defines the environment's rules."""
    package = rules_class(name).__module__.partition(".")[0]
    return f"{package} {metadata.version(package)}"


def rules_class(name: str) -> type:
    """Return the class that defines the environment's rules."""
    env = make(name).unwrapped
    return getattr(env, "rules", type(env))


def require_environment(name: str) -> None:
    """Raise an `UnknownNameError` unless gymnasium has the environment."""
    if name not in gymnasium.registry:
        raise UnknownNameError("environment", name, gymnasium.registry)


def not_installed(name: str, missing: Exception) -> ConfigError:
    """Return the error for a missing package, naming the extra that installs it."""
    entry = str(gymnasium.spec(name).entry_point)
    extra = next((extra for part, extra in EXTRAS.items() if part in entry), None)
    step = f' Install it: pip install "interpretability-workbench[{extra}]".' if extra else ""
    return ConfigError(f"The environment {name!r} needs a package that is not installed: {missing}.{step}")
