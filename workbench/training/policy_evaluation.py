"""How good a policy is: the returns of its greedy episodes, with an interval."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from jaxtyping import Float, Int
from torch import Tensor

from workbench.core.progress import Progress, silent
from workbench.core.random import derived_seed
from workbench.core.stepping import stepped
from workbench.training.rollouts import Policy, as_observation, start


@dataclass(frozen=True)
class PolicyEvaluation:
    """Return and length of each episode, the mean return, and its 95 % bootstrap interval."""

    returns: Float[Tensor, " episode"]
    lengths: Int[Tensor, " episode"]
    mean: float
    interval: tuple[float, float]


@torch.no_grad()
def evaluate_policy(
    policy: Policy,
    make_vector_env: Callable[[int], VectorEnv],
    episodes: int = 100,
    seed: int = 0,
    progress: Progress = silent,
    limit: int | None = None,
) -> PolicyEvaluation:
    """The first episode of each of `episodes` environments, the likeliest action at every step.

    Every episode counts once, however long: taking the first ones to finish would favour the short. Row r's
    episode starts from `seed` and r alone, so evaluations with the same seed are paired, row by row.
    An episode longer than `limit` steps counts as far as it came. Costs one forward pass per step of the longest.
    """
    envs = make_vector_env(episodes)
    observation = start(policy, envs, seed).observation
    returns, lengths = np.zeros(episodes), np.zeros(episodes, dtype=np.int64)
    running = np.ones(episodes, dtype=bool)
    while running.any() and (limit is None or lengths.max() < limit):
        action = policy(observation).logits.argmax(-1).numpy()
        shown, reward, terminated, truncated, _ = stepped(envs, action)
        returns[running] += reward[running]
        lengths += running
        running &= ~(terminated | truncated)
        observation = as_observation(shown)
        progress(int((~running).sum()), episodes)
    envs.close()
    mean, interval = float(returns.mean()), bootstrap_interval(returns, seed)
    return PolicyEvaluation(torch.from_numpy(returns), torch.from_numpy(lengths), mean, interval)


def bootstrap_interval(sample: np.ndarray, seed: int, level: float = 0.95, draws: int = 10_000) -> tuple[float, float]:
    """Percentile interval of the mean over resamples with replacement (Efron 1979)."""
    rng = np.random.default_rng(derived_seed(seed, "bootstrap"))
    means = sample[rng.integers(0, len(sample), (draws, len(sample)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
