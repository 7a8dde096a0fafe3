"""Learned masks: a probability of keeping each edge, trained so that few edges keep the behaviour.

Subnetwork probing (Cao et al. 2021) and edge pruning (Bhaskar et al. 2024) on the edges of any graph:

1. Sample a hard concrete mask for each edge (Louizos et al. 2018) and run the model with edges that carry a mixture of
   the clean and the other write.
2. Minimize the squared distance of the metric from the intact one plus the expected share of edges kept, with Adam.
3. Return the probability that each mask is not zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.core.errors import InputError
from workbench.core.graph import Graph
from workbench.core.metrics import Metric
from workbench.core.progress import Progress, silent
from workbench.core.random import generator
from workbench.core.ranges import PositiveFloat, PositiveInt, check_fields

TEMPERATURE, LOW, HIGH = 2 / 3, -0.1, 1.1
"""Hard concrete distribution: temperature, and the interval to which it is stretched before it is clamped to 0..1."""
SHIFT = TEMPERATURE * log(-LOW / HIGH)
Vector = Float[Tensor, " edge"]


@dataclass(frozen=True)
class MaskConfig:
    """Settings of learned masks.

    `steps` of Adam with learning rate `lr`. The loss is the squared distance of the metric from the intact one, divided
    by the squared gap, plus `sparsity` times the expected share of edges kept. That weight grows linearly from 0 during
    the first half of the steps.
    """

    steps: PositiveInt = 300
    lr: PositiveFloat = 0.1
    sparsity: PositiveFloat = 0.3

    def __post_init__(self) -> None:
        check_fields(self)


def learned_masks(
    graph: Graph,
    inputs: Any,
    other: Mapping[str, Tensor],
    metric: Metric,
    how: MaskConfig = MaskConfig(),
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, Tensor]:
    """Learn the probability of keeping each edge.

    Args:
        graph: The model's graph.
        inputs: Clean inputs, batch first.
        other: What a cut edge carries, by hook of the node that writes.
        metric: Returns one number per example from the model's output.
        how: Steps, learning rate and weight of sparsity.
        seed: Seeds the sampled masks.
        progress: Called with the number of finished steps and their total.

    Returns:
        The probability of each edge by wire: 0 is outside the circuit, 1 inside. It is not an effect on the metric.

    Raises:
        InputError: If cutting all edges does not change the metric.

    Cost: 2 forward passes, and `how.steps` forward and backward passes with a mask on every edge.

    References: Cao et al. 2021; Bhaskar et al. 2024.

    Example:
        >>> known = workbench.known_circuit("planted_vote")
        >>> other = known.graph.writes(known.corrupted)
        >>> chances = learned_masks(known.graph, known.inputs, other, known.metric, MaskConfig(steps=5))
        >>> all(0 <= chance.min() and chance.max() <= 1 for chance in chances.values())
        True
    """
    with torch.no_grad():
        intact = metric(graph.model(inputs)).detach()
        with graph.patch(other, graph.full(1.0)) as model:
            gap = (metric(model(inputs)) - intact).pow(2).mean()
    if not gap > 0:
        raise InputError(
            "Cutting every edge does not change the metric on any example, so no mask can be learned. Choose corrupted "
            "inputs that change the model's answer."
        )
    random = generator(seed, "edge masks")
    chances = torch.full((graph.n_edges,), 2.0, dtype=intact.dtype, device=intact.device, requires_grad=True)
    optimizer = torch.optim.Adam([chances], lr=how.lr, betas=(0.9, 0.99))
    for step in range(how.steps):
        with torch.enable_grad():
            mask = draw_masks(chances, random)
            with graph.patch(other, graph.wiring.as_masks(1 - mask)) as model:
                distance = (metric(model(inputs)) - intact).pow(2).mean() / gap
            weight = how.sparsity * min(1.0, 2 * step / how.steps)
            loss = distance + weight * kept_probability(chances).mean()
            (gradient,) = torch.autograd.grad(loss, [chances])
        chances.grad = gradient
        optimizer.step()
        progress(step + 1, how.steps)
    return graph.wiring.as_masks(kept_probability(chances).detach())


def draw_masks(chances: Vector, random: torch.Generator) -> Vector:
    """Sample every mask, between 0 and 1 and often exactly 0 or 1 (Louizos et al. 2018, equations 10 to 12)."""
    u = torch.rand(chances.shape, generator=random, dtype=chances.dtype).clamp(1e-6, 1 - 1e-6).to(chances.device)
    soft = ((u.log() - (1 - u).log() + chances) / TEMPERATURE).sigmoid()
    return (soft * (HIGH - LOW) + LOW).clamp(0, 1)


def kept_probability(chances: Vector) -> Vector:
    """Compute the probability that a mask is not 0 (Louizos et al. 2018, equation 12)."""
    return (chances - SHIFT).sigmoid()
