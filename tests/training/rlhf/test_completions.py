"""Tests of completion masks and log-probabilities, and errors for rows without a completion."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from workbench.core.errors import InputError
from workbench.training.rlhf.completions import (
    UNSCORED,
    Marks,
    completion_mask,
    next_in_completion,
    random_completions,
    stack_rows,
    token_log_probabilities,
)

MARKS = Marks(prompt_end=1, end=0)
token = st.integers(2, 9)
texts = st.lists(st.tuples(st.lists(token, max_size=4), st.lists(token, max_size=6), st.booleans()), min_size=1)


def row(prompt: list[int], completion: list[int], ended: bool) -> torch.Tensor:
    return torch.tensor([*prompt, MARKS.prompt_end, *completion, *([MARKS.end] if ended else [])])


@given(texts)
def test_the_mask_covers_completions_with_their_end_and_nothing_else(parts: list[tuple[list[int], list[int], bool]]):
    longest = max(len(prompt) + len(completion) for prompt, completion, _ in parts)
    # A row that is cut off is full, and has a token of its completion.
    parts = [(p, c, ended or not c or len(p) + len(c) < longest) for p, c, ended in parts]
    rows = pad_sequence([row(*part) for part in parts], batch_first=True, padding_value=MARKS.end)
    mask = completion_mask(rows, MARKS)
    for tokens, marked, (prompt, completion, ended) in zip(rows, mask, parts, strict=True):
        end = [MARKS.end] if ended or len(tokens) > len(prompt) + 1 + len(completion) else []
        assert tokens[marked].tolist() == [*completion, *end]


def test_a_second_mark_inside_a_completion_is_part_of_it() -> None:
    rows = torch.tensor([[5, 1, 6, 1, 7, 0, 0]])
    assert completion_mask(rows, MARKS).int().tolist() == [[0, 0, 1, 1, 1, 1, 0]]


def test_a_prompt_is_read_and_never_predicted() -> None:
    inputs, targets = next_in_completion(torch.tensor([[5, 6, 1, 7, 8, 0, 0]]), MARKS)
    assert inputs.tolist() == [[5, 6, 1, 7, 8, 0]]
    assert targets.tolist() == [[UNSCORED, UNSCORED, 7, 8, 0, UNSCORED]]
    batch = random_completions(torch.tensor([[5, 1, 7, 0], [6, 1, 8, 0]]), MARKS, 3, seed=0)
    assert torch.equal(batch(4)[0], batch(4)[0]) and batch(4)[0].shape == (3, 3)


def test_log_probabilities_are_minus_the_cross_entropy_of_the_next_token() -> None:
    rng = torch.Generator().manual_seed(0)
    logits, tokens = torch.randn(2, 5, 7, generator=rng), torch.randint(7, (2, 5), generator=rng)
    found = token_log_probabilities(logits, tokens)
    expected = -nn.CrossEntropyLoss(reduction="none")(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    torch.testing.assert_close(found.flatten(), expected)


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        ([5, 6, 7, 8], "Text 1 has no completion: .* is not in it"),
        ([5, 6, 7, 1], "Text 1 has no completion: .* is its last"),
    ],
)
def test_a_row_without_a_completion_is_refused_by_its_number(tokens: list[int], says: str) -> None:
    whole = [MARKS.prompt_end if t == 1 else t for t in tokens]
    rows = torch.tensor([[5, MARKS.prompt_end, 6, MARKS.end], whole])
    for use in (completion_mask, next_in_completion):
        with pytest.raises(InputError, match=says):
            use(rows, MARKS)


def test_a_text_without_its_end_mark_is_refused_by_its_number() -> None:
    whole = torch.tensor([5, MARKS.prompt_end, 6, MARKS.end])
    with pytest.raises(InputError, match=f"Text 1 ends with token 6 and not with its end mark .token {MARKS.end}"):
        stack_rows([whole, whole[:-1]], MARKS)
    with pytest.raises(InputError, match="Text 0 is empty"):
        stack_rows([whole[:0], whole], MARKS)
