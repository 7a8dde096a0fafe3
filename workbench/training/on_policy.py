"""Training loop of on-policy methods: collect a segment of experience, improve the policy on it, discard it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gymnasium.vector import VectorEnv
from torch import nn

from workbench.core.errors import ConfigError, TrainingError
from workbench.core.progress import Progress, silent
from workbench.core.random import generator
from workbench.core.ranges import NonNegativeInt, PositiveFloat, PositiveInt, Share, check_fields
from workbench.training.curve import Curve
from workbench.training.optimizers import Optimizer, build_optimizer
from workbench.training.policy_losses import entropy
from workbench.training.resume import Loop, TrainingState, facts_of, pause
from workbench.training.rollouts import Frontier, Segment, collect, collect_episodes, start
from workbench.training.schedules import schedule

Improve = Callable[[Segment, Optimizer, torch.Generator], Mapping[str, float]]
"""Takes optimiser steps on one segment and returns measures for the curve."""
Keep = Callable[[int, Any], None]
"""Gets the model after a number of updates."""


@dataclass(frozen=True)
class OnPolicyConfig:
    """Settings that the loop reads; the config of each method adds its own and sets its own defaults."""

    steps: PositiveInt
    """Steps of all environments together, rounded up to whole segments."""
    segment: NonNegativeInt
    """Steps of each environment between two updates; 0 for one whole episode of each."""
    lr: PositiveFloat
    """Learning rate where the schedule's factor is 1."""
    schedule: str = "linear"
    """One of `schedules.SCHEDULES`, over steps."""
    discount: Share = 0.99
    """Weight of each reward relative to the preceding one, the papers' gamma."""
    checkpoint_every: PositiveInt = 10
    """Updates between two writes of the training state."""
    keep_updates: tuple[NonNegativeInt, ...] = ()
    """Completed updates after which `keep` gets the model; 0 is before training."""

    def __post_init__(self) -> None:
        check_fields(self)
        schedule(self.schedule)


@dataclass
class Run(Loop):
    """State of a training in progress."""

    counters = ("update", "steps", "seconds")

    envs: VectorEnv
    rng: torch.Generator
    frontier: Frontier
    update: int = 0
    steps: int = 0

    def groups(self) -> dict[str, Mapping[str, torch.Tensor]]:
        """Return the states of the random generator and the environments."""
        return {
            "random": {"actions": self.rng.get_state()},
            "frontier": vars(self.frontier),
            "environments": environment_state(self.envs),
        }

    def restore(self, path: Path) -> TrainingState:
        """Restore a stored state. Environments that cannot be restored continue with new episodes."""
        state = super().restore(path)
        self.rng.set_state(state.tensors["random.actions"])
        if stored := state.under("environments"):
            self.envs.unwrapped.set_state({name: x.numpy() for name, x in stored.items()})  # type: ignore[attr-defined]
            self.frontier = Frontier(**state.under("frontier"))
        return state


def environment_facts(envs: VectorEnv) -> dict[str, Any]:
    """Return id, number, observation space and action space of the environments."""
    spec = getattr(envs, "spec", None)
    return {
        "environment": getattr(spec, "id", None) or type(envs.unwrapped).__qualname__,
        "environments": envs.num_envs,
        "observations": str(envs.single_observation_space),
        "actions": str(envs.single_action_space),
    }


def environment_state(envs: VectorEnv) -> dict[str, torch.Tensor]:
    """Return the state of the environments as tensors; empty unless they offer `get_state` and `set_state`."""
    if not hasattr(envs.unwrapped, "get_state"):
        return {}
    return {name: torch.from_numpy(x) for name, x in envs.unwrapped.get_state().items()}


def train_on_policy(
    model: nn.Module,
    envs: VectorEnv,
    cfg: OnPolicyConfig,
    improve: Improve,
    seed: int = 0,
    progress: Progress = silent,
    checkpoint: Path | None = None,
    keep: Keep | None = None,
) -> Curve:
    """Train a policy in place and return its curve by environment step: returns and the measures of `improve`.

    Args:
        model: Returns action logits and state values for observations.
        envs: Environments with discrete actions.
        cfg: Settings of the method.
        improve: Takes optimiser steps on one segment.
        seed: Seeds environments and actions.
        progress: Called with the steps done and all steps.
        checkpoint: File of the training state, written every few updates, at the end, and if `progress` cancels. If it
            exists, the run continues from it, bit for bit if the environments offer `get_state` and `set_state`.
        keep: Called with the number of updates and the model at `keep_updates`.

    Raises:
        TrainingError: If a measure is not finite.
    """
    size = max(1, cfg.segment) * envs.num_envs
    total = size * math.ceil(cfg.steps / size)
    optimizer = build_optimizer(model, "adam", cfg.lr, eps=1e-5)
    identity = facts_of(cfg, model, seed=seed, **environment_facts(envs))
    run = Run(model, optimizer, identity, envs, generator(seed, "actions"), start(model, envs, seed))
    if checkpoint is not None and checkpoint.exists():
        run.restore(checkpoint)
    keep_model(run, cfg, keep)
    while run.steps < total:
        advance(run, improve, cfg.segment, cfg.lr * schedule(cfg.schedule)(run.steps, total, 0, 0.0))
        keep_model(run, cfg, keep)
        due = run.update % cfg.checkpoint_every == 0 or run.steps >= total
        pause(partial(run.save, checkpoint), due, progress, min(run.steps, total), total)
    model.eval()
    return run.curve


def require_several(steps: int, envs: VectorEnv) -> None:
    """Raise ConfigError if an update has a single sample, whose normalised advantage is always 0."""
    if steps * envs.num_envs < 2:
        raise ConfigError(
            "One environment and segments of one step give a single sample per update, from which no policy can be "
            "learned. Choose segment=2 or more, or 2 environments or more."
        )


def keep_model(run: Run, cfg: OnPolicyConfig, keep: Keep | None) -> None:
    """Pass the model to `keep` if this update is one of `keep_updates`."""
    if keep is not None and run.update in cfg.keep_updates:
        keep(run.update, run.model.eval())


def advance(run: Run, improve: Improve, steps: int, lr: float) -> None:
    """Run one update: collect a segment and improve the policy on it."""
    began = time.perf_counter()
    run.model.train()
    if steps:
        segment = collect(run.model, run.envs, run.frontier, steps, run.rng)
    else:
        segment = collect_episodes(run.model, run.envs, run.rng)
    for group in run.optimizer.param_groups:
        group["lr"] = lr
    measured = dict(improve(segment, run.optimizer, run.rng))
    run.frontier = segment.frontier
    run.update += 1
    run.steps += segment.reward.numel()
    if bad := [name for name, value in measured.items() if math.isinf(value) or math.isnan(value)]:
        raise TrainingError(
            f"Training stopped in update {run.update}: {bad[0]} is {measured[bad[0]]}. "
            f"Lower lr ({lr:g}), or look at the size of the rewards and observations."
        )
    samples, seconds = segment.reward.numel(), time.perf_counter() - began
    run.seconds += seconds
    measured |= {"seconds": run.seconds, "steps_per_second": samples / seconds}
    run.curve = run.curve.with_point(run.steps, measure_segment(segment) | measured)


def measure_segment(segment: Segment) -> dict[str, float]:
    """Measure a segment: entropy in nats and, if episodes ended, mean return and length."""
    seen = {"entropy": entropy(segment.logits.flatten(0, 1)).mean().item()}
    if len(segment.finished_returns):
        seen["return"] = segment.finished_returns.mean().item()
        seen["length"] = segment.finished_lengths.double().mean().item()
    return seen
