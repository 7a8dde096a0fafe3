"""A GPT on byte pairs of English stories."""

from functools import partial

from workbench.checkpoints.card import DataSource
from workbench.core.hooked import HookedModel
from workbench.core.registry import DATASETS
from workbench.data.text_windows import random_windows
from workbench.data.tokenizers import train_bpe
from workbench.recipes.recipe import Recipe, Session, Trained, register
from workbench.training.fit import FitConfig
from workbench.training.language_modelling import language_metrics, train_language_model
from workbench.zoo.gpt import GPTConfig


def train(recipe: Recipe, model: HookedModel, session: Session, batch_size: int = 16) -> Trained:
    """Next-token cross entropy on random windows; the loss over all books held out, and bits per byte of WikiText-2."""
    data = DATASETS["english_stories"]()
    tokenizer = train_bpe(data.train, recipe.config.d_vocab)
    batch = random_windows(tokenizer.encode(data.train), batch_size, recipe.config.n_ctx, recipe.seed)

    def measure(model: HookedModel, text: str) -> dict:
        tokens, n_bytes = tokenizer.encode(text), len(text.encode())
        return language_metrics(model, tokens, recipe.config.n_ctx, n_bytes, precision="bf16")

    evaluate = partial(measure, text=data.validation)
    curve = train_language_model(model, batch, recipe.training, evaluate, session.state, session.progress, session.keep)
    elsewhere = measure(model, DATASETS["wikitext2"]().validation)
    metrics = evaluate(model) | {"wikitext2_bits_per_byte": elsewhere["bits_per_byte"]}
    return Trained(curve, metrics, DataSource(data.name, data.sha256, data.note), tokenizer)


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
            checkpoint_every=100, keep_steps=(1000,),
        ),
        train=train,
        targets={"validation_loss": 4.0},
        dtype="bfloat16",
    )
)  # fmt: skip
