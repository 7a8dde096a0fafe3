"""GPT on stories, with low-rank adapters trained to find the missing name."""

from dataclasses import replace

from workbench.recipes.trainings.finetuning import FineTuning
from workbench.recipes.trainings.stories_finetuning import TUNING, register_finetuning

RECIPE = register_finetuning(
    "stories_gpt_qa_lora",
    "find the missing name",
    FineTuning("story_cloze", batch_size=16, lm_coef=0.2),
    replace(TUNING, steps=150, lr=5e-4, evaluate_every=75, checkpoint_every=50),
    targets={"test_accuracy": 0.38},
    rank=8,
    dropout=0.1,
)
