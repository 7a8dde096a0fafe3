"""Tests of text windows: targets, seeds, first and last window, and errors."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import ConfigError, DataError
from workbench.data.text.text_windows import random_windows


@given(length=st.integers(2, 60), context=st.integers(1, 20), seed=st.integers(0, 99), step=st.integers(0, 10**6))
def test_targets_are_the_tokens_that_follow(length: int, context: int, seed: int, step: int) -> None:
    context = min(context, length - 1)
    inputs, targets = random_windows(torch.arange(length), 4, context, seed)(step)
    assert inputs.shape == (4, context)
    assert torch.equal(targets, inputs + 1)
    assert torch.equal(inputs - inputs[:, :1], torch.arange(context).expand(4, -1))


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    tokens = torch.arange(1000)
    forwards = [random_windows(tokens, 4, 8, seed=3)(step)[0] for step in range(5)]
    batch = random_windows(tokens, 4, 8, seed=3)
    backwards = [batch(step)[0] for step in reversed(range(5))]
    assert all(map(torch.equal, forwards, reversed(backwards)))
    assert not torch.equal(forwards[0], forwards[1])


def test_first_and_last_window_are_drawn() -> None:
    inputs, _ = random_windows(torch.arange(6), 200, 3, seed=0)(0)
    assert inputs[:, 0].unique().tolist() == [0, 1, 2]


def test_a_text_too_short_for_a_window_is_refused() -> None:
    with pytest.raises(DataError, match=r"has 8 tokens, but a context of 8 needs 9.*at most 7"):
        random_windows(torch.arange(8), 1, 8, seed=0)


@pytest.mark.parametrize(("batch_size", "context"), [(0, 4), (4, 0)])
def test_a_batch_or_context_of_nothing_is_refused(batch_size: int, context: int) -> None:
    with pytest.raises(ConfigError, match="must be at least 1"):
        random_windows(torch.arange(8), batch_size, context, seed=0)
