"""Environments by name."""

import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from workbench.core.errors import UnknownNameError
from workbench.data.environments import make_vector


def test_an_environment_of_gymnasium_is_reset_in_the_step_that_ends_it() -> None:
    envs = make_vector("CartPole-v1", 3)
    assert isinstance(envs, SyncVectorEnv)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


def test_an_unknown_environment_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'CartPole-v1'"):
        make_vector("CartPol-v1", 1)
