"""Adapters beside a GPT on stories, to pronounce English."""

from dataclasses import replace

from workbench.recipes.finetuning import FineTuning
from workbench.recipes.stories_finetuning import TUNING, fine_tuned

RECIPE = fine_tuned(
    "stories_gpt_translation_lora",
    "pronounce English",
    FineTuning("story_sounds", batch_size=16),
    replace(TUNING, steps=800, lr=2e-3, evaluate_every=400, checkpoint_every=50),
    targets={"phoneme_error": 0.55},
    rank=32,
)
