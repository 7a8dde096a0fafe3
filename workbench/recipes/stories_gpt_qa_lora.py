"""Adapters beside a GPT on stories, to find the missing name."""

from dataclasses import asdict

from workbench.recipes.finetuning import FineTuning
from workbench.recipes.recipe import Recipe, register
from workbench.recipes.stories_gpt import RECIPE as BASE
from workbench.training.fit_config import FitConfig
from workbench.zoo.lora_gpt import LoRAGPTConfig

TASK = FineTuning("story_cloze", batch_size=16, lm_coef=0.2)
RECIPE = register(
    Recipe(
        name="stories_gpt_qa_lora",
        title="GPT on English stories, adapters to find the missing name",
        architecture="lora_gpt",
        config=LoRAGPTConfig(**asdict(BASE.config) | {"dropout": 0.1}, rank=8, alpha=16.0, base=BASE.name),
        training=FitConfig(
            steps=150, optimizer="muon", lr=5e-4, weight_decay=0.01, betas=(0.9, 0.99), momentum=0.95,
            schedule="linear", warmup=50, gradient_clip=1.0, precision="bf16", evaluate_every=75, checkpoint_every=50,
        ),
        train=TASK.train,
        targets={"test_accuracy": 0.38},
        dtype="bfloat16",
        measure=TASK.measure,
        based_on=BASE.name,
    )
)  # fmt: skip
