"""Rollouts against environments whose values, returns and traces are known."""

from dataclasses import dataclass
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from tests.training.corridor import DISCOUNT, LENGTH, corridor_value, corridors
from workbench.core.errors import ConfigError, InputError
from workbench.data.environments import make_vector
from workbench.data.environments.cartpole import CARTPOLE
from workbench.data.environments.classic_control import VectorControl
from workbench.training.advantages import generalized_advantages
from workbench.training.rollouts import Segment, collect, greedy_rollout, gumbel, sample_actions, start
from workbench.zoo.actor_critic import ActorCritic, ActorCriticConfig


def knows_corridors(observation: torch.Tensor) -> SimpleNamespace:
    """A policy that acts at random and whose critic is right."""
    value = torch.from_numpy(corridor_value((LENGTH * observation[:, 0]).round().numpy())).float()
    return SimpleNamespace(logits=torch.zeros(len(observation), 2), value=value)


def segment_of_corridors(n: int = 8, steps: int = 50):
    envs, rng = corridors(n), torch.Generator().manual_seed(0)
    return collect(knows_corridors, envs, start(knows_corridors, envs, 0), steps, rng)


def test_a_critic_that_is_right_is_never_surprised() -> None:
    """Any mistake about truncation, termination or resets would be a temporal-difference error."""
    segment = segment_of_corridors()
    truncated = segment.done & ~segment.terminated
    assert truncated.any(), "the test must see time run out"
    assert segment.terminated.any(), "and the end of the corridor"
    for decay in (0.0, 0.5, 1.0):
        advantage = generalized_advantages(
            segment.reward, segment.value, segment.next_value, segment.terminated, segment.done, DISCOUNT, decay
        )
        torch.testing.assert_close(advantage, torch.zeros_like(advantage), rtol=0, atol=1e-4)


@pytest.mark.parametrize("mistake", ["truncation is termination", "the next episode's value"])
def test_that_critic_would_notice_a_mistake(mistake: str) -> None:
    segment = segment_of_corridors()
    terminated, next_value = segment.terminated, segment.next_value
    if mistake == "truncation is termination":
        terminated = segment.done
    else:
        next_value = torch.cat([segment.value[1:], next_value[-1:]])
    advantage = generalized_advantages(
        segment.reward, segment.value, next_value, terminated, segment.done, DISCOUNT, 0.5
    )
    assert advantage.abs().max() > 0.1


def test_rows_are_consecutive_and_segments_continue_each_other() -> None:
    envs = corridors(4)
    rng, twin = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    whole = collect(knows_corridors, envs, start(knows_corridors, envs, 5), 20, rng)
    first = collect(knows_corridors, envs, start(knows_corridors, envs, 5), 13, twin)
    rest = collect(knows_corridors, envs, first.frontier, 7, twin)
    for name in ("observation", "action", "value", "next_value", "reward", "terminated", "done"):
        joined = torch.cat([getattr(first, name), getattr(rest, name)])
        assert torch.equal(joined, getattr(whole, name)), name
    returns = torch.cat([first.finished_returns, rest.finished_returns])
    assert torch.equal(returns, whole.finished_returns)


def test_finished_episodes_are_counted_with_their_returns_and_lengths() -> None:
    segment = segment_of_corridors(n=1, steps=200)
    returns, lengths, start_of_episode = [], [], 0
    for end in segment.done[:, 0].nonzero()[:, 0].tolist():
        returns.append(segment.reward[start_of_episode : end + 1, 0].sum().item())
        lengths.append(end + 1 - start_of_episode)
        start_of_episode = end + 1
    assert segment.finished_returns.tolist() == returns
    assert segment.finished_lengths.tolist() == lengths
    assert max(lengths) == 3


def test_actions_are_drawn_with_the_probabilities_of_the_policy() -> None:
    logits = torch.tensor([0.5, -1.0, 2.0])
    noise = gumbel((100_000, 3), torch.Generator().manual_seed(0))
    counts = sample_actions(logits.expand(100_000, 3), noise).bincount(minlength=3)
    torch.testing.assert_close(counts / 100_000, logits.softmax(0), rtol=0, atol=0.01)


def test_a_critic_that_values_all_steps_at_once_says_what_it_says_step_by_step() -> None:
    torch.manual_seed(0)
    model = ActorCritic(ActorCriticConfig(hidden=(16, 16)))
    whole: list[Segment] = []
    for policy in (model, model.forward):  # the second hides that actor and critic are apart
        envs = VectorControl(CARTPOLE, 6, max_episode_steps=11)
        rng = torch.Generator().manual_seed(0)
        whole.append(collect(policy, envs, start(policy, envs, 0), 40, rng))
    assert (whole[0].done & ~whole[0].terminated).any()
    assert torch.equal(whole[0].action, whole[1].action)
    for name in ("logits", "value", "next_value"):
        torch.testing.assert_close(getattr(whole[0], name), getattr(whole[1], name))


def test_environments_that_insert_a_dummy_step_are_refused() -> None:
    with pytest.raises(ConfigError, match="SAME_STEP"):
        start(knows_corridors, corridors(2, mode=AutoresetMode.NEXT_STEP), 0)


def test_a_policy_with_another_number_of_actions_is_refused() -> None:
    with pytest.raises(ConfigError, match="3 actions.* has 2"):
        start(lambda x: SimpleNamespace(logits=torch.zeros(len(x), 3), value=x[:, 0]), corridors(2), 0)


def test_continuous_actions_are_refused() -> None:
    envs = make_vector("Pendulum-v1", 2)
    with pytest.raises(ConfigError, match="Discrete"):
        start(knows_corridors, envs, 0)


def test_a_reward_that_is_not_a_number_is_reported_with_its_place() -> None:
    envs = gymnasium.wrappers.vector.TransformReward(corridors(3), lambda r: np.where(r == 1, np.nan, r))
    with pytest.raises(InputError, match=r"Environment \d gave the reward nan at step \d+"):
        collect(knows_corridors, envs, start(knows_corridors, envs, 0), 20, torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class Balance:
    """Pushes where the pole falls, and knows nothing of values."""

    def __call__(self, observation: torch.Tensor) -> SimpleNamespace:
        lean = observation[:, 2] + 0.5 * observation[:, 3]
        return SimpleNamespace(logits=torch.stack([-lean, lean], dim=1), value=torch.zeros(len(observation)))


def test_a_greedy_episode_replays_in_the_environment() -> None:
    episode = greedy_rollout(Balance(), gymnasium.make("CartPole-v1"), seed=3, steps=60)
    env = gymnasium.make("CartPole-v1")
    shown, _ = env.reset(seed=3)
    for t, action in enumerate(episode.action.tolist()):
        assert torch.equal(episode.observation[t], torch.from_numpy(shown))
        assert action == int(episode.logits[t].argmax())
        shown, reward, *_ = env.step(action)
        assert episode.reward[t] == reward
    assert len(episode.action) == len(episode.value) == 60
    assert not (episode.terminated or episode.truncated)


def test_a_greedy_episode_ends_where_the_environment_ends_it() -> None:
    def fall(observation: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=torch.tensor([[1.0, 0.0]]), value=torch.zeros(1))

    episode = greedy_rollout(fall, gymnasium.make("CartPole-v1"), seed=0)
    assert episode.terminated
    assert len(episode.action) < 15
