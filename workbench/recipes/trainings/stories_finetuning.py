"""Shared settings of the recipes that fine-tune the GPT on stories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

from workbench.recipes.language_models.stories_gpt import RECIPE as BASE
from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.finetuning import FineTuning
from workbench.training.fit_config import FitConfig
from workbench.zoo.lora_gpt import LoRAGPTConfig

TUNING = FitConfig(
    optimizer="muon", weight_decay=0.01, betas=(0.9, 0.99), momentum=0.95, schedule="linear", warmup=50,
    gradient_clip=1.0, precision="bf16",
)  # fmt: skip
"""Training settings that they share."""


def register_finetuning(
    name: str,
    aim: str,
    task: FineTuning,
    training: FitConfig,
    targets: Mapping[str, float],
    rank: int = 0,
    dropout: float = 0.0,
) -> Recipe:
    """Register a recipe that fine-tunes all weights or, with a `rank`, adapters; `aim` ends its title."""
    config = replace(BASE.config, dropout=dropout)
    adapters = LoRAGPTConfig(**asdict(config), rank=rank, alpha=2.0 * rank, base=BASE.name) if rank else None
    return register(
        Recipe(
            name=name,
            title=f"{BASE.title}, {'adapters' if rank else 'fine-tuned'} to {aim}",
            architecture="lora_gpt" if rank else "gpt",
            config=adapters or config,
            training=training,
            train=task.train,
            targets=targets,
            dtype="bfloat16",
            measure=task.measure,
            based_on=BASE.name,
        )
    )
