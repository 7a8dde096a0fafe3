"""Rollouts: segments of experience from many environments for training, and single greedy episodes."""

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
from workbench.core.stepping import step_environments

Policy = Callable[[Tensor], Any]
"""Maps observations to an object with action `logits` (batch, action) and state `value` (batch)."""


@dataclass(frozen=True)
class Frontier:
    """State of every environment between two segments: its observation, and return and length of its episode so far."""

    observation: Float[Tensor, "env *observation"]
    episode_return: Float[Tensor, " env"]
    episode_length: Int[Tensor, " env"]


@dataclass(frozen=True)
class Segment:
    """Consecutive steps of every environment, and the episodes that ended in them.

    `next_value` is the value of the state after a step, before any reset; `done` is terminated or truncated.
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
    """Single episode. Row t holds the observation, the policy's output and the action of step t, and its reward."""

    observation: Float[Tensor, "step *observation"]
    logits: Float[Tensor, "step action"]
    value: Float[Tensor, " step"]
    action: Int[Tensor, " step"]
    reward: Float[Tensor, " step"]
    terminated: bool
    truncated: bool


def as_observation(observation: np.ndarray) -> Float[Tensor, "env *observation"]:
    """Convert observations, one row per environment, to a tensor; raises InputError if one is not finite."""
    shown = torch.as_tensor(observation, dtype=torch.float32)
    refuse_infinite_observations(shown, ("environment",))
    return shown


def next_states(shown: np.ndarray, info: dict[str, Any]) -> Float[Tensor, "env *observation"]:
    """Return the states after a step; of an episode that ended, its own last state and not the next one's first."""
    after = as_observation(shown).clone()
    if (ended := info.get("_final_obs")) is not None:
        after[ended] = as_observation(np.stack(list(info["final_obs"][ended])))
    return after


def gumbel(shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Draw Gumbel noise; logits plus noise are maximal as often as the softmax says (Maddison et al. 2014)."""
    return -torch.rand(shape, generator=rng).log_().neg_().log_()


def sample_actions(logits: Float[Tensor, "env action"], noise: Float[Tensor, "env action"]) -> Int[Tensor, " env"]:
    """Sample one action per row from the softmax of its logits."""
    return (logits + noise).argmax(-1)


def require_same_step_reset(envs: VectorEnv) -> None:
    """Raise unless the environments reset in the step that ends an episode."""
    if envs.metadata.get("autoreset_mode") is not AutoresetMode.SAME_STEP:
        raise ConfigError(
            f"{envs} resets in mode {envs.metadata.get('autoreset_mode')}, which inserts a step without meaning. "
            "Make it with autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP."
        )


@torch.no_grad()
def start(policy: Policy, envs: VectorEnv, seed: int) -> Frontier:
    """Return the first observations of all environments; raises if they do not fit the policy."""
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
    """Collect `steps` steps of every environment from `frontier` on, with actions sampled from the policy.

    Cost: One forward pass per step, and one or two for the values of the states where the segment was cut. A separate
    critic runs once on all steps.
    """
    n, apart = envs.num_envs, getattr(policy, "has_separate_critic", False)
    observation = torch.empty(steps + 1, *frontier.observation.shape)
    observation[0] = frontier.observation
    reward, action = torch.empty(steps, n), torch.empty(steps, n, dtype=torch.int64)
    terminated, truncated = torch.empty(2, steps, n, dtype=torch.bool)
    # NumPy sees the same memory, and writes a row of it with less ado than torch.
    rows = [x.numpy() for x in (observation[1:], reward, terminated, truncated)]
    noise = gumbel((steps, n, int(envs.single_action_space.n)), rng)  # type: ignore[attr-defined]
    logits, values, cuts = [], [], []
    for t, seen in enumerate(observation[:-1].unbind()):
        if apart:
            logits.append(policy.act(seen))  # type: ignore[attr-defined]
        else:
            output = policy(seen)
            logits.append(output.logits)
            values.append(output.value)
        action[t] = sample_actions(logits[t], noise[t])
        *results, info = step_environments(envs, action[t].numpy())
        for row, result in zip(rows, results, strict=True):
            row[t] = result
        if info and (cut := results[3] & ~results[2]).any():
            cuts.append((t, cut, np.stack(list(info["final_obs"][cut]))))
    refuse_infinite(reward)
    refuse_infinite_observations(observation, ("step", "environment"))
    judge = policy.predict_values if apart else lambda seen: policy(seen).value  # type: ignore[attr-defined]
    if apart:
        value = judge(observation.flatten(0, 1)).unflatten(0, (steps + 1, n))
    else:
        value = torch.stack([*values, judge(observation[steps])])
    next_value = value[1:].clone()
    for t, cut, last in cuts:
        next_value[t, cut] = judge(as_observation(last))
    done = terminated | truncated
    return Segment(
        observation[:steps], action, torch.stack(logits), value[:-1], next_value, reward,
        terminated, done, *tally(frontier, reward, done, observation[steps]),
    )  # fmt: skip


def collect_episodes(policy: Policy, envs: VectorEnv, rng: torch.Generator, steps: int = 16) -> Segment:
    """Collect one whole new episode of every environment as one segment, `steps` steps at a time.

    Steps after a row's first end belong to later episodes. `finished_returns` holds the first episodes only.
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
    own = mark_first_episode(joined["done"])
    returns, lengths = (joined["reward"] * own).sum(dim=0), own.sum(dim=0)
    return Segment(**joined, finished_returns=returns, finished_lengths=lengths, frontier=parts[-1].frontier)


def mark_first_episode(done: Bool[Tensor, "step env"]) -> Bool[Tensor, "step env"]:
    """Return True at the steps of each row's first episode, its last step included."""
    return done.long().cumsum(dim=0) - done.long() == 0


def refuse_infinite(reward: Float[Tensor, "step env"]) -> None:
    """Raise InputError, naming the place, if a reward is not finite."""
    if not (finite := reward.isfinite()).all():
        step, row = (~finite).nonzero()[0].tolist()
        raise InputError(
            f"Environment {row} gave the reward {reward[step, row].item()} at step {step} of a segment. "
            "Rewards must be finite: correct the environment."
        )


def refuse_infinite_observations(observation: Float[Tensor, "*step env *observation"], axes: tuple[str, ...]) -> None:
    """Raise InputError, naming the place, if an observation is not finite; `axes` names the first axes."""
    if not (finite := observation.isfinite()).all():
        place = (~finite).nonzero()[0].tolist()
        where = ", ".join(f"{axis} {index}" for axis, index in zip(axes, place, strict=False))
        raise InputError(
            f"An environment showed {observation[tuple(place)].item()} in entry {place[len(axes) :]} of an observation "
            f"({where}). Observations must be finite: correct the environment."
        )


def tally(
    frontier: Frontier,
    reward: Float[Tensor, "step env"],
    done: Bool[Tensor, "step env"],
    observation: Float[Tensor, "env *observation"],
) -> tuple[Float[Tensor, " episode"], Int[Tensor, " episode"], Frontier]:
    """Return returns and lengths of the episodes that end in a segment, and the frontier after it."""
    total, length = frontier.episode_return.numpy().copy(), frontier.episode_length.numpy().copy()
    gained, over, some_over = reward.numpy(), done.numpy(), done.any(dim=1).tolist()
    returns, lengths = [np.empty(0, np.float32)], [np.empty(0, np.int64)]
    for t in range(len(over)):
        total += gained[t]
        length += 1
        if some_over[t]:
            returns.append(total[over[t]])
            lengths.append(length[over[t]])
            total[over[t]], length[over[t]] = 0, 0
    columns = (np.concatenate(returns), np.concatenate(lengths), total, length)
    finished, spans, total_now, length_now = map(torch.from_numpy, columns)
    return finished, spans, Frontier(observation, total_now, length_now)


@torch.no_grad()
def greedy_rollout(policy: Policy, env: gymnasium.Env, seed: int, steps: int = 1000) -> Episode:
    """Run one episode of at most `steps` steps with the most likely action at every step.

    Cost: One forward pass per step.
    """
    observation, _ = env.reset(seed=seed)
    seen, outputs, actions, rewards = [], [], [], []
    terminated = truncated = False
    while len(seen) < steps and not (terminated or truncated):
        seen.append(as_observation(observation))
        outputs.append(policy(seen[-1][None]))
        actions.append(int(outputs[-1].logits.argmax()))
        observation, reward, terminated, truncated, _ = step_environments(env, actions[-1])
        rewards.append(float(reward))
    logits, value = (torch.cat([getattr(output, name) for output in outputs]) for name in ("logits", "value"))
    return Episode(
        torch.stack(seen), logits, value, torch.tensor(actions), torch.tensor(rewards),
        bool(terminated), bool(truncated),
    )  # fmt: skip
