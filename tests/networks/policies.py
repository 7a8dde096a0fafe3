"""Policies of Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from tests.networks.network import Network, entry, vectors


class Policy(nn.Module):
    """A Stable-Baselines3 policy: logits of the actions and the value."""

    def __init__(self, policy: Any) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        return self.policy.get_distribution(observations).distribution.logits, self.policy.predict_values(observations)


def policies() -> dict[str, Callable[[], Network]]:
    """Policies of Stable-Baselines3."""

    def actor_critic() -> nn.Module:
        import gymnasium
        from stable_baselines3 import PPO

        return Policy(PPO("MlpPolicy", gymnasium.make("CartPole-v1"), device="cpu").policy)

    def q_network() -> nn.Module:
        import gymnasium
        from stable_baselines3 import DQN

        return DQN("MlpPolicy", gymnasium.make("CartPole-v1"), device="cpu", buffer_size=10).q_net

    return dict(
        [entry("policy", "sb3_ppo", actor_critic, vectors(4)), entry("q network", "sb3_dqn", q_network, vectors(4))]
    )
