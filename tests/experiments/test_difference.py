"""Two checkpoints compared: a model with itself differs in nothing, and what is asked of the wrong model is refused."""

from __future__ import annotations

import pytest

from workbench.core.errors import InputError
from workbench.experiments.difference import activation_parts, bring_back, difference, pair_of, weight_parts


def test_a_model_differs_from_itself_in_nothing() -> None:
    pair = pair_of("tales_gpt", "tales_gpt", tales=4)
    found = difference(pair)
    assert found.weights.relative.eq(0).all()
    assert found.kl.per_token == pytest.approx(0, abs=1e-6)
    assert found.shift.size.eq(0).all()


@pytest.mark.slow
def test_every_part_of_a_tuned_model_can_be_restored() -> None:
    pair = pair_of("tales_hacked", "tales_gpt", tales=4)
    found = bring_back(pair, difference(pair).shift)
    layers, heads = pair.tuned.cfg.n_layers, pair.tuned.cfg.n_heads
    assert len(found["activations"].names) == layers * (3 + heads) == len(activation_parts(pair.tuned))
    assert found["weights"].names == tuple(weight_parts(pair.tuned))
    assert len(found["direction"].names) == layers
    last = found["activations"].names.index(f"blocks.{layers - 1}.hook_resid_post")
    assert found["activations"].restored.shape == (layers * (3 + heads), 4)
    assert found["activations"].restored[last].isfinite().all()


def test_only_tales_are_compared() -> None:
    with pytest.raises(InputError, match="digits_mlp tells no tales"):
        pair_of("digits_mlp", "tales_gpt")
