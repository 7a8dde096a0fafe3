"""Attention-only transformer of two layers that learns to continue repeated sequences."""

from workbench.data.tasks.repeated_tokens import LENGTH, WORDS
from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.sequence_task import train_on
from workbench.training.fit import FitConfig
from workbench.zoo.gpt import GPTConfig

RECIPE = register(
    Recipe(
        name="induction_gpt",
        title="Attention-only transformer on repeated random tokens",
        architecture="gpt",
        config=GPTConfig(d_vocab=len(WORDS) + 1, n_ctx=LENGTH, n_layers=2, d_model=64, n_heads=4, attn_only=True),
        training=FitConfig(
            steps=4000, optimizer="adamw", lr=2e-3, weight_decay=0.01, betas=(0.9, 0.98), schedule="cosine",
            warmup=50, gradient_clip=1.0, evaluate_every=100, log_every=20, checkpoint_every=500,
            keep_steps=(0, 500, 1000, 1500, 2000, 3000),
        ),
        train=train_on("repeated_tokens", batch_size=64),
        targets={"test_loss": 0.1},
        note="Scored from the second token of the repetition on; the run's length differs from row to row.",
    )
)  # fmt: skip
