"""Tests of sources and targets concatenated in one row: which tokens may change."""

from __future__ import annotations

import pytest
import torch

from tests.zoo.small import example, small
from workbench.analysis.features.token_rows import JoinedPair, join_inputs
from workbench.analysis.maximization import maximize
from workbench.core.errors import InputError
from workbench.core.source_target import SourceTarget

HOOK = "decoder.blocks.0.mlp.hook_post"


def pairs(model: object) -> SourceTarget:
    """Sources of tokens 0 to 4, one of them short; answers of tokens 5 to 8 that begin with 9."""
    random = torch.Generator().manual_seed(0)
    source, target = torch.randint(5, (6, 7), generator=random), torch.randint(5, 9, (6, 5), generator=random)
    source[0, 4:], target[:, 0] = 10, 9
    return SourceTarget(source, target)


def test_joining_and_reading_gives_the_inputs_back() -> None:
    model = small("encoder_decoder")
    inputs = pairs(model)
    rows, kind = join_inputs(model, inputs)
    assert isinstance(kind, JoinedPair) and rows.shape == (6, 12)
    again = kind.inputs(rows)
    assert torch.equal(again.source, inputs.source) and torch.equal(again.target, inputs.target)


def test_each_side_keeps_to_its_own_tokens_and_the_start_and_the_padding_stay() -> None:
    model = small("encoder_decoder")
    model.tokenizer = None
    inputs = pairs(model)
    result = maximize(model, inputs, HOOK, units=(0, 1, 2, 3), steps=12)
    source, target = result.inputs[:, :7], result.inputs[:, 7:]
    assert bool(((source < 5) | (source == 10)).all())
    assert bool((target[:, 0] == 9).all()) and bool(((target[:, 1:] >= 5) & (target[:, 1:] < 9)).all())
    short = (source == 10).any(dim=1)
    assert bool((source[short, 4:] == 10).all()) and bool((source[short, :4] < 5).all())


def test_text_that_is_fluent_is_not_asked_of_pairs() -> None:
    model = small("encoder_decoder")
    with pytest.raises(InputError, match="not defined for an encoder-decoder"):
        maximize(model, pairs(model), HOOK, objective="fluent")


def test_other_inputs_stay_as_they_are() -> None:
    model = small("cnn")
    images = example(model)
    assert join_inputs(model, images)[0] is images
