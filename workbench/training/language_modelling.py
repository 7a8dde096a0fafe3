"""Language models: next-token cross-entropy, validation loss in nats per token, bits per byte."""

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
from workbench.training.supervised import mean_interval

AGAIN = -100
"""In the place of a token that is not predicted a second time."""


def train_language_model(
    model: nn.Module,
    batch: Batch,
    cfg: FitConfig,
    evaluate: Callable[[nn.Module], dict[str, Any]] | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    keep: Callable[[int, nn.Module], None] | None = None,
) -> Curve:
    """Trains the model to predict each next token of `batch`'s windows and returns its curve.

    `evaluate` is usually a call of `language_metrics` on the validation split.
    """
    return fit(model, batch, next_token_loss, cfg, evaluate, checkpoint, progress, keep)


def next_token_loss(
    logits: Float[Tensor, "batch pos vocab"], targets: Int[Tensor, "batch pos"], smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Mean cross-entropy in nats per token; `targets` holds the token that follows each position.

    `smoothing` is the share of a target that is spread over the whole vocabulary (Szegedy et al. 2016).
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
    """`validation_loss` (nats per token) and `bits_per_byte` over a whole text, with 95 % intervals over windows
    (none when there is only one).

    The text is cut into windows of `context` tokens, the last `overlap` of which are read again in the next one;
    every token but the first is predicted once, from the tokens before it in its window (at least `overlap` of them
    after the first window); the last window may be shorter. `n_bytes` is the UTF-8 length of the text. `n` counts
    predicted tokens. One forward pass per `batch_size` windows. ConfigError unless 0 <= overlap < context.
    """
    if not 0 <= overlap < context:
        raise ConfigError(f"Windows of {context} tokens cannot overlap by {overlap}. Choose 0 to {context - 1}.")
    if len(tokens) < 2:
        raise DataError(f"A text of {len(tokens)} tokens predicts nothing. Give at least two.")
    was_training = model.training
    model.eval()
    windows = _window_batches(tokens, context, batch_size, overlap)
    losses = torch.cat([_losses(model, *pair, precision) for pair in windows])
    model.train(was_training)
    n = len(losses)
    loss = losses.double().mean().item()
    whole_windows = losses[: n // context * context].reshape(-1, context)
    interval = mean_interval(whole_windows.mean(dim=1), mean=loss)
    # The first token is given, not predicted: it takes its share of the bytes with it.
    bits = len(tokens) / n_bytes / math.log(2)
    scaled = None if interval is None else (interval[0] * bits, interval[1] * bits)
    return {
        "validation_loss": {"value": loss, "n": n, "interval": interval},
        "bits_per_byte": {"value": loss * bits, "n": n, "interval": scaled},
    }


def _window_batches(
    tokens: Int[Tensor, " token"], context: int, batch_size: int, overlap: int
) -> list[tuple[Int[Tensor, "batch pos"], Int[Tensor, "batch pos"]]]:
    """Windows and the tokens that follow, AGAIN for those that the window before predicts; several to a batch.

    A shorter last one is a batch of its own.
    """
    inputs, targets = tokens[:-1], tokens[1:]
    windows = []
    for start in range(0, max(1, len(inputs) - overlap), context - overlap):
        following = targets[start : start + context].clone()
        following[: overlap if start else 0] = AGAIN
        windows.append((inputs[start : start + context], following))
    shorter = [windows.pop()] if len(windows[-1][0]) < context else []
    groups = [windows[i : i + batch_size] for i in range(0, len(windows), batch_size)] + ([shorter] if shorter else [])
    return [
        (torch.stack([read for read, _ in group]), torch.stack([wanted for _, wanted in group])) for group in groups
    ]


def _losses(
    model: nn.Module, inputs: Int[Tensor, "batch pos"], targets: Int[Tensor, "batch pos"], precision: str
) -> Float[Tensor, " token"]:
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=precision == "bf16"):
        logits = model(inputs)
    losses = cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=AGAIN, reduction="none")
    return losses[targets.flatten() != AGAIN]
