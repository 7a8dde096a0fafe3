"""Returns of a policy's greedy episodes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from jaxtyping import Float, Int
from torch import Tensor

from workbench.core.stepping import step_environments
from workbench.training.rollouts import Policy, as_observation, start
from workbench.training.scores import bootstrapped_mean


@dataclass(frozen=True)
class PolicyEvaluation:
    """Return and length of each episode, and the mean return with its bootstrap interval as a card's score."""

    returns: Float[Tensor, " episode"]
    lengths: Int[Tensor, " episode"]
    score: dict[str, Any]

    @property
    def mean(self) -> float:
        """Mean return."""
        return self.score["value"]


@torch.no_grad()
def evaluate_policy(
    policy: Policy,
    make_vector_env: Callable[[int], VectorEnv],
    episodes: int = 100,
    seed: int = 0,
    limit: int | None = None,
) -> PolicyEvaluation:
    """Run the first episode of each of `episodes` environments with the most likely action at every step.

    Every episode counts once; taking the first ones to finish would favour short episodes. Row r's episode depends only
    on `seed` and r, so evaluations with the same seed are paired.

    Args:
        policy: Returns action logits for observations.
        make_vector_env: Creates the given number of environments.
        episodes: Number of episodes.
        seed: Seeds the episodes.
        limit: Steps after which an episode is cut; None for no limit.

    Cost: One forward pass per step of the longest episode.
    """
    envs = make_vector_env(episodes)
    observation = start(policy, envs, seed).observation
    returns, lengths = np.zeros(episodes), np.zeros(episodes, dtype=np.int64)
    running = np.ones(episodes, dtype=bool)
    while running.any() and (limit is None or lengths.max() < limit):
        action = policy(observation).logits.argmax(-1).numpy()
        shown, reward, terminated, truncated, _ = step_environments(envs, action)
        returns[running] += reward[running]
        lengths += running
        running &= ~(terminated | truncated)
        observation = as_observation(shown)
    envs.close()
    episode_returns = torch.from_numpy(returns)
    return PolicyEvaluation(episode_returns, torch.from_numpy(lengths), bootstrapped_mean(episode_returns, seed))
