"""A GPT on stories, all its weights fine-tuned, to pronounce English."""

from workbench.recipes.finetuning import FineTuning
from workbench.recipes.recipe import Recipe, register
from workbench.recipes.stories_gpt import RECIPE as BASE
from workbench.training.fit_config import FitConfig

TASK = FineTuning("story_sounds", batch_size=16)
RECIPE = register(
    Recipe(
        name="stories_gpt_translation",
        title="GPT on English stories, fine-tuned to pronounce English",
        architecture="gpt",
        config=BASE.config,
        training=FitConfig(
            steps=1700, optimizer="muon", lr=2e-3, weight_decay=0.01, betas=(0.9, 0.99), momentum=0.95,
            schedule="linear", warmup=50, gradient_clip=1.0, precision="bf16", checkpoint_every=100,
        ),
        train=TASK.train,
        targets={"phoneme_error": 0.3},
        dtype="bfloat16",
        measure=TASK.measure,
        based_on=BASE.name,
    )
)  # fmt: skip
