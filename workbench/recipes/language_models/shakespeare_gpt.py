"""Character-level GPT on Tiny Shakespeare."""

from workbench.checkpoints.card import DataSource
from workbench.core.hooked import HookedModel
from workbench.core.registry import DATASETS
from workbench.data.text.text_windows import random_windows
from workbench.data.text.tokenizers import character_tokenizer
from workbench.recipes.recipe import Metrics, Recipe, Session, Trained, register
from workbench.recipes.trainings.whole_text import on_text
from workbench.training.fit import FitConfig
from workbench.training.language_modelling import train_language_model
from workbench.zoo.gpt import GPTConfig


def train(recipe: Recipe, model: HookedModel, session: Session, batch_size: int = 32) -> Trained:
    """Train on next-character cross entropy of random windows; measure the loss on the whole validation split."""
    data = DATASETS["tiny_shakespeare"]()
    tokenizer = character_tokenizer(data.train + data.validation)
    context = recipe.config.n_ctx
    batch = random_windows(tokenizer.encode(data.train), batch_size, context, recipe.seed)
    evaluate = on_text(tokenizer, data.validation, context)
    curve = train_language_model(model, batch, recipe.training, evaluate, session.state, session.progress, session.keep)
    return Trained(curve, evaluate(model), DataSource(data.name, data.sha256, data.note), tokenizer)


def measure(recipe: Recipe, model: HookedModel) -> Metrics:
    """Measure the loss on the whole validation split."""
    return on_text(model.tokenizer, DATASETS["tiny_shakespeare"]().validation, recipe.config.n_ctx)(model)


RECIPE = register(
    Recipe(
        name="shakespeare_gpt",
        title="Character GPT on Tiny Shakespeare",
        architecture="gpt",
        config=GPTConfig(
            d_vocab=65, n_ctx=256, n_layers=6, d_model=192, n_heads=6, positions="rotary", normalization="rms",
            dropout=0.1,
        ),
        training=FitConfig(
            steps=1100, optimizer="muon", lr=2e-3, weight_decay=0.1, betas=(0.9, 0.99), momentum=0.95,
            schedule="cosine", warmup=100, gradient_clip=1.0, precision="bf16", evaluate_every=100, log_every=10,
            checkpoint_every=100, keep_steps=(100, 500),
        ),
        train=train,
        reads=("tiny_shakespeare",),
        measure=measure,
        targets={"validation_loss": 1.55},
        published="1.47 with 10.7 M parameters on a GPU, 1.88 on a CPU (nanoGPT)",
        dtype="bfloat16",
        note="nanoGPT's reference is 1.4697 with 10.7 M parameters on a GPU and 1.88 with its CPU setting.",
    )
)  # fmt: skip
