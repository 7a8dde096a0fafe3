"""Tests of DPO training: likelihoods, initial loss and learned preferences."""

import math

import pytest
import torch

from tests.training.rlhf.tiny import MARKS, network, some_rows
from workbench.training.fit_config import FitConfig
from workbench.training.rlhf.completions import completion_mask
from workbench.training.rlhf.dpo import (
    CompletionLikelihood,
    DPOConfig,
    add_reference,
    likelihoods,
    paired_loss,
    train_dpo,
)
from workbench.training.rlhf.reward_model import pair_batches


def test_a_likelihood_is_the_product_of_the_completions_tokens() -> None:
    model, rows = network(), some_rows()
    logp = model(rows).log_softmax(dim=-1)
    found = likelihoods(CompletionLikelihood(model, MARKS), rows, chunk=7)
    for row, text in enumerate(rows):
        places = completion_mask(text[None], MARKS)[0].nonzero().flatten().tolist()
        expected = sum(logp[row, place - 1, text[place]].item() for place in places)
        assert found[row].item() == pytest.approx(expected, abs=1e-4)


def test_it_starts_at_log_two_and_then_prefers_what_was_preferred() -> None:
    policy, reference = (CompletionLikelihood(network(), MARKS) for _ in range(2))
    one, other = some_rows(1), some_rows(2)
    length = max(one.shape[1], other.shape[1])
    one, other = (torch.nn.functional.pad(rows, (0, length - rows.shape[1]), value=0) for rows in (one, other))
    batch = pair_batches(one, other, one.sum(dim=1) > other.sum(dim=1), 16, seed=0)
    curve = train_dpo(policy, reference, batch, DPOConfig(FitConfig(steps=40, lr=1e-2, log_every=1)))
    losses = [value for _, value in curve.points("train_loss")]
    assert losses[0] == pytest.approx(math.log(2), abs=1e-5)
    assert sum(losses[-4:]) / 4 < 0.55
    rows, (before, _) = add_reference(batch, reference)(0)
    gained = likelihoods(policy, rows) - before
    assert gained[:16].mean() > gained[16:].mean() + 1


def test_preferred_completions_may_be_kept_likely_by_their_cross_entropy_per_token() -> None:
    reference, rows = CompletionLikelihood(network(), MARKS), some_rows()
    rows, about = add_reference(lambda step: (rows, torch.empty(0)), reference)(0)
    logp = likelihoods(reference, rows)
    plain, kept = (paired_loss(logp, about, 0.1, sft_coef) for sft_coef in (0.0, 0.5))
    half = len(rows) // 2
    per_token = [
        -logp[i].item() / completion_mask(rows[i : i + 1], MARKS)[:, 1:].sum().item() for i in range(half)
    ]  # fmt: skip
    assert (kept - plain).item() == pytest.approx(0.5 * sum(per_token) / half, abs=1e-5)
