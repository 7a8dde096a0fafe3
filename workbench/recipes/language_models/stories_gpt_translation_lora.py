"""GPT on stories, with low-rank adapters trained to pronounce English."""

from dataclasses import replace

from workbench.recipes.trainings.finetuning import FineTuning
from workbench.recipes.trainings.stories_finetuning import TUNING, register_finetuning

RECIPE = register_finetuning(
    "stories_gpt_translation_lora",
    "pronounce English",
    FineTuning("story_sounds", batch_size=16),
    replace(TUNING, steps=3000, lr=2e-3, evaluate_every=1500, checkpoint_every=100),
    targets={"phoneme_error": 0.3},
    rank=64,
)
