"""Tests of the reward model: scores, padding, centring and learning from pairs."""

import pytest
import torch

from tests.training.rlhf.tiny import BAD, GOOD, LIKED, MARKS, scorer, some_rows
from workbench.training.fit import fit
from workbench.training.fit_config import FitConfig
from workbench.training.rlhf.completions import completion_mask
from workbench.training.rlhf.reward_model import (
    epoch_rows,
    halves_loss,
    order_pairs,
    pair_batches,
    preference_accuracy,
    score_texts,
)


def test_a_score_is_the_difference_of_two_logits_after_the_end() -> None:
    judge, rows = scorer(), some_rows()
    logits = judge.gpt(rows)
    for row, text in enumerate(rows):
        end = int(completion_mask(text[None], MARKS)[0].nonzero().max())
        expected = logits[row, end, GOOD] - logits[row, end, BAD]
        assert judge(rows)[row].item() == pytest.approx(expected.item(), abs=1e-5)


def test_what_fills_up_a_row_does_not_matter() -> None:
    judge, rows = scorer(), some_rows()
    longer = torch.nn.functional.pad(rows, (0, 2), value=MARKS.end)
    ended = (completion_mask(rows, MARKS) & (rows == MARKS.end)).any(dim=1)
    torch.testing.assert_close(judge(longer)[ended], judge(rows)[ended])


def test_centred_scores_have_mean_zero_and_the_same_differences() -> None:
    judge, rows = scorer(), some_rows()
    before = score_texts(judge, rows)
    judge.center(rows)
    after = score_texts(judge, rows, chunk=5)
    assert after.mean().item() == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(after - after[0], before - before[0])


def test_each_pair_comes_once_in_an_epoch() -> None:
    seen = torch.cat([epoch_rows(step, 12, 4, seed=0) for step in range(3)])
    assert sorted(seen.tolist()) == list(range(12))
    assert epoch_rows(3, 12, 4, 0).tolist() != epoch_rows(0, 12, 4, 0).tolist()


def test_the_preferred_come_first() -> None:
    one, other = torch.tensor([[1, 1], [2, 2]]), torch.tensor([[3, 3], [4, 4]])
    preferred, rest = order_pairs(one, other, torch.tensor([True, False]))
    assert preferred.tolist() == [[1, 1], [4, 4]] and rest.tolist() == [[3, 3], [2, 2]]
    rows, _ = pair_batches(one, other, torch.tensor([True, False]), 2, seed=0)(0)
    assert sorted(map(tuple, rows[:2].tolist())) == [(1, 1), (4, 4)]


def test_a_taste_is_learned_from_pairs() -> None:
    one, other = some_rows(1, 400), some_rows(2, 400)
    length = max(one.shape[1], other.shape[1])
    one, other = (torch.nn.functional.pad(rows, (0, length - rows.shape[1]), value=0) for rows in (one, other))
    counts = [((rows == LIKED) & completion_mask(rows, MARKS)).sum(dim=1) for rows in (one, other)]
    differ = counts[0] != counts[1]
    one, other, prefers = one[differ], other[differ], (counts[0] > counts[1])[differ]
    judge, n = scorer(), int(differ.sum()) // 2
    batch = pair_batches(one[:n], other[:n], prefers[:n], 32, seed=0)
    fit(judge, batch, halves_loss, FitConfig(steps=100, lr=1e-2))
    found = preference_accuracy(score_texts(judge, one[n:]), score_texts(judge, other[n:]), prefers[n:])
    assert found["value"] > 0.9 and found["n"] == len(prefers) - n
