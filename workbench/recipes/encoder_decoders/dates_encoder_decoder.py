"""Small encoder-decoder that converts dates to ISO 8601."""

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.pair_task import PairTask
from workbench.training.fit import FitConfig
from workbench.zoo.encoder_decoder import EncoderDecoderConfig

RECIPE = register(
    Recipe(
        name="dates_encoder_decoder",
        title="Encoder-decoder from dates to ISO 8601",
        architecture="encoder_decoder",
        config=EncoderDecoderConfig(
            d_vocab=46, n_ctx=32, encoder_layers=1, decoder_layers=1, d_model=64, n_heads=4, start=1, pad=0
        ),
        training=FitConfig(
            steps=2500, optimizer="muon", lr=5e-3, weight_decay=0.01, betas=(0.9, 0.98), schedule="cosine", warmup=50,
            gradient_clip=1.0, evaluate_every=500, log_every=20, checkpoint_every=500, keep_steps=(250, 500, 1000),
        ),
        train=PairTask("dates", batch_size=128, token="character", sequence="date").train,
        targets={"date_error": 0.001},
        note="Every character has one place in the source that it is made of: the year is copied, the month looked up.",
    )
)  # fmt: skip
