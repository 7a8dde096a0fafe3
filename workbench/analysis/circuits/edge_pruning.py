"""Learned masks: a probability to keep each edge, trained so that few edges keep the behaviour.

Subnetwork probing (Cao et al. 2021) and edge pruning (Bhaskar et al. 2024), on the edges of any graph: every edge has a
hard concrete mask (Louizos et al. 2018), and gradients go through the runs in which edges carry a mixture of both
writes.
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
"""Of the hard concrete distribution: its temperature and the interval to which it is stretched before it is cut."""
SHIFT = TEMPERATURE * log(-LOW / HIGH)
Vector = Float[Tensor, " edge"]


@dataclass(frozen=True)
class MaskConfig:
    """How masks are learned.

    `steps` of Adam at `lr`; the loss is the squared distance of the metric from the intact one, over the squared gap,
    plus `sparsity` times the expected share of edges kept, a weight that grows from 0 over the first half.
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
    """The probability to be kept of every edge, after learning which edges the behaviour needs.

    Not an effect: 0 and 1 say "not in the circuit" and "in it". Costs two forward passes and `steps` forward and
    backward passes with a mask on every edge.
    """
    with torch.no_grad():
        intact = metric(graph.model(inputs)).detach()
        with graph.patch(other, graph.full(1.0)) as model:
            gap = (metric(model(inputs)) - intact).pow(2).mean()
    if not gap > 0:
        raise InputError("Cutting every edge does not change the metric on any example, so no mask can be learned.")
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
    """One draw of every mask, 0 to 1, often exactly either (Louizos et al. 2018, equations 10 to 12)."""
    u = torch.rand(chances.shape, generator=random, dtype=chances.dtype).clamp(1e-6, 1 - 1e-6).to(chances.device)
    soft = ((u.log() - (1 - u).log() + chances) / TEMPERATURE).sigmoid()
    return (soft * (HIGH - LOW) + LOW).clamp(0, 1)


def kept_probability(chances: Vector) -> Vector:
    """The probability that a mask is not 0 (Louizos et al. 2018, equation 12)."""
    return (chances - SHIFT).sigmoid()
