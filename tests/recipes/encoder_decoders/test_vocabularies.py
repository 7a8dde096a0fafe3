"""Tests of encoder-decoder recipes: the network fits every token and length of its data."""

from workbench.core.registry import DATASETS, RECIPES


def test_the_network_of_dates_has_a_place_for_every_token_and_position() -> None:
    recipe, pairs = RECIPES["dates_encoder_decoder"], DATASETS["dates"]()
    rows = [pairs.train.source, pairs.train.target, pairs.test.source, pairs.test.target]
    assert max(int(row.max()) for row in rows) < recipe.config.d_vocab == pairs.tokenizer.vocab_size
    assert max(row.shape[1] for row in rows) <= recipe.config.n_ctx
