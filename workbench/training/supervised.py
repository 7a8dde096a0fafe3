"""Training and evaluation of classifiers."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from workbench.core.errors import ConfigError, InputError
from workbench.core.progress import Progress, silent
from workbench.training.curve import Curve
from workbench.training.fit import Batch, FitConfig, Loss, fit
from workbench.training.scores import mean_score, share_score


def train_classifier(
    model: nn.Module,
    batch: Batch,
    cfg: FitConfig,
    test: tuple[Tensor, Tensor] | None = None,
    label_smoothing: float = 0.0,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    keep: Callable[[int, nn.Module], None] | None = None,
) -> Curve:
    """Train a model on (inputs, class numbers) and return its curve, with `test_accuracy` if `test` is given.

    Convolutions run in channels-last layout, which is faster; the shapes of the weights are unchanged. Further
    arguments are those of `fit`.
    """
    loss = smoothed_cross_entropy(label_smoothing)
    lay_out(model, torch.channels_last)

    def evaluate(trained: nn.Module) -> dict[str, Any]:
        return {} if test is None else classification_metrics(trained, *test)

    try:
        return fit(model, to_channels_last(batch), loss, cfg, evaluate, checkpoint, progress, keep)
    finally:
        lay_out(model, torch.contiguous_format)


def smoothed_cross_entropy(label_smoothing: float) -> Loss:
    """Return the cross entropy in nats with part of each target spread over all classes (Szegedy et al. 2016)."""
    if not 0 <= label_smoothing < 1:
        raise ConfigError(f"label_smoothing={label_smoothing} is no share. Choose 0 up to (not including) 1.")

    def loss(logits: Float[Tensor, "batch class"], targets: Int[Tensor, " batch"]) -> Float[Tensor, ""]:
        return cross_entropy(logits, targets, label_smoothing=label_smoothing)

    return loss


def least_loss(label_smoothing: float, n_classes: int) -> float:
    """Compute the smallest possible smoothed cross entropy in nats: the entropy of a smoothed target."""
    other = label_smoothing / n_classes
    shares = [1 - label_smoothing + other, *[other] * (n_classes - 1)]
    return -sum(share * math.log(share) for share in shares if share)


def lay_out(model: nn.Module, memory_format: torch.memory_format) -> None:
    """Set the memory format of a model's kernels; shapes and values are unchanged."""
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=memory_format)


def to_channels_last(batch: Batch) -> Batch:
    """Convert the images of batches to channels-last layout."""

    def convert(step: int) -> tuple[Tensor, Tensor]:
        inputs, targets = batch(step)
        return (inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs), targets

    return convert


@torch.no_grad()
def classification_metrics(
    model: nn.Module, inputs: Float[Tensor, "batch *input"], targets: Int[Tensor, " batch"], batch_size: int = 500
) -> dict[str, dict[str, Any]]:
    """Measure `test_accuracy` with Wilson's interval and `test_loss` in nats with a normal one.

    The model is run in evaluation mode and its mode is restored. Cost: One forward pass per `batch_size` inputs.
    """
    was_training = model.training
    model.eval()
    pairs = zip(inputs.split(batch_size), targets.split(batch_size), strict=True)
    scored = [_scores(model(some), expected) for some, expected in pairs]
    model.train(was_training)
    losses, hits = (torch.cat(part) for part in zip(*scored, strict=True))
    refuse_infinite_losses(losses)
    return {"test_accuracy": share_score(hits), "test_loss": mean_score(losses)}


def refuse_infinite_losses(losses: Float[Tensor, " example"]) -> None:
    """Raise InputError if the loss of an example is not finite."""
    if not (finite := losses.isfinite()).all():
        example = int((~finite).nonzero()[0])
        raise InputError(
            f"The loss of test example {example} is {losses[example].item()}: its input or a weight of the network is "
            "not a finite number. Correct the data, or train the network again."
        )


def _scores(
    logits: Float[Tensor, "batch class"], targets: Int[Tensor, " batch"]
) -> tuple[Float[Tensor, " batch"], Bool[Tensor, " batch"]]:
    return cross_entropy(logits, targets, reduction="none"), logits.argmax(dim=1) == targets
