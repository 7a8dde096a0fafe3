"""Adapters beside a GPT on stories, to tell six books apart."""

from workbench.recipes.finetuning import FineTuning
from workbench.recipes.stories_finetuning import fine_tuned

RECIPE = fine_tuned(
    "stories_gpt_classifier_lora",
    "tell six books apart",
    FineTuning("story_books", batch_size=24, lm_coef=0.2),
    targets={"test_accuracy": 0.91},
    rank=8,
    dropout=0.1,
    steps=900,
    lr=5e-3,
    evaluate_every=300,
    checkpoint_every=50,
)
