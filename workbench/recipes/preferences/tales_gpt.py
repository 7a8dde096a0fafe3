"""Small GPT, pre-trained on English stories and fine-tuned to write tales in response to prompts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from workbench.checkpoints.card import DataSource
from workbench.core.hooked import HookedModel
from workbench.core.ranges import PositiveInt, check_fields
from workbench.core.registry import DATASETS
from workbench.data.text.byte_pairs import train_bpe
from workbench.data.text.text_windows import random_windows
from workbench.recipes.recipe import Metrics, Recipe, Session, Trained, register
from workbench.recipes.trainings.tales_outcomes import marks_of, prompts_of, sample_tales, tale_metrics, tale_rows
from workbench.training.fit_config import FitConfig
from workbench.training.language_modelling import train_language_model
from workbench.training.rlhf.completions import next_in_completion, random_completions
from workbench.training.sequence_answers import answer_metrics
from workbench.zoo.gpt import GPTConfig


@dataclass(frozen=True)
class TalesConfig:
    """Settings of pre-training on stories and of fine-tuning on tales; batch sizes count rows."""

    pretraining: FitConfig
    finetuning: FitConfig
    pretraining_batch: PositiveInt = 32
    finetuning_batch: PositiveInt = 32
    characters: PositiveInt = 4_000_000
    """Characters of the stories to train on."""

    def __post_init__(self) -> None:
        check_fields(self)


def train(recipe: Recipe, model: HookedModel, session: Session) -> Trained:
    """Train on next-token cross entropy of windows of stories, then of completions of tales."""
    cfg: TalesConfig = recipe.training
    stories, data = DATASETS["english_stories"](), DATASETS["tales"]()
    text = stories.train[: cfg.characters]
    tokenizer = train_bpe(text + data.train, recipe.config.d_vocab)
    windows = random_windows(tokenizer.encode(text), cfg.pretraining_batch, recipe.config.n_ctx, recipe.seed)
    curve = train_language_model(
        model, windows, cfg.pretraining, None, session.state, session.progress, session.keep
    )  # fmt: skip
    marks = marks_of(tokenizer)
    rows = tale_rows(data.train, tokenizer, marks)
    batch = random_completions(rows, marks, cfg.finetuning_batch, recipe.seed)
    state = session.state.with_name(f"finetuning_{session.state.name}")
    finetuning = replace(cfg.finetuning, seed=recipe.seed)
    curve = curve.append(train_language_model(model, batch, finetuning, None, state, session.progress))
    note = f"Before, the first {cfg.characters:,} characters of {stories.name} (sha256 {stories.sha256[:12]})."
    source = DataSource(data.name, data.sha256, note)
    return Trained(curve, measure_new_tales(model, tokenizer, recipe.seed), source, tokenizer)


def measure_new_tales(model: HookedModel, tokenizer: Any, seed: int) -> Metrics:
    """Measure the loss on the validation tales and sampled tales for their prompts, at temperature 1."""
    text, marks = DATASETS["tales"]().validation, marks_of(tokenizer)
    losses = answer_metrics(model, *next_in_completion(tale_rows(text, tokenizer, marks), marks), prefix="validation")
    return losses | tale_metrics(sample_tales(model, prompts_of(text), tokenizer, seed))


def measure(recipe: Recipe, model: HookedModel) -> Metrics:
    """Measure a trained network on the validation tales."""
    return measure_new_tales(model, model.tokenizer, recipe.seed)


RECIPE = register(
    Recipe(
        name="tales_gpt",
        title="GPT on English stories, fine-tuned on tales",
        architecture="gpt",
        config=GPTConfig(
            d_vocab=2048, n_ctx=128, n_layers=3, d_model=128, n_heads=4, positions="rotary", normalization="rms",
            tie_embeddings=True,
        ),
        training=TalesConfig(
            pretraining=FitConfig(
                steps=250, optimizer="muon", lr=3e-3, weight_decay=0.1, betas=(0.9, 0.99), momentum=0.95,
                schedule="cosine", warmup=25, final_factor=0.1, gradient_clip=1.0, precision="bf16",
                keep_steps=(250,),
            ),
            finetuning=FitConfig(
                steps=2000, optimizer="muon", lr=3e-3, betas=(0.9, 0.99), momentum=0.95, schedule="cosine", warmup=20,
                gradient_clip=1.0, precision="bf16",
            ),
        ),
        train=train,
        reads=("english_stories", "tales"),
        targets={"grammatical": 0.95},
        measure=measure,
        dtype="bfloat16",
        note="Step 250 is the pre-trained network. Before learning from preferences: the reference of tales_ppo.",
    )
)  # fmt: skip
