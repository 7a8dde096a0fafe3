"""Tests of broken environments: one error message that names the environment and the fault."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from tests.training.corridor import Corridor, Numbered, corridors
from tests.training.test_ppo import policy
from workbench.analysis.policies.episodes import run_episodes
from workbench.core.errors import InputError, ShapeError
from workbench.training.a2c import A2CConfig, a2c
from workbench.training.dqn import DQNConfig, dqn
from workbench.training.policy_evaluation import evaluate_policy
from workbench.training.ppo import PPOConfig, ppo
from workbench.training.q_learning import QLearningConfig, q_learning
from workbench.training.reinforce import REINFORCEConfig, reinforce
from workbench.training.rollouts import greedy_rollout
from workbench.training.trpo import TRPOConfig, trpo
from workbench.zoo.q_network import QNetwork, QNetworkConfig


class Broken(Corridor):
    """A corridor whose second step fails."""

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        if self.place >= 3:
            raise ZeroDivisionError("float division by zero")
        return super().step(action)


def broken(n: int, kind: Callable[[], Any] = Broken) -> VectorEnv:
    return SyncVectorEnv([kind] * n, autoreset_mode=AutoresetMode.SAME_STEP)


USERS: dict[str, Callable[[], Any]] = {
    "ppo": lambda: ppo(policy(features=1), broken(4), PPOConfig(steps=64, segment=16)),
    "dqn": lambda: dqn(QNetwork(QNetworkConfig((1,), 2, hidden=(4,))), broken(4), DQNConfig(steps=400, warmup=0)),
    "table": lambda: q_learning(torch.zeros(8, 2), broken(2, lambda: Numbered(Broken())),
                                QLearningConfig(steps=100)),
    "evaluation": lambda: evaluate_policy(policy(features=1), broken, episodes=4),
    "rollout": lambda: greedy_rollout(policy(features=1), Broken(), seed=0),
    "analysis": lambda: list(run_episodes(lambda x, rows: 0 * rows, broken(4), range(4))),
}  # fmt: skip


@pytest.mark.parametrize("user", USERS)
def test_an_environment_that_raises_in_the_middle_is_named_with_what_it_raised(user: str) -> None:
    with pytest.raises(InputError, match=r"raised ZeroDivisionError in the middle of an episode: float division"):
        USERS[user]()


def test_a_training_goes_on_once_the_environment_is_mended(tmp_path: Path) -> None:
    cfg, path = PPOConfig(steps=48, segment=2, minibatch=8, checkpoint_every=1), tmp_path / "state.safetensors"
    with pytest.raises(InputError):
        ppo(policy(features=1), broken(8), cfg, checkpoint=path)
    assert ppo(policy(features=1), corridors(8), cfg, checkpoint=path).step[-1] == 48


def test_a_policy_of_other_observations_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"Expected observations of shape \('batch', 3\), got \(4, 1\)"):
        ppo(policy(features=3), corridors(4), PPOConfig(steps=8, segment=2))
    with pytest.raises(ShapeError, match=r"Expected observations of shape \('batch', 3\)"):
        evaluate_policy(policy(features=3), partial(corridors), episodes=2)


class Blind(Corridor):
    """A corridor that shows no number at its fourth place."""

    def seen(self) -> np.ndarray:
        return np.array([np.nan if self.place == 3 else self.place / 7], dtype=np.float32)


class Worthless(Corridor):
    """A corridor whose reward is no number at its fourth place."""

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        seen, reward, *rest = super().step(action)
        return seen, np.nan if self.place == 3 else reward, *rest


@pytest.mark.parametrize(("kind", "says"), [(Blind, "showed nan in entry"), (Worthless, "gave the reward nan")])
@pytest.mark.parametrize("method", ["ppo", "a2c", "trpo", "reinforce", "dqn"])
def test_an_observation_or_a_reward_that_is_no_number_is_named_with_its_place(
    method: str, kind: type[Corridor], says: str
) -> None:
    envs, separate = broken(4, kind), policy(features=1)
    learn: dict[str, Callable[[], Any]] = {
        "ppo": lambda: ppo(separate, envs, PPOConfig(steps=64, segment=16)),
        "a2c": lambda: a2c(separate, envs, A2CConfig(steps=64, segment=16)),
        "trpo": lambda: trpo(separate, envs, TRPOConfig(steps=64, segment=16)),
        "reinforce": lambda: reinforce(separate, envs, REINFORCEConfig(steps=64)),
        "dqn": lambda: dqn(QNetwork(QNetworkConfig((1,), 2, hidden=(4,))), envs, DQNConfig(steps=400, warmup=0)),
    }
    with pytest.raises(InputError, match=says):
        learn[method]()
