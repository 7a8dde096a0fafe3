"""Tests of interventions on the return against a loop over single edited policies."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from tests.analysis.policies.worlds import Guess, first_number_policy, policy
from workbench.analysis.policies.interventions import intervene_in_rollouts, remove_each_unit
from workbench.checkpoints.store import load
from workbench.core.errors import InputError
from workbench.core.hooked import HookedModel
from workbench.core.intervals import mean_interval
from workbench.core.interventions import clamp, mean, patch, resample, scale, steer, zero
from workbench.core.protocols import Environments
from workbench.data.environments import make_vector

HOOK = "actor.blocks.0.hook_post"
SEEDS = list(range(7))


def loop(model: HookedModel, make: object, conditions: list, seeds: list[int]) -> torch.Tensor:
    """One condition and one episode after the other."""
    rows = []
    for condition in conditions:
        for seed in seeds:
            envs, total, done = make(1), 0.0, False  # type: ignore[operator]
            seen = envs.reset(seed=[seed])[0]
            while not done:
                with torch.no_grad(), model.edited(condition):
                    action = model(torch.as_tensor(seen)).logits.argmax(-1)
                seen, reward, terminated, truncated, _ = envs.step(action.numpy())
                total, done = total + float(reward[0]), bool(terminated[0] or truncated[0])
            rows.append(total)
    return torch.tensor(rows, dtype=torch.float64).reshape(len(conditions), len(seeds))


@pytest.mark.parametrize("seed", range(3))
def test_every_row_is_edited_as_a_loop_would(seed: int) -> None:
    model, reference = policy(seed), torch.randn(9, 5)
    vector = torch.randn(5)
    conditions = [
        [zero(f"{HOOK}[unit=1]")], [mean(HOOK, reference)], [steer(HOOK, 3 * vector)],
        [scale(f"{HOOK}[unit=0|3]", -2.0)],
        [patch(f"{HOOK}[unit=2]", reference[:1]), zero("actor.blocks.1.hook_post[unit=0]")], [],
    ]  # fmt: skip
    result = intervene_in_rollouts(model, Guess, conditions, SEEDS)
    torch.testing.assert_close(result.edited, loop(model, Guess, conditions, SEEDS), rtol=0, atol=0)
    torch.testing.assert_close(result.intact, loop(model, Guess, [[]], SEEDS)[0], rtol=0, atol=0)
    assert result.edited.unique(dim=0).shape[0] > 2, "the conditions must differ"
    assert (result.edited[-1] == result.intact).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "model"), [("workbench/CartPole-v1", "cartpole_ppo"), ("workbench/Maze-v0", "maze_ppo")]
)
def test_trained_policies_are_edited_as_a_loop_would(name: str, model: str) -> None:
    policy, make = load(model), partial(make_vector, name)
    hook = "actor.blocks.1.hook_post" if model == "cartpole_ppo" else "trunk.blocks.0.hook_post"
    conditions = remove_each_unit(policy, [hook])[:3]
    result = intervene_in_rollouts(policy, make, conditions, [0, 1])
    torch.testing.assert_close(result.edited, loop(policy, make, conditions, [0, 1]), rtol=0, atol=0)


def test_only_the_unit_that_decides_costs_return() -> None:
    model = first_number_policy()
    result = intervene_in_rollouts(model, Guess, remove_each_unit(model, [HOOK]), list(range(40)))
    lengths = torch.tensor([6.0 + seed % 3 for seed in range(40)], dtype=torch.float64)
    torch.testing.assert_close(result.intact, lengths)
    assert result.effect.nonzero().flatten().tolist() == [2]
    assert result.low[2] <= result.effect[2] <= result.high[2] < 0
    assert result.conditions[2] == f"zero {HOOK}[unit=2]"


def test_chunks_of_conditions_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model = policy()
    whole = intervene_in_rollouts(model, Guess, remove_each_unit(model, [HOOK]), SEEDS)
    monkeypatch.setattr("workbench.analysis.policies.interventions.ROWS", 15)
    assert torch.equal(intervene_in_rollouts(model, Guess, remove_each_unit(model, [HOOK]), SEEDS).edited, whole.edited)


def test_the_interval_is_that_of_paired_differences() -> None:
    torch.testing.assert_close(mean_interval(torch.full((3, 20), 2.0)), torch.full((2, 3), 2.0, dtype=torch.float64))
    sample = torch.randn(1, 400, generator=torch.Generator().manual_seed(0))
    low, high = mean_interval(sample)[:, 0]
    half = 1.96 * float(sample.std()) / 20  # the normal interval, which many episodes approach
    assert float(high - low) / 2 == pytest.approx(half, rel=0.1)
    assert float(high + low) / 2 == pytest.approx(float(sample.mean()), abs=0.02)


def test_what_rows_cannot_carry_is_refused() -> None:
    model = policy()
    with pytest.raises(InputError, match="not affine"):
        intervene_in_rollouts(model, Guess, [[clamp(HOOK, low=0.5)]], SEEDS)
    with pytest.raises(InputError, match="not affine"):
        random = resample(HOOK, torch.randn(9, 5), torch.Generator())
        intervene_in_rollouts(model, Guess, [[random]], SEEDS)
    with pytest.raises(InputError, match="which are episodes here"):
        intervene_in_rollouts(model, Guess, [[zero(f"{HOOK}[batch=0]")]], SEEDS)
    with pytest.raises(InputError, match="0 conditions and 7 seeds"):
        intervene_in_rollouts(model, Guess, [], SEEDS)


def test_a_reward_that_is_no_number_is_refused() -> None:
    class Broken(Guess):
        def step(self, actions):  # type: ignore[no-untyped-def]
            shown, reward, *rest = super().step(actions)
            return shown, reward * float("nan"), *rest

    made: Environments = Broken(1)
    with pytest.raises(InputError, match="reward nan at step 0"):
        intervene_in_rollouts(policy(), type(made), [[]], SEEDS)
