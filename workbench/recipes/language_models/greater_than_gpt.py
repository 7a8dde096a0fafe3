"""Small transformer on the greater-than task."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from workbench.core.hooked import HookedModel
from workbench.core.metrics import ProbabilityDifference
from workbench.core.registry import DATASETS
from workbench.data.tasks.greater_than import START, mark_later_years
from workbench.data.tasks.sequences import SequenceData
from workbench.recipes.recipe import Metrics, Recipe, register
from workbench.recipes.trainings.sequence_task import train_on
from workbench.training.fit import FitConfig
from workbench.training.scores import mean_score
from workbench.zoo.gpt import GPTConfig


@torch.no_grad()
def year_metrics(
    model: nn.Module, inputs: Int[Tensor, "row pos"], targets: Int[Tensor, "row pos"]
) -> dict[str, dict[str, Any]]:
    """Measure probability difference and cutoff sharpness (Hanna et al. 2023, section 2).

    They are the probability of later years minus that of all others, and the probability of the next year minus that of
    the preceding one. Cost: One forward pass.
    """
    was_training = model.training
    logits = model.eval()(inputs)
    model.train(was_training)
    difference = ProbabilityDifference(mark_later_years(inputs))(logits)
    probability, first = logits[:, -1].softmax(dim=-1), inputs[:, START, None]
    cutoff = (probability.gather(1, first + 1) - probability.gather(1, first - 1))[:, 0]
    found = {"probability_difference": difference, "cutoff_sharpness": cutoff}
    return {name: mean_score(values) for name, values in found.items()}


def measure(recipe: Recipe, model: HookedModel) -> Metrics:
    """Measure both metrics on the test sentences."""
    data: SequenceData = DATASETS["greater_than"]()
    return year_metrics(model, data.test_inputs, data.test_targets)


RECIPE = register(
    Recipe(
        name="greater_than_gpt",
        title="Two-layer transformer on later years",
        architecture="gpt",
        config=GPTConfig(d_vocab=139, n_ctx=13, n_layers=2, d_model=64, n_heads=4, positions="rotary"),
        training=FitConfig(
            steps=3000, optimizer="adamw", lr=3e-3, weight_decay=0.1, betas=(0.9, 0.98), schedule="cosine", warmup=50,
            gradient_clip=1.0, evaluate_every=250, log_every=50, checkpoint_every=500,
        ),
        train=train_on("greater_than", batch_size=64, measure=year_metrics),
        measure=measure,
        targets={"probability_difference": 0.9},
        published="0.817 by GPT-2 small (Hanna et al. 2023)",
        note="GPT-2 small has a probability difference of 0.817, a cutoff sharpness of 0.06 (Hanna et al. 2023).",
    )
)  # fmt: skip
