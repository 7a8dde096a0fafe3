"""A GPT on stories, all its weights fine-tuned, to pronounce English."""

from workbench.recipes.finetuning import FineTuning
from workbench.recipes.stories_finetuning import fine_tuned

RECIPE = fine_tuned(
    "stories_gpt_translation",
    "pronounce English",
    FineTuning("story_sounds", batch_size=16),
    targets={"phoneme_error": 0.3},
    steps=1700,
    lr=2e-3,
    checkpoint_every=100,
)
