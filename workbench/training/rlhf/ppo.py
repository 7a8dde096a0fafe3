"""PPO on whole completions with a KL penalty (Ziegler et al. 2019), by TRL's names and defaults."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from workbench.core.errors import TrainingError
from workbench.core.progress import Progress, silent
from workbench.core.random import generator
from workbench.core.ranges import NonNegativeFloat, PositiveFloat, PositiveInt, Share, check_fields
from workbench.training.advantages import generalized_advantages, normalized
from workbench.training.curve import Curve
from workbench.training.optimizers import Optimizer, build_optimizer
from workbench.training.policy_losses import approximate_kl, clipped_fraction, clipped_surrogate
from workbench.training.resume import (
    TrainingState,
    facts_of,
    optimizer_tensors,
    read_state,
    require_same,
    restore_model,
    restore_optimizer,
    tensors_sha256,
    write_state,
)
from workbench.training.rlhf.completions import Rows, completion_mask, token_log_probabilities
from workbench.training.rlhf.preference_losses import clipped_value_loss, last_true, masked_mean, penalized_rewards
from workbench.training.rlhf.reward_model import Scorer
from workbench.training.schedules import schedule

Shown = Float[Tensor, "row less"]
Complete = Callable[[Any, Sequence[Tensor], torch.Generator], Rows]
"""Prompts with completions sampled from a policy."""


@dataclass(frozen=True)
class KLPPOConfig:
    """How to train; the defaults are TRL's except for `updates`, `batch`, `lr` and `epochs`, which suit a small GPT."""

    updates: PositiveInt = 18
    """Batches of fresh completions."""
    batch: PositiveInt = 64
    """Completions per update."""
    minibatch: PositiveInt = 32
    """Completions per optimiser step."""
    epochs: PositiveInt = 2
    """Passes over each batch."""
    lr: PositiveFloat = 2e-4
    """Learning rate of policy and critic where the schedule's factor is 1."""
    schedule: str = "linear"
    """One of `schedules.SCHEDULES`, over updates."""
    kl_coef: NonNegativeFloat = 0.05
    """Reward, in the reward model's logits, that one nat of log-ratio to the reference costs."""
    cliprange: PositiveFloat = 0.2
    """How far a probability ratio may move from 1."""
    cliprange_value: PositiveFloat = 0.2
    """How far the critic may gain by moving in one update."""
    vf_coef: NonNegativeFloat = 0.1
    """Weight of the critic's loss."""
    gamma: Share = 1.0
    """Discount per token."""
    lam: Share = 0.95
    """How far advantages look past the critic, the paper's lambda."""
    temperature: PositiveFloat = 0.7
    """Of sampling; the policy and the reference are what they are at this temperature."""
    missing_eos_penalty: NonNegativeFloat = 1.0
    """What a completion that was cut off loses of its score."""
    checkpoint_every: PositiveInt = 6
    """Updates between two writes of the training state."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Players:
    """Who takes part: the policy and the critic that learn, the reference and the reward model that do not."""

    policy: Any
    critic: Scorer
    reference: Any
    reward_model: Scorer


@dataclass(frozen=True)
class Experience:
    """Completions to learn from; all but `tokens` is per token from the second on, `mask` true in completions."""

    tokens: Rows
    mask: Bool[Tensor, "row less"]
    logp: Shown
    advantage: Shown
    value: Shown
    target: Shown

    def rows(self, chosen: Int[Tensor, " chosen"]) -> Experience:
        """Some of the completions."""
        return Experience(**{name: column[chosen] for name, column in vars(self).items()})


@dataclass
class Run:
    """A run in progress."""

    players: Players
    optimizer: Optimizer
    identity: dict[str, Any]
    curve: Curve = field(default_factory=Curve)
    update: int = 0
    seconds: float = 0.0

    @property
    def learners(self) -> nn.ModuleDict:
        """Policy and critic, trained by one optimiser."""
        return nn.ModuleDict({"policy": self.players.policy, "critic": self.players.critic})

    def save(self, path: Path) -> None:
        """Writes the training state."""
        groups = {"model": self.learners.state_dict(), "optimizer": optimizer_tensors(self.optimizer)}
        facts = {"config": self.identity, "update": self.update, "seconds": self.seconds,
                 "curve": [self.curve.step, self.curve.series]}  # fmt: skip
        write_state(path, TrainingState.of(groups, facts))

    def restore(self, path: Path) -> None:
        """Takes up a stored state."""
        state = read_state(path)
        require_same(state.facts["config"], self.identity, path)
        restore_model(self.learners, state.under("model"), path)
        restore_optimizer(self.optimizer, state.under("optimizer"))
        self.curve = Curve(*state.facts["curve"])
        self.update, self.seconds = state.facts["update"], state.facts["seconds"]


def kl_ppo(
    players: Players,
    prompts: Sequence[Tensor],
    complete: Complete,
    cfg: KLPPOConfig,
    seed: int = 0,
    progress: Progress = silent,
    checkpoint: Path | None = None,
) -> Curve:
    """Trains policy and critic in place and returns the curve, by update; an interrupted run resumes bit for bit.

    Costs per update one sampling of `batch` completions, three forward passes on them, and `epochs` forward and
    backward passes of policy and critic.
    """
    learners = nn.ModuleDict({"policy": players.policy, "critic": players.critic})
    optimizer = build_optimizer(learners, "adam", cfg.lr, eps=1e-5)
    run = Run(players, optimizer, {} if checkpoint is None else identity_of(players, prompts, cfg, seed))
    if checkpoint is not None and checkpoint.exists():
        run.restore(checkpoint)
    while run.update < cfg.updates:
        advance(run, prompts, complete, cfg, seed)
        due = run.update % cfg.checkpoint_every == 0 or run.update == cfg.updates
        if checkpoint is not None and due:
            run.save(checkpoint)
        try:
            progress(run.update, cfg.updates)
        except BaseException:
            if checkpoint is not None and not due:
                run.save(checkpoint)
            raise
    return run.curve


def identity_of(players: Players, prompts: Sequence[Tensor], cfg: KLPPOConfig, seed: int) -> dict[str, Any]:
    """What the run's weights depend on: settings, prompts, and the weights of the networks that do not learn."""
    fixed = {
        "reference": tensors_sha256(players.reference.state_dict().values()),
        "reward_model": tensors_sha256(players.reward_model.state_dict().values()),
    }
    return facts_of(cfg, players.policy, seed=seed, prompts=tensors_sha256(prompts), **fixed)


def advance(run: Run, prompts: Sequence[Tensor], complete: Complete, cfg: KLPPOConfig, seed: int) -> None:
    """One update: fresh completions, and what is learned from them; a pure function of the weights, seed and update."""
    began, random = perf_counter(), generator(seed, "update", run.update)
    chosen = torch.randint(len(prompts), (cfg.batch,), generator=random).tolist()
    tokens = complete(run.players.policy, [prompts[i] for i in chosen], random)
    experience, told = judged(run.players, tokens, cfg)
    for group in run.optimizer.param_groups:
        group["lr"] = cfg.lr * schedule(cfg.schedule)(run.update, cfg.updates, 0, 0.0)
    told |= improve(run.players, run.optimizer, experience, cfg, random)
    run.update += 1
    run.seconds += perf_counter() - began
    if bad := [name for name, value in told.items() if not math.isfinite(value)]:
        raise TrainingError(
            f"Training stopped in update {run.update}: {bad[0]} is {told[bad[0]]}. Lower lr ({cfg.lr:g}), or look at "
            "the reward model's scores."
        )
    run.curve = run.curve.with_point(run.update, told | {"seconds": run.seconds})


@torch.no_grad()
def judged(players: Players, tokens: Rows, cfg: KLPPOConfig) -> tuple[Experience, dict[str, float]]:
    """Completions with their scores made advantages, and what they say of the policy: reward, KL, length."""
    marks = players.reward_model.marks
    whole = completion_mask(tokens, marks)
    mask = whole[:, 1:]
    logp, ref_logp = (spoken(gpt, tokens, cfg) for gpt in (players.policy, players.reference))
    score = players.reward_model(tokens)
    cut_off = tokens.gather(1, last_true(whole)[:, None])[:, 0] != marks.end
    reward = penalized_rewards(score - cfg.missing_eos_penalty * cut_off, logp, ref_logp, mask, cfg.kl_coef)
    value = players.critic.everywhere(tokens)[:, :-1]  # before each token, as is the action
    advantage = advantages(reward, value, mask, cfg)
    white = torch.zeros_like(advantage).masked_scatter(mask, normalized(advantage[mask]))
    experience = Experience(tokens, mask, logp, white, value, advantage + value)
    told = {
        "reward": score.mean().item(),
        "kl": ((logp - ref_logp) * mask).sum(dim=1).mean().item(),
        "kl_per_token": masked_mean(logp - ref_logp, mask).item(),
        "length": mask.sum(dim=1).double().mean().item(),
        "cut_off": cut_off.double().mean().item(),
    }
    return experience, told


def spoken(gpt: Any, tokens: Rows, cfg: KLPPOConfig) -> Shown:
    """Log-probability of each token but the first, at the temperature of sampling."""
    return token_log_probabilities(gpt(tokens) / cfg.temperature, tokens)


def advantages(reward: Shown, value: Shown, mask: Bool[Tensor, "row less"], cfg: KLPPOConfig) -> Shown:
    """Generalized advantages of each completion's tokens: its last one ends the episode."""
    last = torch.zeros_like(mask).scatter(1, last_true(mask)[:, None], True)
    next_value = torch.cat([value[:, 1:], torch.zeros_like(value[:, :1])], dim=1)
    columns = (reward.T, value.T, next_value.T, last.T, last.T)
    return generalized_advantages(*columns, discount=cfg.gamma, decay=cfg.lam).T


def improve(
    players: Players, optimizer: Optimizer, experience: Experience, cfg: KLPPOConfig, random: torch.Generator
) -> dict[str, float]:
    """Several epochs of clipped steps on one batch; the means of what they measured."""
    measured: list[dict[str, float]] = []
    for _ in range(cfg.epochs):
        for chosen in torch.randperm(len(experience.tokens), generator=random).split(cfg.minibatch):
            loss, told = objective(players, experience.rows(chosen), cfg)
            optimizer.zero_grad()
            loss.backward()
            for model in (players.policy, players.critic):
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            measured.append(told)
    return {name: sum(told[name] for told in measured) / len(measured) for name in measured[0]}


def objective(players: Players, part: Experience, cfg: KLPPOConfig) -> tuple[Float[Tensor, ""], dict[str, float]]:
    """The loss of one minibatch, and what it says of the step."""
    logp = spoken(players.policy, part.tokens, cfg)[part.mask]
    value = players.critic.everywhere(part.tokens)[:, :-1][part.mask]
    policy = clipped_surrogate(logp, part.logp[part.mask], part.advantage[part.mask], cfg.cliprange)
    critic = clipped_value_loss(value, part.value[part.mask], part.target[part.mask], cfg.cliprange_value)
    with torch.no_grad():
        told = {
            "policy_loss": policy.item(),
            "value_loss": critic.item(),
            "step_kl": approximate_kl(logp, part.logp[part.mask]).item(),
            "clipped_fraction": clipped_fraction(logp, part.logp[part.mask], cfg.cliprange).item(),
        }
    return policy + cfg.vf_coef * critic, told
