"""Metrics: one number per example from a model's output."""

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
"""Maps an output to one number per example."""


def logits_of(output: Any) -> Float[Tensor, "batch choice"]:
    """Return the logits of a classifier or policy, or those of a language model at the last position."""
    logits = output if isinstance(output, Tensor) else getattr(output, "logits", None)
    if not isinstance(logits, Tensor) or logits.ndim not in (2, 3):
        raise InputError(
            f"An output of type {type(output).__name__} has no logits (batch, choice) or (batch, pos, vocab). "
            "Pass a metric of your own: any function from the output to one number per example."
        )
    return logits[:, -1] if logits.ndim == 3 else logits


def _pick(values: Tensor, index: Tensor) -> Tensor:
    """Select one entry per row, by one index per row or a single index for all."""
    return values.gather(1, index.to(values.device).expand(len(values))[:, None])[:, 0]


@dataclass(frozen=True)
class Logit:
    """Logit of one choice (a class, token or action) for each example."""

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
    """Probability of all right choices minus that of all others, from -1 to 1 (Hanna et al. 2023)."""

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
    """Accuracy per example: 1 if the target has the largest logit, else 0."""

    target: Int[Tensor, " batch"]

    def __call__(self, output: Any) -> PerExample:
        logits = logits_of(output)
        return (logits.argmax(dim=-1) == self.target.to(logits.device)).to(logits.dtype)


@dataclass(frozen=True)
class Value:
    """Estimate of the return by the critic."""

    def __call__(self, output: Any) -> PerExample:
        if not hasattr(output, "value"):
            raise InputError("This model has no critic, so it gives no value. Choose another metric, such as logit.")
        return output.value


@dataclass(frozen=True)
class Reconstruction:
    """Log probability of these images (0..1) under an autoencoder's output, in nats per image."""

    images: Float[Tensor, "batch channel height width"]

    def __call__(self, output: Any) -> PerExample:
        logits = logits_of(output)
        images = self.images.flatten(1).expand_as(logits)
        return -binary_cross_entropy_with_logits(logits, images, reduction="none").sum(dim=1)


@dataclass(frozen=True)
class Divergence:
    """KL divergence of an autoencoder's code from the standard normal prior, in nats per image."""

    def __call__(self, output: Any) -> PerExample:
        require_autoencoder(output)
        mean, log_variance = output.mean, output.log_variance
        return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)


def require_autoencoder(output: Any) -> None:
    """Raise InputError if an output is not a reconstruction with its code."""
    if not hasattr(output, "log_variance"):
        raise InputError("This model is not an autoencoder. Choose another metric, such as logit.")


@dataclass(frozen=True)
class Signed:
    """Metric times a sign for each example, so that effects of opposite sign do not cancel in the mean.

    `sign` is 1 where the metric is larger on the clean than on the corrupted input, else -1. The gap between both is
    then the mean absolute difference over examples, and a positive effect moves an example away from its corrupted
    input.
    """

    metric: Metric
    sign: Float[Tensor, " batch"]

    @classmethod
    def of(cls, metric: Metric, clean: Any, corrupted: Any) -> Signed:
        """Create the metric with the sign of each example's difference between clean and corrupted output."""
        difference = metric(clean) - metric(corrupted)
        return cls(metric, torch.where(difference < 0, -1.0, 1.0).to(difference))

    @property
    def __name__(self) -> str:
        return f"Signed{name_of(self.metric)}"

    def __call__(self, output: Any) -> PerExample:
        return self.sign * self.metric(output)


def name_of(metric: Metric) -> str:
    """Return the name of a metric for results."""
    return getattr(metric, "__name__", type(metric).__name__)


def runner_up(logits: Float[Tensor, "batch choice"], target: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
    """Return the choice with the largest logit besides the target."""
    return logits.scatter(1, target[:, None], -torch.inf).argmax(dim=-1)


@dataclass(frozen=True)
class Question:
    """Outputs and labels from which a named metric is built.

    `inputs` are the clean inputs. `several` marks the right choices of a task with more than one. `foils` are fixed
    choices to compare with the right ones.
    """

    clean: Any
    corrupted: Any = None
    targets: Int[Tensor, " batch"] | None = None
    inputs: Any = None
    several: Bool[Tensor, "batch choice"] | None = None
    foils: Int[Tensor, " batch"] | None = None

    @property
    def images(self) -> Float[Tensor, "batch channel height width"]:
        """Clean images, for an autoencoder to reconstruct."""
        require_autoencoder(self.clean)
        return self.inputs

    @property
    def target(self) -> Int[Tensor, " batch"]:
        """Labels if there are any, else the model's choice on the clean input."""
        return logits_of(self.clean).argmax(dim=-1) if self.targets is None else self.targets

    @property
    def right(self) -> Bool[Tensor, "batch choice"]:
        """Mask of all right choices: `several` if given, else the target."""
        if self.several is not None:
            return self.several
        logits = logits_of(self.clean)
        return torch.arange(logits.shape[-1], device=logits.device) == self.target.to(logits.device)[:, None]

    @property
    def foil(self) -> Int[Tensor, " batch"]:
        """Foils if given, else the model's choice on the corrupted input unless it is the target, else runner-up."""
        if self.foils is not None:
            return self.foils
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
"""Builders of metrics by name."""


def signed(name: str) -> Callable[[Question], Metric]:
    """Build a metric by name, with the sign of each example's difference between clean and corrupted inputs."""

    def build(q: Question) -> Metric:
        if q.corrupted is None:
            raise InputError(f"signed_{name} takes its signs from corrupted inputs. Give them, or choose {name}.")
        return Signed.of(METRICS[name](q), q.clean, q.corrupted)

    return build


SIGNED = ("logit", "logit_difference", "value", "reconstruction", "divergence")
METRICS |= {f"signed_{name}": signed(name) for name in SIGNED}
