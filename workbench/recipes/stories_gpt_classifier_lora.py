"""Adapters beside a GPT on stories, to tell six books apart."""

from dataclasses import asdict

from workbench.recipes.finetuning import FineTuning
from workbench.recipes.recipe import Recipe, register
from workbench.recipes.stories_gpt import RECIPE as BASE
from workbench.training.fit_config import FitConfig
from workbench.zoo.lora_gpt import LoRAGPTConfig

TASK = FineTuning("story_books", batch_size=24, lm_coef=0.2)
RECIPE = register(
    Recipe(
        name="stories_gpt_classifier_lora",
        title="GPT on English stories, adapters to tell six books apart",
        architecture="lora_gpt",
        config=LoRAGPTConfig(**asdict(BASE.config) | {"dropout": 0.1}, rank=8, alpha=16.0, base=BASE.name),
        training=FitConfig(
            steps=900, optimizer="muon", lr=5e-3, weight_decay=0.01, betas=(0.9, 0.99), momentum=0.95,
            schedule="linear", warmup=50, gradient_clip=1.0, precision="bf16", evaluate_every=300, checkpoint_every=50,
        ),
        train=TASK.train,
        targets={"test_accuracy": 0.91},
        dtype="bfloat16",
        measure=TASK.measure,
        based_on=BASE.name,
    )
)  # fmt: skip
