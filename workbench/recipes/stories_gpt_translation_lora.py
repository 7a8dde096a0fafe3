"""Adapters beside a GPT on stories, to pronounce English."""

from dataclasses import asdict

from workbench.recipes.finetuning import FineTuning
from workbench.recipes.recipe import Recipe, register
from workbench.recipes.stories_gpt import RECIPE as BASE
from workbench.training.fit_config import FitConfig
from workbench.zoo.lora_gpt import LoRAGPTConfig

TASK = FineTuning("story_sounds", batch_size=16)
RECIPE = register(
    Recipe(
        name="stories_gpt_translation_lora",
        title="GPT on English stories, adapters to pronounce English",
        architecture="lora_gpt",
        config=LoRAGPTConfig(**asdict(BASE.config), rank=32, alpha=64.0, base=BASE.name),
        training=FitConfig(
            steps=800, optimizer="muon", lr=2e-3, weight_decay=0.01, betas=(0.9, 0.99), momentum=0.95,
            schedule="linear", warmup=50, gradient_clip=1.0, precision="bf16", evaluate_every=400, checkpoint_every=50,
        ),
        train=TASK.train,
        targets={"phoneme_error": 0.55},
        dtype="bfloat16",
        measure=TASK.measure,
        based_on=BASE.name,
    )
)  # fmt: skip
