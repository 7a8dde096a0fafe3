"""Next-token cross entropy of language models, validation loss in nats per token, bits per byte."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from workbench.core.errors import ConfigError, DataError
from workbench.core.progress import Progress, silent
from workbench.training.curve import Curve
from workbench.training.fit import Batch, FitConfig, fit
from workbench.training.scores import normal_interval


def train_language_model(
    model: nn.Module,
    batch: Batch,
    cfg: FitConfig,
    evaluate: Callable[[nn.Module], dict[str, Any]] | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    keep: Callable[[int, nn.Module], None] | None = None,
) -> Curve:
    """Train a model to predict the next tokens of `batch`'s windows and return its curve.

    `evaluate` is usually `language_metrics` on the validation split; other arguments are those of `fit`.
    """
    return fit(model, batch, next_token_loss, cfg, evaluate, checkpoint, progress, keep)


def next_token_loss(
    logits: Float[Tensor, "batch pos vocab"], targets: Int[Tensor, "batch pos"], smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Compute the mean cross entropy in nats per token.

    Args:
        logits: Output of the model.
        targets: Token that follows each position.
        smoothing: Share of a target that is spread over the whole vocabulary (Szegedy et al. 2016).
    """
    return cross_entropy(logits.flatten(0, 1), targets.flatten(), label_smoothing=smoothing)


@torch.no_grad()
def language_metrics(
    model: nn.Module,
    tokens: Int[Tensor, " token"],
    context: int,
    n_bytes: int,
    batch_size: int = 32,
    precision: str = "fp32",
    overlap: int = 0,
) -> dict[str, dict[str, Any]]:
    """Measure `validation_loss` (nats per token) and `bits_per_byte` of a whole text, with 95 % intervals over windows.

    Every token but the first is predicted once, from the preceding tokens of its window. The last window may be
    shorter.

    Args:
        model: Language model.
        tokens: The text.
        context: Tokens per window.
        n_bytes: Length of the text in UTF-8.
        batch_size: Windows per forward pass.
        precision: "fp32" or "bf16".
        overlap: Tokens that a window shares with the preceding one, as context that is not scored again.

    Returns:
        Scores by name; `n` counts predicted tokens, and a single window has no interval.

    Raises:
        ConfigError: Unless 0 <= overlap < context.
        DataError: If the text has fewer than two tokens.
    """
    if not 0 <= overlap < context:
        raise ConfigError(f"Windows of {context} tokens cannot overlap by {overlap}. Choose 0 to {context - 1}.")
    if len(tokens) < 2:
        raise DataError(f"A text of {len(tokens)} tokens predicts nothing. Give at least two.")
    was_training = model.training
    model.eval()
    batches = _window_batches(tokens, context, batch_size, overlap)
    first, *others = (row for windows in batches for row in _losses(model, windows, precision))
    losses = torch.cat([first, *(row[overlap:] for row in others)])
    model.train(was_training)
    n = len(losses)
    loss = losses.double().mean().item()
    whole_windows = losses[: n // context * context].reshape(-1, context)
    interval = normal_interval(whole_windows.mean(dim=1), mean=loss)
    # The first token is given, not predicted: it takes its share of the bytes with it.
    bits = len(tokens) / n_bytes / math.log(2)
    scaled = None if interval is None else (interval[0] * bits, interval[1] * bits)
    return {
        "validation_loss": {"value": loss, "n": n, "interval": interval},
        "bits_per_byte": {"value": loss * bits, "n": n, "interval": scaled},
    }


def _window_batches(
    tokens: Int[Tensor, " token"], context: int, batch_size: int, overlap: int
) -> list[Int[Tensor, "batch following"]]:
    """Batch windows, each with its next token; a shorter last one is a batch of its own."""
    starts = range(0, max(1, len(tokens) - 1 - overlap), context - overlap)
    windows = [tokens[start : start + context + 1] for start in starts]
    shorter = [windows.pop()] if len(windows[-1]) <= context else []
    groups = [*(windows[i : i + batch_size] for i in range(0, len(windows), batch_size)), shorter]
    return [torch.stack(group) for group in groups if group]


def _losses(model: nn.Module, windows: Int[Tensor, "batch following"], precision: str) -> Float[Tensor, "batch pos"]:
    inputs, targets = windows[:, :-1], windows[:, 1:]
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=precision == "bf16"):
        logits = model(inputs)
    losses = cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
    return losses.view_as(targets)
