"""Metrics: one number per example from an output, so that effects keep their spread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from workbench.core.errors import InputError

PerExample = Float[Tensor, " batch"]
Metric = Callable[[Any], Tensor]
"""From an output to one number per example."""


def logits_of(output: Any) -> Float[Tensor, "batch choice"]:
    """The logits of an output: of a classifier, of a policy, or a language model's at the last position."""
    logits = output if isinstance(output, Tensor) else getattr(output, "logits", None)
    if not isinstance(logits, Tensor) or logits.ndim not in (2, 3):
        raise InputError(
            f"An output of type {type(output).__name__} has no logits (batch, choice) or (batch, pos, vocab). "
            "Pass a metric of your own: any function from the output to one number per example."
        )
    return logits[:, -1] if logits.ndim == 3 else logits


def _pick(values: Tensor, index: Tensor) -> Tensor:
    """Each row's entry, for one index per row or one row of indices for a single example."""
    return values.gather(1, index.to(values.device).expand(len(values))[:, None])[:, 0]


@dataclass(frozen=True)
class Logit:
    """The logit of one choice (a class, token or action) for each example."""

    target: Int[Tensor, " batch"]

    def __call__(self, output: Any) -> PerExample:
        return _pick(logits_of(output), self.target)


@dataclass(frozen=True)
class LogitDifference:
    """Logit of the target minus logit of the foil."""

    target: Int[Tensor, " batch"]
    foil: Int[Tensor, " batch"]

    def __call__(self, output: Any) -> PerExample:
        logits = logits_of(output)
        return _pick(logits, self.target) - _pick(logits, self.foil)


@dataclass(frozen=True)
class Probability:
    """Probability of the target."""

    target: Int[Tensor, " batch"]

    def __call__(self, output: Any) -> PerExample:
        return _pick(logits_of(output).softmax(dim=-1), self.target)


@dataclass(frozen=True)
class ProbabilityDifference:
    """Probability of all right choices minus that of all others, -1 to 1 (Hanna et al. 2023)."""

    right: Bool[Tensor, "batch choice"]

    def __call__(self, output: Any) -> PerExample:
        logits = logits_of(output)
        return 2 * (logits.softmax(dim=-1) * self.right.to(logits.device)).sum(dim=-1) - 1


@dataclass(frozen=True)
class Loss:
    """Cross entropy of the target, in nats."""

    target: Int[Tensor, " batch"]

    def __call__(self, output: Any) -> PerExample:
        logits = logits_of(output)
        return cross_entropy(logits, self.target.to(logits.device).expand(len(logits)), reduction="none")


@dataclass(frozen=True)
class KL:
    """KL divergence of the output's distribution from the reference's, in nats.

    Its gradient at the reference run is zero, so first-order attribution cannot use it there.
    """

    reference: Float[Tensor, "batch choice"]

    def __call__(self, output: Any) -> PerExample:
        logp = logits_of(output).log_softmax(dim=-1)
        reference = self.reference.log_softmax(dim=-1).expand_as(logp)
        return (reference.exp() * (reference - logp)).sum(dim=-1)


@dataclass(frozen=True)
class Correct:
    """1 when the target has the largest logit, else 0."""

    target: Int[Tensor, " batch"]

    def __call__(self, output: Any) -> PerExample:
        logits = logits_of(output)
        return (logits.argmax(dim=-1) == self.target.to(logits.device)).to(logits.dtype)


@dataclass(frozen=True)
class Value:
    """The critic's estimate of the return."""

    def __call__(self, output: Any) -> PerExample:
        if not hasattr(output, "value"):
            raise InputError("This model has no critic, so it gives no value. Choose another metric, such as logit.")
        return output.value


@dataclass(frozen=True)
class Reconstruction:
    """Log probability that an autoencoder's output gives to these images in 0..1, in nats per image."""

    images: Float[Tensor, "batch channel height width"]

    def __call__(self, output: Any) -> PerExample:
        logits = logits_of(output)
        wanted = self.images.flatten(1).expand_as(logits)
        return -binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(dim=1)


@dataclass(frozen=True)
class Divergence:
    """KL divergence of an autoencoder's code from the standard normal prior, in nats per image."""

    def __call__(self, output: Any) -> PerExample:
        require_autoencoder(output)
        mean, log_variance = output.mean, output.log_variance
        return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)


def require_autoencoder(output: Any) -> None:
    """Raises when an output is no reconstruction with its code."""
    if not hasattr(output, "log_variance"):
        raise InputError("This model reconstructs nothing from a code. Choose another metric, such as logit.")


def runner_up(logits: Float[Tensor, "batch choice"], target: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
    """The choice with the largest logit besides the target."""
    return logits.scatter(1, target[:, None], -torch.inf).argmax(dim=-1)


@dataclass(frozen=True)
class Question:
    """What a named metric is built from: outputs on the clean and, when there are any, corrupted inputs, and labels.

    `inputs` are the clean inputs themselves; `several` marks the right choices where a task has more than one.
    """

    clean: Any
    corrupted: Any = None
    targets: Int[Tensor, " batch"] | None = None
    inputs: Any = None
    several: Bool[Tensor, "batch choice"] | None = None

    @property
    def images(self) -> Float[Tensor, "batch channel height width"]:
        """The clean inputs, for an autoencoder to reconstruct."""
        require_autoencoder(self.clean)
        return self.inputs

    @property
    def target(self) -> Int[Tensor, " batch"]:
        """The given labels, else the model's own choice on the clean input."""
        return logits_of(self.clean).argmax(dim=-1) if self.targets is None else self.targets

    @property
    def right(self) -> Bool[Tensor, "batch choice"]:
        """Every right choice: those given, else the target alone."""
        if self.several is not None:
            return self.several
        logits = logits_of(self.clean)
        return torch.arange(logits.shape[-1], device=logits.device) == self.target.to(logits.device)[:, None]

    @property
    def foil(self) -> Int[Tensor, " batch"]:
        """The model's choice on the corrupted input where it differs from the target, else the runner-up."""
        second = runner_up(logits_of(self.clean), self.target)
        if self.corrupted is None:
            return second
        other = logits_of(self.corrupted).argmax(dim=-1)
        return torch.where(other == self.target, second, other)


METRICS: dict[str, Callable[[Question], Metric]] = {
    "logit": lambda q: Logit(q.target),
    "logit_difference": lambda q: LogitDifference(q.target, q.foil),
    "probability": lambda q: Probability(q.target),
    "probability_difference": lambda q: ProbabilityDifference(q.right),
    "loss": lambda q: Loss(q.target),
    "kl": lambda q: KL(logits_of(q.clean).detach()),
    "correct": lambda q: Correct(q.target),
    "value": lambda q: Value(),
    "reconstruction": lambda q: Reconstruction(q.images),
    "divergence": lambda q: Divergence(),
}
"""Metrics by name, for commands and pages; each is built from the question at hand."""
