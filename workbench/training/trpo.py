"""Trust region policy optimisation (TRPO, Schulman et al. 2015).

1. Run the policy in all environments for `segment` steps and compute generalized advantages.
2. Compute the gradient g of the surrogate objective.
3. Solve F x = g for the natural gradient x by conjugate gradients, where products with the Fisher matrix F are
   Hessian-vector products of the KL divergence (appendix C).
4. Scale x to the length at which the quadratic model of the KL divergence reaches `kl_limit`.
5. Shorten the step until the surrogate improves and the measured KL divergence is within the limit; else take none.
6. Fit the critic to the returns with Adam.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
from annotated_types import Gt, Lt
from gymnasium.vector import VectorEnv
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from workbench.core.errors import ConfigError
from workbench.core.progress import Progress, silent
from workbench.core.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Share
from workbench.training.advantages import normalize
from workbench.training.conjugate_gradient import conjugate_gradient
from workbench.training.curve import Curve
from workbench.training.on_policy import Keep, OnPolicyConfig, require_several, train_on_policy
from workbench.training.optimizers import Optimizer
from workbench.training.policy_losses import log_probability, mean_kl, surrogate, value_loss
from workbench.training.rollouts import Segment
from workbench.training.samples import Batch, prepare_batch

Vector = Float[Tensor, " parameter"]
Parameters = Sequence[nn.Parameter]


@dataclass(frozen=True)
class TRPOConfig(OnPolicyConfig):
    """Settings of TRPO. The defaults suit CartPole with 32 environments."""

    steps: PositiveInt = 150_000
    segment: PositiveInt = 64
    kl_limit: PositiveFloat = 0.01
    """Largest mean KL divergence from the old policy, in nats, the paper's delta."""
    damping: NonNegativeFloat = 0.1
    """Multiple of the identity added to the Fisher matrix."""
    cg_steps: PositiveInt = 15
    """Maximum number of conjugate gradient steps."""
    backtracks: NonNegativeInt = 10
    """Maximum number of step lengths tried."""
    shrink: Annotated[float, Gt(0), Lt(1)] = 0.8
    """Factor by which a step that is too long is shortened."""
    lr: PositiveFloat = 3e-3
    """Learning rate of the critic where the schedule's factor is 1; the policy has none."""
    schedule: str = "constant"
    critic_epochs: PositiveInt = 5
    """Passes of the critic over each segment."""
    minibatch: PositiveInt = 256
    """Samples per step of the critic."""
    decay: Share = 0.95
    """Lambda of generalized advantages."""


def trpo(
    model: nn.Module,
    envs: VectorEnv,
    cfg: TRPOConfig,
    seed: int = 0,
    progress: Progress = silent,
    checkpoint: Path | None = None,
    keep: Keep | None = None,
) -> Curve:
    """Train an actor-critic in place and return its curve. Arguments are those of `train_on_policy`.

    Cost: For each sample about two backward passes per conjugate gradient step, and those of the critic.
    """
    require_several(cfg.segment, envs)
    return train_on_policy(model, envs, cfg, partial(improve, model, cfg), seed, progress, checkpoint, keep)


def improve(
    model: nn.Module, cfg: TRPOConfig, segment: Segment, optimizer: Optimizer, rng: torch.Generator
) -> dict[str, float]:
    """Take one step of the policy within its trust region, then train the critic; return the measures."""
    batch = prepare_batch(segment, cfg.discount, cfg.decay)
    parameters = policy_parameters(model, batch.observation[:1])
    measured = step(model, parameters, batch, segment.logits.flatten(0, 1), cfg)
    losses = []
    for _ in range(cfg.critic_epochs):
        for part in batch.shuffle(cfg.minibatch, rng):
            losses.append(value_loss(model(part.observation).value, part.target))
            optimizer.zero_grad()
            losses[-1].backward()
            optimizer.step()
    return measured | {"value_loss": losses[-1].item()}


def policy_parameters(model: nn.Module, observation: Tensor) -> list[nn.Parameter]:
    """Return the parameters that the logits depend on; raises ConfigError if the value depends on one of them."""
    output, everything = model(observation), list(model.parameters())
    parts = []
    for end in (output.logits.sum(), output.value.sum()):
        gradients = torch.autograd.grad(end, everything, allow_unused=True, retain_graph=True)
        parts.append([g is not None for g in gradients])
    if any(policy and value for policy, value in zip(*parts, strict=True)):
        raise ConfigError("The critic shares layers with the policy, and its steps would leave the trust region. "
                          "Use critic='separate'.")  # fmt: skip
    return [p for p, mine in zip(everything, parts[0], strict=True) if mine]


def fisher_product(
    logits: Callable[[], Float[Tensor, "sample action"]], parameters: Parameters, damping: float
) -> Callable[[Vector], Vector]:
    """Return the function that multiplies a vector by the policy's damped Fisher matrix (appendix C).

    The Fisher matrix is the Hessian of the KL divergence between the policy and itself. Cost: One forward and one
    backward pass, and one more backward pass per product.
    """
    now = logits()
    gradient = flat_gradient(mean_kl(now.detach(), now), parameters, create_graph=True)

    def product(vector: Vector) -> Vector:
        return flat_gradient(gradient @ vector, parameters) + damping * vector

    return product


def flat_gradient(loss: Tensor, parameters: Parameters, create_graph: bool = False) -> Vector:
    """Compute the gradient of all parameters as one vector and keep the graph."""
    parts = torch.autograd.grad(loss, parameters, create_graph=create_graph, retain_graph=True)
    return torch.cat([part.flatten() for part in parts])


def step(
    model: nn.Module, parameters: Parameters, batch: Batch, old_logits: Tensor, cfg: TRPOConfig
) -> dict[str, float]:
    """Take the natural gradient step with line search, and return KL divergence, gain and number of backtracks."""
    advantage = normalize(batch.advantage)

    def gain() -> Tensor:
        return surrogate(log_probability(model(batch.observation).logits, batch.action), batch.old_logp, advantage)

    before = gain()
    gradient = flat_gradient(before, parameters)
    product = fisher_product(lambda: model(batch.observation).logits, parameters, cfg.damping)
    direction = conjugate_gradient(product, gradient, cfg.cg_steps)
    length = (2 * cfg.kl_limit / (direction @ product(direction)).clamp(min=1e-12)).sqrt()
    start = parameters_to_vector(parameters).detach()
    with torch.no_grad():
        for tried in range(cfg.backtracks):
            vector_to_parameters(start + cfg.shrink**tried * length * direction, parameters)
            gained = gain() - before
            moved = mean_kl(old_logits, model(batch.observation).logits)
            if gained > 0 and moved <= cfg.kl_limit:
                return {"kl": moved.item(), "gain": gained.item(), "backtracks": float(tried)}
        vector_to_parameters(start, parameters)
    return {"kl": 0.0, "gain": 0.0, "backtracks": float(cfg.backtracks)}
