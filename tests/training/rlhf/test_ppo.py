"""Tests of PPO on completions: ratios, advantages, KL penalty, learning and resumption."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.rlhf.tiny import MARKS, PROMPTS, LikesOneToken, complete, network, scorer, some_rows
from workbench.core.errors import Cancelled, TrainingError
from workbench.training.rlhf.ppo import (
    KLPPOConfig,
    Networks,
    advantages,
    kl_ppo,
    log_probabilities,
    ppo_loss,
    score_completions,
)

SHORT = KLPPOConfig(updates=4, batch=16, minibatch=8, lr=1e-2, kl_coef=0.01, temperature=1.0, schedule="constant")


def networks(seed: int = 0) -> Networks:
    gpt = network(seed)
    return Networks(network(seed), scorer(1), gpt, LikesOneToken(gpt, 6, 7, MARKS))


def test_the_first_step_has_ratio_one_everywhere() -> None:
    """Nothing is clipped and the loss is minus the mean advantage, which whitening makes zero."""
    who = networks()
    batch, measures = score_completions(who, some_rows(), SHORT)
    logp = log_probabilities(who.policy, batch.tokens, SHORT)[batch.mask]
    loss, step = ppo_loss(logp, batch.old_value[batch.mask], batch, replace(SHORT, vf_coef=0.0))
    assert step["clipped_fraction"] == 0 and step["step_kl"] == pytest.approx(0, abs=1e-7)
    assert loss.item() == pytest.approx(-batch.advantage[batch.mask].mean().item(), abs=1e-6)
    assert measures["kl"] == pytest.approx(0, abs=1e-5)


def test_without_decay_an_advantage_is_what_still_comes_less_what_was_expected() -> None:
    rng = torch.Generator().manual_seed(0)
    reward, value = torch.randn(1, 5, generator=rng), torch.randn(1, 5, generator=rng)
    mask = torch.tensor([[False, True, True, True, False]])
    found = advantages(reward * mask, value, mask, replace(SHORT, lam=1.0))
    expected = [sum(reward[0, t:4].tolist()) - value[0, t].item() for t in (1, 2, 3)]
    assert found[mask].tolist() == pytest.approx(expected, abs=1e-6)


def test_a_policy_drawn_away_from_the_reference_pays_for_it() -> None:
    who = replace(networks(), policy=network(5))
    rows = some_rows()
    free, dear = (score_completions(who, rows, replace(SHORT, kl_coef=coef, lam=1.0))[0] for coef in (0.0, 2.0))
    first = free.mask.long().argmax(dim=1)[:, None]
    paid = (free.target - dear.target).gather(1, first)[:, 0]
    with torch.no_grad():
        gaps = [
            (a(rows)[:, :-1].log_softmax(-1).gather(-1, rows[:, 1:, None])[..., 0] * free.mask).sum(dim=1)
            for a in (who.policy, who.reference)
        ]
    torch.testing.assert_close(paid, 2.0 * (gaps[0] - gaps[1]), atol=1e-4, rtol=1e-4)


def test_it_learns_what_is_rewarded() -> None:
    curve = kl_ppo(networks(), PROMPTS, complete, replace(SHORT, updates=16, lr=2e-2, epochs=3))
    rewards = [value for _, value in curve.points("reward")]
    assert sum(rewards[-3:]) / 3 > 2 * sum(rewards[:3]) / 3 + 1


def test_the_penalty_holds_it_near_the_reference() -> None:
    far, near = (
        kl_ppo(networks(), PROMPTS, complete, replace(SHORT, updates=6, lr=2e-2, kl_coef=coef)).last("kl")
        for coef in (0.0, 2.0)
    )
    assert near < far / 2


def test_an_interrupted_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise Cancelled("enough")

    whole, cut, resumed = networks(), networks(), networks()
    expected = kl_ppo(whole, PROMPTS, complete, SHORT)
    cfg = replace(SHORT, checkpoint_every=2)
    with pytest.raises(Cancelled):
        kl_ppo(cut, PROMPTS, complete, cfg, progress=stop, checkpoint=tmp_path / "state")
    curve = kl_ppo(resumed, PROMPTS, complete, cfg, checkpoint=tmp_path / "state")
    assert curve.series["reward"] == expected.series["reward"]
    for one, two in zip(whole.policy.parameters(), resumed.policy.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_score_that_is_no_number_is_an_error() -> None:
    class Broken(LikesOneToken):
        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return super().forward(tokens) * math.nan

    who = networks()
    with pytest.raises(TrainingError, match="reward is nan"):
        kl_ppo(replace(who, reward_model=Broken(who.reference, 6, 7, MARKS)), PROMPTS, complete, SHORT)
