"""One-layer transformer on addition modulo 59, which generalises long after it has memorised (grokking)."""

from workbench.data.tasks.modular_addition import PRIME
from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.sequence_task import train_on
from workbench.training.fit import FitConfig
from workbench.zoo.gpt import GPTConfig

RECIPE = register(
    Recipe(
        name="modular_addition_gpt",
        title="One-layer transformer on addition modulo 59",
        architecture="gpt",
        config=GPTConfig(
            d_vocab=PRIME + 1, n_ctx=3, n_layers=1, d_model=128, n_heads=4, d_mlp=512, normalization="none",
            activation="relu",
        ),
        training=FitConfig(
            steps=4000, optimizer="adamw", lr=1e-3, weight_decay=1.0, betas=(0.9, 0.98), warmup=10, evaluate_every=50,
            log_every=50, checkpoint_every=250, keep_steps=(0, 250, 500, 1000, 1500, 2000, 3000),
        ),
        train=train_on("modular_addition", batch_size=None, whole=True),
        targets={"whole_accuracy": 0.999, "test_accuracy": 0.999},
        published="100 % modulo 113 (Nanda et al. 2023)",
        weights="xavier_normal",
        note="The network and the training of Nanda et al. (2023), all training pairs in each step and weight decay 1, "
        "but modulo 59 and not 113, with half of the pairs for training, so that it takes minutes.",
    )
)  # fmt: skip
