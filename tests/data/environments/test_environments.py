"""Tests of environments by name."""

import gymnasium
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from workbench.core.errors import ConfigError, UnknownNameError
from workbench.data.environments import make, make_vector, rules_sha256


def test_an_environment_of_gymnasium_is_reset_in_the_step_that_ends_it() -> None:
    envs = make_vector("CartPole-v1", 3)
    assert isinstance(envs, SyncVectorEnv)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


def test_an_unknown_environment_is_an_error_with_the_nearest_name() -> None:
    for build in (make, lambda name: make_vector(name, 1)):
        with pytest.raises(UnknownNameError, match="Did you mean 'CartPole-v1'"):
            build("CartPol-v1")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*args: object, **options: object) -> None:
        raise gymnasium.error.DependencyNotInstalled("Box2D is not installed, run `pip install gymnasium[box2d]`")

    monkeypatch.setattr(gymnasium, "make", missing)
    monkeypatch.setattr(gymnasium, "make_vec", missing)
    for build in (make, lambda name: make_vector(name, 1)):
        with pytest.raises(ConfigError, match=r"LunarLander-v3.*Box2D is not installed.*workbench\[box2d\]"):
            build("LunarLander-v3")


def test_our_cartpole_is_drawn_by_gymnasium_and_has_its_rules() -> None:
    env = make("workbench/CartPole-v1")
    assert env.spec is not None and env.spec.max_episode_steps == 500
    assert type(env.unwrapped) is type(make("CartPole-v1").unwrapped)
    assert rules_sha256("workbench/CartPole-v1") == rules_sha256("CartPole-v1") != rules_sha256("Acrobot-v1")
