"""Deep Q-learning (DQN, Mnih et al. 2015) with optional double targets, n-step returns and soft target updates.

1. Step every environment with an epsilon-greedy action and store the transitions (`explore`, `replay`).
2. Every `learn_every` rounds, take `optimizer_steps` steps on random transitions along the gradient of
   `temporal_difference_loss`, whose targets come from the target network.
3. Every `target_every` rounds, move the target network towards the network by `target_share`.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Gt, Le
from gymnasium.vector import VectorEnv
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss

from workbench.core.errors import ConfigError, TrainingError
from workbench.core.progress import Progress, silent
from workbench.core.random import generator
from workbench.core.ranges import NonNegativeInt, PositiveFloat, PositiveInt, Share, check_fields
from workbench.core.stepping import step_environments
from workbench.training.curve import Curve
from workbench.training.exploration import Repetition, epsilon_at, extended_epsilon_greedy, require_exploration
from workbench.training.n_step import Recent, n_step
from workbench.training.on_policy import environment_facts, environment_state
from workbench.training.optimizers import build_optimizer
from workbench.training.q_learning import bellman_target
from workbench.training.replay import Replay, Transitions
from workbench.training.resume import Loop, TrainingState, facts_of, restore_model
from workbench.training.rollouts import Frontier, as_observation, next_states, refuse_infinite, start, tally
from workbench.training.schedules import schedule

Samples = Float[Tensor, " sample"]
QValues = Float[Tensor, "sample action"]
Discount = float | Samples


@dataclass(frozen=True)
class DQNConfig:
    """Settings of DQN. The defaults suit CartPole with 16 environments."""

    steps: PositiveInt = 60_000
    """Steps of all environments together, rounded up to whole rounds."""
    lr: PositiveFloat = 1e-3
    """Learning rate where the schedule's factor is 1."""
    schedule: str = "linear"
    """One of `schedules.SCHEDULES`, over rounds."""
    discount: Share = 0.99
    """The paper's gamma."""
    double: bool = True
    """Choose the next action with the network and value it with the target network (van Hasselt et al. 2016)."""
    n_steps: PositiveInt = 1
    """Number of rewards that a target sums (Rainbow's n; Hessel et al. 2018)."""
    capacity: PositiveInt = 50_000
    """Number of transitions in the replay buffer."""
    warmup: NonNegativeInt = 1000
    """Number of transitions before the first optimiser step."""
    minibatch: PositiveInt = 128
    """Transitions per optimiser step."""
    learn_every: PositiveInt = 1
    """Rounds between updates; every environment makes one step per round."""
    optimizer_steps: PositiveInt = 4
    """Optimiser steps per update."""
    target_every: PositiveInt = 1
    """Rounds between two updates of the target network."""
    target_share: Annotated[float, Gt(0), Le(1)] = 0.03
    """Step of the target network towards the network: 1 copies it (Mnih), less is a moving average (Lillicrap)."""
    epsilon_start: Share = 1.0
    """Probability of a random action at the beginning."""
    epsilon_end: Share = 0.05
    """Probability of a random action at the end."""
    epsilon_share: Annotated[float, Gt(0), Le(1)] = 0.3
    """Share of training over which the probability falls."""
    longest: PositiveInt = 1
    """Maximum number of steps for which a random action is repeated (Dabney et al. 2021)."""
    gradient_clip: PositiveFloat = 10.0
    """Largest global norm of the gradient."""
    log_every: PositiveInt = 50
    """Rounds between two points of the curve, and between two writes of the training state."""

    def __post_init__(self) -> None:
        check_fields(self)
        schedule(self.schedule)
        require_exploration(self.epsilon_start, self.epsilon_end)
        if self.warmup >= self.steps:
            raise ConfigError(
                f"warmup={self.warmup} is as long as the run of {self.steps} steps, in which nothing would be learned. "
                f"Choose less than {self.steps} (steps)."
            )


def double_target(
    reward: Samples, next_q: QValues, slow_next_q: QValues, terminated: Bool[Tensor, " sample"], discount: Discount
) -> Samples:
    """Compute double-Q targets: the target network's value of the network's best action (equation 4)."""
    best = next_q.argmax(dim=1, keepdim=True)
    return reward + discount * slow_next_q.gather(1, best)[:, 0] * ~terminated


def temporal_difference_loss(model: nn.Module, slow: nn.Module, part: Transitions, cfg: DQNConfig) -> Tensor:
    """Huber loss of Q(s, a) against its target; only Q(s, a) is differentiated."""
    with torch.no_grad():
        slow_next, discount = slow(part.following).q, cfg.discount**part.steps
        if cfg.double:
            target = double_target(part.reward, model(part.following).q, slow_next, part.terminated, discount)
        else:
            target = bellman_target(part.reward, slow_next, part.terminated, discount)
    return smooth_l1_loss(model(part.observation).q.gather(1, part.action[:, None])[:, 0], target)


@torch.no_grad()
def update_target(slow: nn.Module, model: nn.Module, share: float) -> None:
    """Move every weight of the target network towards the network's by `share`."""
    for old, new in zip(slow.parameters(), model.parameters(), strict=True):
        old.lerp_(new, share)


@dataclass
class Run(Loop):
    """State of a training in progress."""

    counters = ("round", "seconds")

    slow: nn.Module
    envs: VectorEnv
    replay: Replay
    rng: torch.Generator
    frontier: Frontier
    recent: Recent
    held: Repetition
    round: int = 0

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"added": self.replay.added}

    def groups(self) -> dict[str, Mapping[str, Tensor]]:
        """Return the target network, the replay buffer, and the states of exploration and environments."""
        return {
            "slow": self.slow.state_dict(),
            "replay": vars(self.replay.kept),
            "random": {"actions": self.rng.get_state()},
            "frontier": vars(self.frontier),
            "recent": vars(self.recent),
            "environments": environment_state(self.envs),
            "held": vars(self.held),
        }

    def restore(self, path: Path) -> TrainingState:
        """Restore a stored state. Environments that cannot be restored continue with new episodes."""
        state = super().restore(path)
        restore_model(self.slow, state.under("slow"), path)
        self.replay.kept, self.replay.added = Transitions(**state.under("replay")), state.facts["added"]
        self.rng.set_state(state.tensors["random.actions"])
        if stored := state.under("environments"):
            self.envs.unwrapped.set_state({name: x.numpy() for name, x in stored.items()})  # type: ignore[attr-defined]
            self.frontier, self.recent = Frontier(**state.under("frontier")), Recent(**state.under("recent"))
        self.held = Repetition(**state.under("held"))
        return state


def dqn(
    model: nn.Module,
    envs: VectorEnv,
    cfg: DQNConfig,
    seed: int = 0,
    progress: Progress = silent,
    checkpoint: Path | None = None,
) -> Curve:
    """Train a Q-network in place and return its curve by environment step: returns, loss and epsilon.

    Args:
        model: Returns `ActionValues` for observations.
        envs: Environments with discrete actions.
        cfg: Settings.
        seed: Seeds environments, actions and minibatches.
        progress: Called with the rounds done and all rounds.
        checkpoint: File of the training state, written with every point of the curve. If it exists, the run continues
            from it, bit for bit if the environments offer `get_state` and `set_state`.

    Raises:
        TrainingError: If the loss is not finite.
    """
    rounds = math.ceil(cfg.steps / envs.num_envs)
    frontier = start(model, envs, seed)
    replay = Replay(cfg.capacity, tuple(frontier.observation.shape[1:]))
    identity = facts_of(cfg, model, seed=seed, **environment_facts(envs))
    optimizer, slow = build_optimizer(model, "adam", cfg.lr), copy.deepcopy(model)
    recent, held = Recent.none(frontier.observation), Repetition.none(envs.num_envs)
    run = Run(model, optimizer, identity, slow, envs, replay, generator(seed, "dqn"), frontier, recent, held)
    if checkpoint is not None and checkpoint.exists():
        run.restore(checkpoint)
    while run.round < rounds:
        run_rounds(run, cfg, rounds)
        run.save(checkpoint)
        progress(run.round, rounds)
    model.eval()
    return run.curve


def run_rounds(run: Run, cfg: DQNConfig, rounds: int) -> None:
    """Run the rounds up to the next point of the curve, and add it."""
    began, losses, finished, epsilon = time.perf_counter(), list[Tensor](), list[Tensor](), 1.0
    for _ in range(min(cfg.log_every, rounds - run.round)):
        epsilon = epsilon_at(run.round / rounds, cfg.epsilon_start, cfg.epsilon_end, cfg.epsilon_share)
        finished.append(explore(run, cfg, epsilon))
        if run.replay.added >= cfg.warmup and run.round % cfg.learn_every == 0:
            losses += learn(run, cfg, cfg.lr * schedule(cfg.schedule)(run.round, rounds, 0, 0.0))
        run.round += 1
        if run.round % cfg.target_every == 0:
            update_target(run.slow, run.model, cfg.target_share)
    run.seconds += time.perf_counter() - began
    returns, measured = torch.cat(finished), {"epsilon": epsilon, "seconds": run.seconds}
    if len(returns):
        measured["return"] = float(returns.mean())
    if losses:
        measured["loss"] = float(torch.stack(losses).mean())
        if not math.isfinite(measured["loss"]):
            raise TrainingError(f"Training stopped in round {run.round}: the loss is {measured['loss']}. Lower lr.")
    run.curve = run.curve.with_point(run.round * run.envs.num_envs, measured)


@torch.no_grad()
def explore(run: Run, cfg: DQNConfig, epsilon: float) -> Float[Tensor, " episode"]:
    """Step every environment, store the transitions, and return the returns of the episodes that ended."""
    seen = run.frontier.observation
    action, run.held = extended_epsilon_greedy(run.model(seen).q, epsilon, run.held, cfg.longest, run.rng)
    shown, gained, *ends, info = step_environments(run.envs, action.numpy())
    reward, (terminated, truncated) = torch.as_tensor(gained, dtype=torch.float32), map(torch.from_numpy, ends)
    refuse_infinite(reward[None])
    done = terminated | truncated
    newest = (seen, action, reward, next_states(shown, info), terminated, done)
    run.recent = run.recent.then(Recent(*(x[None] for x in newest)), cfg.n_steps)
    if len(run.recent) == cfg.n_steps:
        run.replay.add(n_step(run.recent, cfg.discount))
    returns, _, run.frontier = tally(run.frontier, reward[None], done[None], as_observation(shown))
    return returns


def learn(run: Run, cfg: DQNConfig, lr: float) -> list[Tensor]:
    """Take optimiser steps on stored transitions and return their losses."""
    for group in run.optimizer.param_groups:
        group["lr"] = lr
    losses = []
    for _ in range(cfg.optimizer_steps):
        loss = temporal_difference_loss(run.model, run.slow, run.replay.sample(cfg.minibatch, run.rng), cfg)
        run.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(list(run.model.parameters()), cfg.gradient_clip, foreach=True)
        run.optimizer.step()
        losses.append(loss.detach())
    return losses
