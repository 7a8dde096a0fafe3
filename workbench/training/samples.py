"""Training samples: a segment of experience with its advantages, flattened over steps and environments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.training.advantages import generalized_advantages
from workbench.training.policy_losses import log_probability
from workbench.training.rollouts import Segment

Samples = Float[Tensor, " sample"]


@dataclass(frozen=True)
class Batch:
    """Samples with the old policy's log-probabilities, advantages and the critic's targets."""

    observation: Float[Tensor, "sample *observation"]
    action: Int[Tensor, " sample"]
    old_logp: Samples
    advantage: Samples
    target: Samples

    def shuffle(self, size: int, rng: torch.Generator) -> Iterator[Batch]:
        """Yield all samples once, in random order, in minibatches of `size`; the last one may be smaller.

        A single remaining sample joins the preceding minibatch, since its advantage could not be normalised alone.
        """
        n = len(self.action)
        order, sizes = torch.randperm(n, generator=rng), [size] * (n // size) + [n % size] * (n % size > 0)
        if n % size == 1 and size > 1 and len(sizes) > 1:
            sizes[-2:] = [sizes[-2] + 1]
        columns = [getattr(self, field.name)[order].split(sizes) for field in fields(self)]
        return (Batch(*parts) for parts in zip(*columns, strict=True))


def prepare_batch(segment: Segment, discount: float, decay: float) -> Batch:
    """Compute the advantages and targets of a segment; the target is advantage plus value.

    With `decay` 1 the target is the n-step return: the rewards of the rest of the segment, plus the value at its end.
    """
    advantage = generalized_advantages(
        segment.reward, segment.value, segment.next_value, segment.terminated, segment.done, discount, decay
    )
    action, target = segment.action.flatten(), (advantage + segment.value).flatten()
    old_logp = log_probability(segment.logits.flatten(0, 1), action)
    return Batch(segment.observation.flatten(0, 1), action, old_logp, advantage.flatten(), target)
