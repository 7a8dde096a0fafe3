"""GPT on stories, with all weights fine-tuned to find the missing name."""

from dataclasses import replace

from workbench.recipes.trainings.finetuning import FineTuning
from workbench.recipes.trainings.stories_finetuning import TUNING, register_finetuning

RECIPE = register_finetuning(
    "stories_gpt_qa",
    "find the missing name",
    FineTuning("story_cloze", batch_size=16, lm_coef=0.2),
    replace(TUNING, steps=150, lr=3e-4, evaluate_every=75, checkpoint_every=50),
    targets={"test_accuracy": 0.38},
    dropout=0.1,
)
