"""Tests of the KL divergence at every token against torch and against log-ratios of samples."""

import pytest
import torch

from tests.training.rlhf.tiny import MARKS, network, some_rows
from workbench.analysis.rlhf.token_kl import compute_token_kl
from workbench.training.rlhf.completions import completion_mask


def test_a_model_is_nowhere_from_itself() -> None:
    rows = some_rows()
    found = compute_token_kl(network(), network(), rows, completion_mask(rows, MARKS))
    assert found.per_token == pytest.approx(0, abs=1e-6)


def test_the_divergence_is_torchs_own_and_counts_completions_alone() -> None:
    rows, one, other = some_rows(), network(1), network(2)
    mask = completion_mask(rows, MARKS)
    found = compute_token_kl(one, other, rows, mask, chunk=5)
    logp, ref_logp = (model(rows)[:, :-1].log_softmax(dim=-1) for model in (one, other))
    exact = torch.nn.functional.kl_div(ref_logp, logp, log_target=True, reduction="none").sum(dim=-1)
    torch.testing.assert_close(found.kl, exact * mask[:, 1:])
    assert found.per_token == pytest.approx(exact[mask[:, 1:]].mean().item(), rel=1e-4)


def test_it_is_what_the_log_ratio_of_own_samples_is_on_average() -> None:
    one, other = network(1), network(2)
    prompts = [torch.tensor([3, 1])] * 4000
    rows = one.complete(prompts, 5, MARKS.end, torch.Generator().manual_seed(0))
    mask = completion_mask(rows, MARKS)
    logp, ref_logp = (
        model(rows)[:, :-1].log_softmax(dim=-1).gather(-1, rows[:, 1:, None])[..., 0] for model in (one, other)
    )
    ratio = ((logp - ref_logp) * mask[:, 1:]).sum(dim=1)
    error = ratio.std() / len(ratio) ** 0.5
    assert abs(float(compute_token_kl(one, other, rows, mask).per_row.mean() - ratio.mean())) < 4 * error


def test_tokens_are_ranked_by_the_divergence_before_them() -> None:
    rows, one, other = some_rows(), network(1), network(2)
    found = compute_token_kl(one, other, rows, completion_mask(rows, MARKS))
    told = found.largest(8)
    assert sum(count * mean for _, count, mean in told) == pytest.approx(float(found.kl.sum()), rel=1e-4)
    totals = [count * mean for _, count, mean in told]
    assert totals == sorted(totals, reverse=True)
