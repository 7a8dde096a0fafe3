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


def train(recipe: Recipe, model: HookedModel, session: Session, batch_size: int = 32) -> Trained:
    """Next-token cross entropy on random windows; the loss over all books held out."""
    data = DATASETS["english_stories"]()
    tokenizer = train_bpe(data.train, recipe.config.d_vocab)
    context = recipe.config.n_ctx
    batch = random_windows(tokenizer.encode(data.train), batch_size, context, recipe.seed)
    text = data.validation
    evaluate = partial(
        language_metrics, tokens=tokenizer.encode(text), context=context, n_bytes=len(text.encode()), precision="bf16"
    )
    curve = train_language_model(model, batch, recipe.training, evaluate, session.state, session.progress, session.keep)
    return Trained(curve, evaluate(model), DataSource(data.name, data.sha256, data.note), tokenizer)


RECIPE = register(
    Recipe(
        name="stories_gpt",
        title="GPT on English stories",
        architecture="gpt",
        config=GPTConfig(
            d_vocab=4096, n_ctx=256, n_layers=6, d_model=256, n_heads=8, positions="rotary", normalization="rms",
            tie_embeddings=True,
        ),
        training=FitConfig(
            steps=1500, optimizer="muon", lr=2e-3, weight_decay=0.1, betas=(0.9, 0.99), momentum=0.95,
            schedule="cosine", warmup=100, gradient_clip=1.0, precision="bf16", evaluate_every=300, log_every=10, checkpoint_every=50,
        ),
        train=train,
        targets={"validation_loss": 4.0},
        dtype="bfloat16",
    )
)  # fmt: skip
