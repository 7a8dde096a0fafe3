"""GPT on stories, with all weights fine-tuned to pronounce English."""

from dataclasses import replace

from workbench.recipes.trainings.finetuning import FineTuning
from workbench.recipes.trainings.stories_finetuning import TUNING, register_finetuning

RECIPE = register_finetuning(
    "stories_gpt_translation",
    "pronounce English",
    FineTuning("story_sounds", batch_size=16),
    replace(TUNING, steps=1700, lr=2e-3, checkpoint_every=100),
    targets={"phoneme_error": 0.3},
)
