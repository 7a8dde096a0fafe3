"""A GPT on stories, all its weights fine-tuned, to tell six books apart."""

from dataclasses import replace

from workbench.recipes.finetuning import FineTuning
from workbench.recipes.recipe import Recipe, register
from workbench.recipes.stories_gpt import RECIPE as BASE
from workbench.training.fit_config import FitConfig

TASK = FineTuning("story_books", batch_size=24, lm_coef=0.2)
RECIPE = register(
    Recipe(
        name="stories_gpt_classifier",
        title="GPT on English stories, fine-tuned to tell six books apart",
        architecture="gpt",
        config=replace(BASE.config, dropout=0.1),
        training=FitConfig(
            steps=500, optimizer="muon", lr=1e-3, weight_decay=0.01, betas=(0.9, 0.99), momentum=0.95,
            schedule="linear", warmup=50, gradient_clip=1.0, precision="bf16", evaluate_every=250, checkpoint_every=100,
        ),
        train=TASK.train,
        targets={"test_accuracy": 0.93},
        dtype="bfloat16",
        measure=TASK.measure,
        based_on=BASE.name,
    )
)  # fmt: skip
