"""Small attention-only transformer on indirect object identification."""

from workbench.data.tasks.indirect_objects import LENGTH
from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.sequence_task import train_on
from workbench.training.fit import FitConfig
from workbench.zoo.gpt import GPTConfig

RECIPE = register(
    Recipe(
        name="ioi_gpt",
        title="Attention-only transformer on indirect objects",
        architecture="gpt",
        config=GPTConfig(
            d_vocab=102, n_ctx=LENGTH, n_layers=3, d_model=64, n_heads=4, positions="rotary", attn_only=True
        ),
        training=FitConfig(
            steps=1000, optimizer="adamw", lr=3e-3, weight_decay=0.1, betas=(0.9, 0.98), schedule="cosine", warmup=50,
            gradient_clip=1.0, evaluate_every=50, log_every=20, checkpoint_every=250,
            keep_steps=(0, 100, 200, 300, 400),
        ),
        train=train_on("indirect_objects", batch_size=64),
        targets={"test_accuracy": 0.99},
        note="Trained on every word of a sentence, tested on its indirect object, with pairs of names it never saw.",
    )
)  # fmt: skip
