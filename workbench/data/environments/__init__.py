"""Environments as rows of one: ours are registered with gymnasium under `workbench/`, everyone else's wrapped."""

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
"""For parts of entry points the optional dependencies of ours that they need, some of them only to draw."""

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
    """One environment, for looking at an episode; `render_mode="rgb_array"` lets it draw its frames."""
    require(name)
    try:
        return one_hot(gymnasium.make(name, render_mode=render_mode))
    except gymnasium.error.DependencyNotInstalled as missing:
        raise not_installed(name, missing) from missing


def make_vector(name: str, n: int, steps: int | None = None) -> VectorEnv:
    """`n` independent copies of an environment, each reset in the very step that ends its episode.

    Ours step all rows at once; any other one is stepped row by row. gymnasium's default would instead spend
    one further step, without meaning, on each reset. `steps` is another time limit than the environment's own.
    """
    require(name)
    options: dict[str, Any] = {} if steps is None else {"max_episode_steps": steps}
    try:
        if name.startswith(NAMESPACE):
            return gymnasium.make_vec(name, n, vectorization_mode="vector_entry_point", **options)
        options |= {"vector_kwargs": {"autoreset_mode": AutoresetMode.SAME_STEP}, "wrappers": [one_hot]}
        return gymnasium.make_vec(name, n, vectorization_mode="sync", **options)
    except gymnasium.error.DependencyNotInstalled as missing:
        raise not_installed(name, missing) from missing


def one_hot(env: gymnasium.Env) -> gymnasium.Env:
    """The environment; one that shows a state's number shows it as a row of zeros with a single 1 instead."""
    return FlattenObservation(env) if isinstance(env.observation_space, Discrete) else env


def native(name: str) -> str:
    """Our version of an environment, whose rows are stepped at once, where there is one; else the name itself."""
    ours = f"{NAMESPACE}{name}"
    return ours if ours in gymnasium.registry else name


def rules_sha256(name: str) -> str:
    """The sha256 of the source that defines an environment's rules: what its data are, for a card."""
    source = inspect.getsourcefile(rules_class(name))
    assert source is not None
    return hashlib.sha256(Path(source).read_bytes()).hexdigest()


def rules_package(name: str) -> str:
    """The package that an environment's rules are from, with its version."""
    package = rules_class(name).__module__.partition(".")[0]
    return f"{package} {metadata.version(package)}"


def rules_class(name: str) -> type:
    """The class that holds an environment's rules: what it says itself, else its own."""
    env = make(name).unwrapped
    return getattr(env, "rules", type(env))


def require(name: str) -> None:
    """Raises when gymnasium knows no such environment."""
    if name not in gymnasium.registry:
        raise UnknownNameError("environment", name, gymnasium.registry)


def not_installed(name: str, missing: Exception) -> ConfigError:
    """The error that names the package an environment needs, and the extra of ours that brings it."""
    entry = str(gymnasium.spec(name).entry_point)
    extra = next((extra for part, extra in EXTRAS.items() if part in entry), None)
    step = f' Install it: pip install "interpretability-workbench[{extra}]".' if extra else ""
    return ConfigError(f"The environment {name!r} needs a package that is not installed: {missing}.{step}")
