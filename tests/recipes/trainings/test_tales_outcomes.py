"""Tests of metrics of tales, on texts and networks whose metrics are known."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from workbench.data.text.byte_pairs import END_OF_TEXT, train_bpe
from workbench.recipes.trainings.tales_outcomes import (
    Tales,
    decode_tales,
    marks_of,
    prompts_of,
    tale_metrics,
    tale_rows,
)
from workbench.training.rlhf.completions import Marks

PROMPT = "Tell of Ada, an old fox, and an egg.\n"
TALE = (
    "Once there was an old fox named Ada. She bought an egg one Sunday. Then an orphan asked for bread. "
    "Ada comforted the orphan. And they lived happily ever after in the wood."
)


def told(tales: list[str], ended: bool = True) -> tuple[Tales, Marks, Any]:
    tokenizer = train_bpe(PROMPT + TALE, 300)
    marks = marks_of(tokenizer)
    rows = tale_rows("".join(PROMPT + tale + END_OF_TEXT for tale in tales), tokenizer, marks)
    return decode_tales(rows if ended else rows[:, :-1], [PROMPT] * len(tales), tokenizer), marks, tokenizer


def test_tales_come_back_from_their_tokens() -> None:
    found, _, tokenizer = told([TALE, "Ada slept."])
    assert list(found.tales) == [TALE, "Ada slept."] and found.ended.all()
    assert found.true_reward.tolist() == [4, -5]
    assert found.length.tolist() == [len(tokenizer.encode(tale)) + 1 for tale in found.tales]
    assert prompts_of(PROMPT + TALE + END_OF_TEXT) == [PROMPT]


def test_what_was_cut_off_is_not_grammatical() -> None:
    assert tale_metrics(told([TALE])[0])["grammatical"]["value"] == 1
    cut, _, _ = told([TALE], ended=False)
    assert list(cut.tales) == [TALE] and not cut.ended.any()
    assert tale_metrics(cut)["grammatical"]["value"] == 0


def test_tales_told_twice_are_not_unique() -> None:
    metrics = tale_metrics(told([TALE, TALE, "Ada slept.", "Ada wept."])[0])
    assert metrics["unique"]["value"] == 0.5
    assert metrics["grammatical"]["value"] == 0.5
    assert metrics["true_reward"]["value"] == pytest.approx((4 + 4 - 5 - 5) / 4)


def test_sets_of_tales_are_joined_and_taken_apart() -> None:
    found, marks, _ = told([TALE, "Ada slept."])
    joined = Tales.join([found.row(1), found.row(0)], marks.end)
    assert list(joined.tales) == ["Ada slept.", TALE]
    assert torch.equal(joined.true_reward, found.true_reward.flip(0))
