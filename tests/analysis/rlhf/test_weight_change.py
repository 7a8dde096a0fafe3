"""Tests of weight and residual-stream changes on networks changed by a known amount."""

import pytest
import torch

from tests.training.rlhf.tiny import MARKS, network, some_rows
from workbench.analysis.rlhf.weight_change import measure_stream_shift, measure_weight_change
from workbench.core.errors import InputError
from workbench.training.rlhf.completions import completion_mask
from workbench.zoo.gpt import GPT, GPTConfig


def test_what_was_moved_is_found_with_its_size_and_its_one_direction() -> None:
    before, after = network(), network()
    with torch.no_grad():
        change = torch.outer(torch.ones(16), torch.arange(64.0))
        after.blocks[0].mlp.W_in += change * 0.5 * before.blocks[0].mlp.W_in.norm() / change.norm()
        after.blocks[0].attn.W_V[1] *= 1.25
    found = measure_weight_change(after, before)
    (first, size, top), (second, other, _), (_, third, _) = found.largest(3)
    assert first == "blocks.0.mlp.W_in" and size == pytest.approx(0.5, abs=1e-4) and top == pytest.approx(1, abs=1e-4)
    assert second == "blocks.0.attn.W_V[head=1]" and other == pytest.approx(0.25, abs=1e-4)
    assert third == 0


def test_networks_of_different_make_are_not_compared() -> None:
    with pytest.raises(InputError, match="names or shapes"):
        measure_weight_change(network(), GPT(GPTConfig(d_vocab=8, n_layers=2, d_model=16, n_heads=2)))


def test_a_bias_on_the_stream_is_found_as_its_only_direction() -> None:
    before, after, rows = network(), network(), some_rows()
    with torch.no_grad():
        after.blocks[0].mlp.b_out += 3 * before.W_U[:, 5]
    found = measure_stream_shift(after, before, rows, completion_mask(rows, MARKS), n=2)
    assert found.hooks == ("blocks.0.hook_resid_post",)
    torch.testing.assert_close(found.direction[0], 3 * before.W_U[:, 5], atol=1e-5, rtol=1e-5)
    assert found.share.item() == pytest.approx(1, abs=1e-4)
    assert found.promoted[0][0] == 5
