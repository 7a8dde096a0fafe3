"""GPT on stories, with low-rank adapters trained to tell six books apart."""

from dataclasses import replace

from workbench.recipes.trainings.finetuning import FineTuning
from workbench.recipes.trainings.stories_finetuning import TUNING, register_finetuning

RECIPE = register_finetuning(
    "stories_gpt_classifier_lora",
    "tell six books apart",
    FineTuning("story_books", batch_size=24, lm_coef=0.2),
    replace(TUNING, steps=2000, lr=5e-3, evaluate_every=500, checkpoint_every=100),
    targets={"test_accuracy": 0.922},
    rank=8,
    dropout=0.1,
)
