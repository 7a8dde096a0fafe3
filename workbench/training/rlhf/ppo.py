"""PPO on whole completions with a KL penalty to a reference (Ziegler et al. 2019; Ouyang et al. 2022).

1. Sample one completion for each of `batch` prompts from the policy.
2. Reward the last token with the reward model's score and every token with minus `kl_coef` times its log-ratio to the
   reference.
3. Compute generalized advantages per token, normalise them, and set the critic's targets (`score_completions`).
4. For `epochs` passes in random minibatches, descend the gradient of `ppo_loss`, as `training.ppo` does.

The settings have TRL's names; each one says which setting of `PPOConfig` it corresponds to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
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
from workbench.training.advantages import generalized_advantages, normalize
from workbench.training.curve import Curve
from workbench.training.optimizers import Optimizer, build_optimizer
from workbench.training.policy_losses import Samples, approximate_kl, clipped_fraction, clipped_surrogate
from workbench.training.resume import Loop, facts_of, pause, tensors_sha256
from workbench.training.rlhf.completions import Rows, completion_mask, token_log_probabilities
from workbench.training.rlhf.preference_losses import clipped_value_loss, last_true, masked_mean, penalized_rewards
from workbench.training.rlhf.reward_model import Scorer
from workbench.training.schedules import schedule

PerToken = Float[Tensor, "row less"]
Complete = Callable[[Any, Sequence[Tensor], torch.Generator], Rows]
"""Samples completions of prompts from a policy: (policy, prompts, generator) -> rows."""


@dataclass(frozen=True)
class KLPPOConfig:
    """Settings of PPO on completions. Defaults are TRL's; `updates`, `batch`, `lr` and `epochs` suit a small GPT."""

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
    """Penalty per nat of log-ratio to the reference, in units of the reward model's score."""
    cliprange: PositiveFloat = 0.2
    """Largest distance of a probability ratio from 1 that is rewarded; `PPOConfig.clip`."""
    cliprange_value: PositiveFloat = 0.2
    """Largest change of a value in one update that is rewarded."""
    vf_coef: NonNegativeFloat = 0.1
    """Weight of the critic's loss; `PPOConfig.value_weight`."""
    gamma: Share = 1.0
    """Discount per token; `PPOConfig.discount`."""
    lam: Share = 0.95
    """Lambda of generalized advantages; `PPOConfig.decay`."""
    temperature: PositiveFloat = 0.7
    """Temperature of sampling and of all log-probabilities."""
    missing_eos_penalty: NonNegativeFloat = 1.0
    """Subtracted from the score of a completion that was cut off."""
    checkpoint_every: PositiveInt = 6
    """Updates between two writes of the training state."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Networks:
    """Policy and critic, which are trained, and the fixed reference and reward model."""

    policy: Any
    critic: Scorer
    reference: Any
    reward_model: Scorer

    @property
    def trained(self) -> nn.ModuleDict:
        """Policy and critic, which share one optimiser."""
        return nn.ModuleDict({"policy": self.policy, "critic": self.critic})


@dataclass(frozen=True)
class CompletionBatch:
    """Completions with advantages. All but `tokens` is per token from the second on; `mask` is true in completions."""

    tokens: Rows
    mask: Bool[Tensor, "row less"]
    old_logp: PerToken
    advantage: PerToken
    old_value: PerToken
    target: PerToken

    def rows(self, chosen: Int[Tensor, " chosen"]) -> CompletionBatch:
        """Select some of the completions."""
        return CompletionBatch(**{name: column[chosen] for name, column in vars(self).items()})


@dataclass
class Run(Loop):
    """Networks, optimiser and curve of a training in progress; `model` is policy and critic."""

    counters = ("update", "seconds")

    networks: Networks
    update: int = 0


def kl_ppo(
    networks: Networks,
    prompts: Sequence[Tensor],
    complete: Complete,
    cfg: KLPPOConfig,
    seed: int = 0,
    progress: Progress = silent,
    checkpoint: Path | None = None,
) -> Curve:
    """Train policy and critic in place and return the curve by update.

    Args:
        networks: Policy, critic, reference and reward model.
        prompts: Token ids of each prompt.
        complete: Samples completions.
        cfg: Settings.
        seed: Seeds prompts, completions and minibatches.
        progress: Called with the updates done and all updates.
        checkpoint: File of the training state. If it exists, the run continues from it, bit for bit.

    Raises:
        TrainingError: If a measure is not finite.

    Cost: Per update one sampling of `batch` completions, three forward passes on them, and `epochs` forward and
    backward passes of policy and critic.
    """
    model = networks.trained
    identity = {} if checkpoint is None else identity_of(networks, prompts, cfg, seed)
    run = Run(model, build_optimizer(model, "adam", cfg.lr, eps=1e-5), identity, networks)
    if checkpoint is not None and checkpoint.exists():
        run.restore(checkpoint)
    while run.update < cfg.updates:
        advance(run, prompts, complete, cfg, seed)
        due = run.update % cfg.checkpoint_every == 0 or run.update == cfg.updates
        pause(partial(run.save, checkpoint), due, progress, run.update, cfg.updates)
    return run.curve


def identity_of(networks: Networks, prompts: Sequence[Tensor], cfg: KLPPOConfig, seed: int) -> dict[str, Any]:
    """Return everything that determines the weights: settings, prompts, and the weights of the fixed networks."""
    fixed = {
        "reference": tensors_sha256(networks.reference.state_dict().values()),
        "reward_model": tensors_sha256(networks.reward_model.state_dict().values()),
    }
    return facts_of(cfg, networks.policy, seed=seed, prompts=tensors_sha256(prompts), **fixed)


def advance(run: Run, prompts: Sequence[Tensor], complete: Complete, cfg: KLPPOConfig, seed: int) -> None:
    """Run one update. It depends only on the weights, the optimiser, the seed and the number of the update."""
    began, random = perf_counter(), generator(seed, "update", run.update)
    chosen = torch.randint(len(prompts), (cfg.batch,), generator=random).tolist()
    tokens = complete(run.networks.policy, [prompts[i] for i in chosen], random)
    batch, measures = score_completions(run.networks, tokens, cfg)
    for group in run.optimizer.param_groups:
        group["lr"] = cfg.lr * schedule(cfg.schedule)(run.update, cfg.updates, 0, 0.0)
    measures |= improve(run.networks, run.optimizer, batch, cfg, random)
    run.update += 1
    run.seconds += perf_counter() - began
    if bad := [name for name, value in measures.items() if not math.isfinite(value)]:
        raise TrainingError(
            f"Training stopped in update {run.update}: {bad[0]} is {measures[bad[0]]}. Lower lr "
            f"({cfg.lr:g}), or check the reward model's scores."
        )
    run.curve = run.curve.with_point(run.update, measures | {"seconds": run.seconds})


@torch.no_grad()
def score_completions(networks: Networks, tokens: Rows, cfg: KLPPOConfig) -> tuple[CompletionBatch, dict[str, float]]:
    """Compute advantages and targets of completions; return them with mean reward, KL divergence and length."""
    marks = networks.reward_model.marks
    whole = completion_mask(tokens, marks)
    mask = whole[:, 1:]
    logp, ref_logp = (log_probabilities(gpt, tokens, cfg) for gpt in (networks.policy, networks.reference))
    score = networks.reward_model(tokens)
    cut_off = tokens.gather(1, last_true(whole)[:, None])[:, 0] != marks.end
    reward = penalized_rewards(score - cfg.missing_eos_penalty * cut_off, logp, ref_logp, mask, cfg.kl_coef)
    value = networks.critic.score_positions(tokens)[:, :-1]  # before each token, as is the action
    advantage = advantages(reward, value, mask, cfg)
    white = torch.zeros_like(advantage).masked_scatter(mask, normalize(advantage[mask]))
    measures = {
        "reward": score.mean().item(),
        "kl": ((logp - ref_logp) * mask).sum(dim=1).mean().item(),
        "kl_per_token": masked_mean(logp - ref_logp, mask).item(),
        "length": mask.sum(dim=1).double().mean().item(),
        "cut_off": cut_off.double().mean().item(),
    }
    return CompletionBatch(tokens, mask, logp, white, value, advantage + value), measures


def log_probabilities(gpt: Any, tokens: Rows, cfg: KLPPOConfig) -> PerToken:
    """Compute the log-probability of each token but the first, at the temperature of sampling."""
    return token_log_probabilities(gpt(tokens) / cfg.temperature, tokens)


def advantages(reward: PerToken, value: PerToken, mask: Bool[Tensor, "row less"], cfg: KLPPOConfig) -> PerToken:
    """Compute generalized advantages per token; the last token of a completion ends the episode."""
    last = torch.zeros_like(mask).scatter(1, last_true(mask)[:, None], True)
    next_value = torch.cat([value[:, 1:], torch.zeros_like(value[:, :1])], dim=1)
    columns = (reward.T, value.T, next_value.T, last.T, last.T)
    return generalized_advantages(*columns, discount=cfg.gamma, decay=cfg.lam).T


def ppo_loss(
    logp: Samples, value: Samples, part: CompletionBatch, cfg: KLPPOConfig
) -> tuple[Float[Tensor, ""], dict[str, float]]:
    """Compute the loss of one minibatch, and its measures, from the current networks' outputs at its tokens."""
    old_logp, advantage = part.old_logp[part.mask], part.advantage[part.mask]
    policy = clipped_surrogate(logp, old_logp, advantage, cfg.cliprange)
    critic = clipped_value_loss(value, part.old_value[part.mask], part.target[part.mask], cfg.cliprange_value)
    measures = {
        "policy_loss": policy.item(),
        "value_loss": critic.item(),
        "step_kl": approximate_kl(logp.detach(), old_logp).item(),
        "clipped_fraction": clipped_fraction(logp.detach(), old_logp, cfg.cliprange).item(),
    }
    return policy + cfg.vf_coef * critic, measures


def improve(
    networks: Networks, optimizer: Optimizer, batch: CompletionBatch, cfg: KLPPOConfig, random: torch.Generator
) -> dict[str, float]:
    """Take several epochs of clipped steps on one batch and return the means of the measures."""
    measured: list[dict[str, float]] = []
    for _ in range(cfg.epochs):
        for chosen in torch.randperm(len(batch.tokens), generator=random).split(cfg.minibatch):
            part = batch.rows(chosen)
            logp = log_probabilities(networks.policy, part.tokens, cfg)[part.mask]
            value = networks.critic.score_positions(part.tokens)[:, :-1][part.mask]
            loss, measures = ppo_loss(logp, value, part, cfg)
            optimizer.zero_grad()
            loss.backward()
            for model in (networks.policy, networks.critic):
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            measured.append(measures)
    return {name: sum(measures[name] for measures in measured) / len(measured) for name in measured[0]}
