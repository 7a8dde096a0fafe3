"""GPT on byte pairs of English stories."""

from typing import Any

from workbench.checkpoints.card import DataSource
from workbench.core.hooked import HookedModel
from workbench.core.registry import DATASETS
from workbench.data.text.byte_pairs import train_bpe
from workbench.data.text.text_windows import random_windows
from workbench.data.text.tokenizers import Tokenizer
from workbench.recipes.recipe import Metrics, Recipe, Session, Trained, register
from workbench.recipes.trainings.whole_text import on_text
from workbench.training.fit import FitConfig
from workbench.training.language_modelling import train_language_model
from workbench.zoo.gpt import GPTConfig

PRECISION = "bf16"
"""Precision of training and measuring."""


def train(recipe: Recipe, model: HookedModel, session: Session, batch_size: int = 16) -> Trained:
    """Train on next-token cross entropy of random windows; measure held-out books and WikiText-2."""
    data = DATASETS["english_stories"]()
    tokenizer = train_bpe(data.train, recipe.config.d_vocab)
    batch = random_windows(tokenizer.encode(data.train), batch_size, recipe.config.n_ctx, recipe.seed)
    evaluate = on_text(tokenizer, data.validation, recipe.config.n_ctx, PRECISION)
    curve = train_language_model(model, batch, recipe.training, evaluate, session.state, session.progress, session.keep)
    metrics = evaluate(model) | measure_wikitext(tokenizer, recipe, model)
    return Trained(curve, metrics, DataSource(data.name, data.sha256, data.note), tokenizer)


def measure_wikitext(tokenizer: Tokenizer, recipe: Recipe, model: HookedModel) -> dict[str, Any]:
    """Measure bits per byte on WikiText-2's test part."""
    text = DATASETS["wikitext2"]().validation
    return {"wikitext2_bits_per_byte": on_text(tokenizer, text, recipe.config.n_ctx, PRECISION)(model)["bits_per_byte"]}


def measure(recipe: Recipe, model: HookedModel) -> Metrics:
    """Measure the loss on held-out books and bits per byte on WikiText-2."""
    books = on_text(model.tokenizer, DATASETS["english_stories"]().validation, recipe.config.n_ctx, PRECISION)
    return books(model) | measure_wikitext(model.tokenizer, recipe, model)


RECIPE = register(
    Recipe(
        name="stories_gpt",
        title="GPT on English stories",
        architecture="gpt",
        config=GPTConfig(
            d_vocab=4096, n_ctx=256, n_layers=6, d_model=256, n_heads=4, positions="rotary", normalization="rms",
            tie_embeddings=True,
        ),
        training=FitConfig(
            steps=4500, optimizer="muon", lr=3e-3, weight_decay=0.1, betas=(0.9, 0.99), momentum=0.95,
            schedule="cosine", warmup=100, gradient_clip=1.0, precision="bf16", evaluate_every=1500, log_every=10,
            checkpoint_every=100,
        ),
        train=train,
        reads=("english_stories",),
        measure=measure,
        targets={"validation_loss": 4.0},
        dtype="bfloat16",
    )
)  # fmt: skip
