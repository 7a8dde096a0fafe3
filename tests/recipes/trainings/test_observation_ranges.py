"""Tests of initial weights scaled to observation ranges."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from workbench.core.errors import ConfigError
from workbench.data.environments import make_vector
from workbench.recipes.trainings.observation_ranges import even_out
from workbench.zoo.actor_critic import ActorCritic, ActorCriticConfig
from workbench.zoo.q_network import QNetwork, QNetworkConfig


@pytest.mark.parametrize("model", [QNetwork(QNetworkConfig((2,), 3)), ActorCritic(ActorCriticConfig((2,), 3))])
def test_it_is_the_network_that_sees_scaled_observations(model: QNetwork | ActorCritic) -> None:
    plain, space = copy.deepcopy(model), Box(np.array([-2, 0], np.float32), np.array([1, 0.1], np.float32))
    even_out(model, space)
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(tuple(model(x)), tuple(plain(x / torch.tensor([2.0, 0.1]))))


def test_unbounded_observations_are_refused() -> None:
    with pytest.raises(ConfigError, match="no range to even out"):
        even_out(QNetwork(QNetworkConfig()), make_vector("workbench/CartPole-v1", 1).single_observation_space)
