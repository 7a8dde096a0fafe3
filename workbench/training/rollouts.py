"""Experience: segments of many environments side by side for training, and single greedy episodes to look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.core.errors import ConfigError, InputError

Policy = Callable[[Tensor], Any]
"""From observations to something with action `logits` (batch, action) and state `value` (batch)."""


@dataclass(frozen=True)
class Frontier:
    """Where every environment stands between two segments: what it shows, and its episode so far."""

    observation: Float[Tensor, "env *observation"]
    episode_return: Float[Tensor, " env"]
    episode_length: Int[Tensor, " env"]


@dataclass(frozen=True)
class Segment:
    """Consecutive steps of every environment, and the episodes that ended in them.

    `next_value` is the value of the state that a step led to, before any reset; `done` is terminated or truncated.
    """

    observation: Float[Tensor, "step env *observation"]
    action: Int[Tensor, "step env"]
    logits: Float[Tensor, "step env action"]
    value: Float[Tensor, "step env"]
    next_value: Float[Tensor, "step env"]
    reward: Float[Tensor, "step env"]
    terminated: Bool[Tensor, "step env"]
    done: Bool[Tensor, "step env"]
    finished_returns: Float[Tensor, " episode"]
    finished_lengths: Int[Tensor, " episode"]
    frontier: Frontier


@dataclass(frozen=True)
class Episode:
    """One episode: row t is what the policy saw, thought and did at step t, and the reward that followed."""

    observation: Float[Tensor, "step *observation"]
    logits: Float[Tensor, "step action"]
    value: Float[Tensor, " step"]
    action: Int[Tensor, " step"]
    reward: Float[Tensor, " step"]
    terminated: bool
    truncated: bool


def as_observation(observation: np.ndarray) -> Float[Tensor, "env *observation"]:
    """What an environment shows, as the network takes it."""
    return torch.as_tensor(observation, dtype=torch.float32)


def led_to(shown: np.ndarray, info: dict[str, Any]) -> Float[Tensor, "env *observation"]:
    """The states a step led to: where an episode ended its own last one, not the first of the next."""
    after = as_observation(shown).clone()
    if (ended := info.get("_final_obs")) is not None:
        after[ended] = as_observation(np.stack(list(info["final_obs"][ended])))
    return after


def sampled(logits: Float[Tensor, "env action"], rng: torch.Generator) -> Int[Tensor, " env"]:
    """One action per row, drawn from the softmax of its logits (by a race of exponential clocks)."""
    clocks = torch.empty_like(logits).exponential_(generator=rng)
    return (logits.softmax(-1) / clocks).argmax(-1)


def require_same_step_reset(envs: VectorEnv) -> None:
    """Raises unless an episode's end and the next one's beginning are one step."""
    if envs.metadata.get("autoreset_mode") is not AutoresetMode.SAME_STEP:
        raise ConfigError(
            f"{envs} resets in mode {envs.metadata.get('autoreset_mode')}, which inserts a step without meaning. "
            "Make it with autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP."
        )


@torch.no_grad()
def start(policy: Policy, envs: VectorEnv, seed: int) -> Frontier:
    """The first observations of all environments; raises when they and the policy do not fit each other."""
    require_same_step_reset(envs)
    actions = getattr(envs.single_action_space, "n", None)
    if actions is None or getattr(envs.single_action_space, "start", 0) != 0:
        raise ConfigError(f"{envs} has actions {envs.single_action_space}; policies here choose among Discrete(n).")
    observation = as_observation(envs.reset(seed=seed)[0])
    choices = policy(observation).logits.shape[-1]
    if choices != actions:
        raise ConfigError(
            f"The policy chooses among {choices} actions and {envs} has {actions}. Set n_actions={actions}."
        )
    return Frontier(observation, torch.zeros(envs.num_envs), torch.zeros(envs.num_envs, dtype=torch.int64))


@torch.no_grad()
def collect(policy: Policy, envs: VectorEnv, frontier: Frontier, steps: int, rng: torch.Generator) -> Segment:
    """`steps` steps of every environment from `frontier` on, actions sampled from the policy.

    Costs one forward pass per step, and one or two for the values of the states where the segment was cut.
    """
    observation = torch.empty(steps + 1, *frontier.observation.shape)
    observation[0] = frontier.observation
    reward = torch.empty(steps, envs.num_envs)
    action = torch.empty(steps, envs.num_envs, dtype=torch.int64)
    terminated, truncated = torch.empty(2, steps, envs.num_envs, dtype=torch.bool)
    outputs, cuts = [], []
    for t in range(steps):
        outputs.append(policy(observation[t]))
        action[t] = sampled(outputs[t].logits, rng)
        shown, *results, info = envs.step(action[t].numpy())
        observation[t + 1] = torch.from_numpy(shown)
        reward[t], terminated[t], truncated[t] = map(torch.from_numpy, results)
        if (cut := (truncated[t] & ~terminated[t]).numpy()).any():
            cuts.append((t, cut, np.stack(list(info["final_obs"][cut]))))
    value = torch.stack([output.value for output in outputs])
    next_value = torch.cat([value[1:], policy(observation[steps]).value[None]])
    for t, cut, last in cuts:
        next_value[t, cut] = policy(as_observation(last)).value
    refuse_infinite(reward)
    done = terminated | truncated
    return Segment(
        observation[:steps], action, torch.stack([output.logits for output in outputs]), value, next_value, reward,
        terminated, done, *tally(frontier, reward, done, observation[steps]),
    )  # fmt: skip


def collect_episodes(policy: Policy, envs: VectorEnv, rng: torch.Generator, steps: int = 16) -> Segment:
    """A new episode in every environment, whole, as one segment; steps after a row's first end are of later ones.

    Its finished episodes are those first ones. Steps `steps` at a time until every first episode has ended.
    """
    first = as_observation(envs.reset()[0])
    frontier = Frontier(first, torch.zeros(envs.num_envs), torch.zeros(envs.num_envs, dtype=torch.int64))
    parts: list[Segment] = []
    running = torch.ones(envs.num_envs, dtype=torch.bool)
    while running.any():
        parts.append(collect(policy, envs, parts[-1].frontier if parts else frontier, steps, rng))
        running &= ~parts[-1].done.any(dim=0)
    names = ("observation", "action", "logits", "value", "next_value", "reward", "terminated", "done")
    joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in names}
    own = first_episode(joined["done"])
    returns, lengths = (joined["reward"] * own).sum(dim=0), own.sum(dim=0)
    return Segment(**joined, finished_returns=returns, finished_lengths=lengths, frontier=parts[-1].frontier)


def first_episode(done: Bool[Tensor, "step env"]) -> Bool[Tensor, "step env"]:
    """Which steps belong to the first episode of their row, its last one included."""
    return done.long().cumsum(dim=0) - done.long() == 0


def refuse_infinite(reward: Float[Tensor, "step env"]) -> None:
    """Raises when a reward is not a finite number, and says where."""
    if not (finite := reward.isfinite()).all():
        step, row = (~finite).nonzero()[0].tolist()
        raise InputError(
            f"Environment {row} gave the reward {reward[step, row].item()} at step {step} of a segment. "
            "Rewards must be finite: mend the environment."
        )


def tally(
    frontier: Frontier,
    reward: Float[Tensor, "step env"],
    done: Bool[Tensor, "step env"],
    observation: Float[Tensor, "env *observation"],
) -> tuple[Float[Tensor, " episode"], Int[Tensor, " episode"], Frontier]:
    """Returns and lengths of the episodes that end in a segment, and the frontier after it."""
    total, length = frontier.episode_return.clone(), frontier.episode_length.clone()
    returns, lengths = [], []
    for gained, ended in zip(reward, done, strict=True):
        total += gained
        length += 1
        if ended.any():
            returns.append(total[ended])
            lengths.append(length[ended])
            total[ended], length[ended] = 0, 0
    none = torch.empty(0), torch.empty(0, dtype=torch.int64)
    return torch.cat([none[0], *returns]), torch.cat([none[1], *lengths]), Frontier(observation, total, length)


@torch.no_grad()
def greedy_rollout(policy: Policy, env: gymnasium.Env, seed: int, steps: int = 1000) -> Episode:
    """One episode of at most `steps` steps with the likeliest action at every step.

    Costs one forward pass per step. Batch the result's observations to look inside the policy.
    """
    observation, _ = env.reset(seed=seed)
    seen, outputs, actions, rewards = [], [], [], []
    terminated = truncated = False
    while len(seen) < steps and not (terminated or truncated):
        seen.append(as_observation(observation))
        outputs.append(policy(seen[-1][None]))
        actions.append(int(outputs[-1].logits.argmax()))
        observation, reward, terminated, truncated, _ = env.step(actions[-1])
        rewards.append(float(reward))
    logits, value = (torch.cat([getattr(output, name) for output in outputs]) for name in ("logits", "value"))
    return Episode(
        torch.stack(seen), logits, value, torch.tensor(actions), torch.tensor(rewards),
        bool(terminated), bool(truncated),
    )  # fmt: skip
