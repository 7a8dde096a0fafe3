"""Folder with a tiny network of every kind, and a toy analysis that counts its calls."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.checkpoints.card import Card, DataSource, Score
from workbench.checkpoints.store import save
from workbench.core.errors import InputError
from workbench.core.hooked import HookedModel
from workbench.core.metrics import Metric
from workbench.core.progress import Progress, silent
from workbench.data.text.tokenizers import character_tokenizer
from workbench.training.curve import Curve
from workbench.zoo.actor_critic import ActorCritic, ActorCriticConfig
from workbench.zoo.gpt import GPT, GPTConfig
from workbench.zoo.mlp import MLPClassifier, MLPConfig

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxyz,.:\n"


def card(architecture: str, data: str) -> Card:
    return Card(architecture, "none", DataSource(data, "ab" * 32), 0, {"test_accuracy": Score(0.5, 10, (0.2, 0.8))})


def save_tiny_models(folder: Path) -> None:
    torch.manual_seed(0)
    tokenizer = character_tokenizer(LETTERS)
    gpt = GPTConfig(d_vocab=tokenizer.vocab_size, n_ctx=80, n_layers=1, d_model=8, n_heads=2)
    curve = Curve([1, 2], {"loss": [1.0, 0.5]})
    save(folder / "digits", MLPClassifier(MLPConfig(hidden=(6,))), card("mlp", "digits"), curve)
    save(folder / "text", GPT(gpt), card("gpt", "tiny_shakespeare"), curve, tokenizer)
    policy = ActorCritic(ActorCriticConfig(hidden=(4,)))
    save(folder / "policy", policy, card("actor_critic", "workbench/CartPole-v1"), curve)


@dataclass(frozen=True)
class Share:
    """The metric times `factor`, for each example."""

    value: Float[Tensor, " batch"]
    names: tuple[str, ...]


calls: list[dict[str, Any]] = []
"""Arguments of each computation, noted through a logger: what a function reads itself would count in its key."""


class Note(logging.Handler):
    """Keeps the arguments of each message."""

    def emit(self, record: logging.LogRecord) -> None:
        calls.append(dict(record.args))  # type: ignore[arg-type]


logging.getLogger(__name__).addHandler(Note())
logging.getLogger(__name__).setLevel(logging.INFO)


@torch.no_grad()
def share(
    model: HookedModel,
    inputs: Any,
    metric: Metric,
    factor: float,
    names: tuple[str, ...] = ("a", "b"),
    mode: Literal["plain", "broken"] = "plain",
    limit: int | None = None,
    double: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> Share:
    """The metric, scaled.

    `factor` multiplies it; `names` are kept as they are. Costs one forward pass.
    """
    given = {"factor": factor, "names": names, "limit": limit, "seed": seed, "batch": len(inputs)}
    logging.getLogger(__name__).info("share %(factor)s", given)
    if mode == "broken":
        raise InputError("This mode is broken.")
    for step in range(3):
        progress(step + 1, 3)
    return Share(metric(model(inputs)) * factor * (2 if double else 1), names)


@torch.no_grad()
def gap(model: HookedModel, inputs: Any, corrupted: Any, metric: Metric) -> Share:
    """The metric on clean minus that on corrupted inputs."""
    return Share(metric(model(inputs)) - metric(model(corrupted)), ())
