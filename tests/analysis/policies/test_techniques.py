"""Tests of registered policy techniques with an environment, on policies with known answers."""

from __future__ import annotations

import inspect

import pytest
import torch

from tests.analysis.policies.test_steering import Field, seeker
from tests.analysis.policies.worlds import Guess, first_number_policy, policy
from workbench.analysis.policies.circuit_returns import check_by_return
from workbench.analysis.policies.counterfactuals import find_counterfactuals
from workbench.analysis.policies.episodes import EpisodeConfig
from workbench.analysis.policies.probes import collect_states, probe_episodes
from workbench.analysis.policies.q_accuracy import check_values
from workbench.analysis.policies.reachable import ReachConfig, maximize_both_ways
from workbench.analysis.policies.saliency import policy_saliency
from workbench.analysis.policies.steering import change_field
from workbench.analysis.policies.unit_returns import measure_unit_returns
from workbench.core.errors import ConfigError, InputError
from workbench.core.metrics import LogitDifference
from workbench.core.protocols import World

GUESS = World("guess", lambda n, steps: Guess(n, 6 if steps is None else steps), 0.9)
FIELD = World("field", lambda n, steps: Field(n), 0.9)
HOOK = "actor.blocks.0.hook_post"
STATES = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("method", ["zero", "mean"])
def test_only_the_unit_that_decides_earns_the_return(method: str) -> None:
    found = measure_unit_returns(first_number_policy(), STATES, GUESS, HOOK, method, EpisodeConfig(8))
    assert (found.intact == torch.tensor([6 + seed % 3 for seed in range(8)])).all()
    effect = dict(zip(found.conditions, found.effect.tolist(), strict=True))
    assert [value < -1 for value in effect.values()] == [False, False, True, False]


def test_a_time_limit_cuts_the_episodes_of_a_technique() -> None:
    assert measure_unit_returns(
        first_number_policy(), STATES, GUESS, HOOK, play=EpisodeConfig(3, 2)
    ).intact.tolist() == [2, 3, 4]
    with pytest.raises(ConfigError, match="'episodes' of EpisodeConfig should be a whole number of 1 or more, not 0"):
        EpisodeConfig(0)


def test_the_strongest_edges_of_the_deciding_unit_keep_the_whole_return() -> None:
    found = check_by_return(first_number_policy(), STATES, GUESS, EpisodeConfig(6), points=4, draws=2)
    assert torch.equal(found.circuit[1], found.intact) and found.cut.sum() < found.intact.sum()
    assert found.random.shape[:2] == (2, len(found.sizes))


def test_a_flip_is_measured_in_the_range_of_each_entry() -> None:
    found = find_counterfactuals(first_number_policy(), STATES)
    span = STATES[:, 0].max() - STATES[:, 0].min()
    assert found.found.all()
    torch.testing.assert_close(found.distance, STATES[:, 0].abs() / span, atol=1e-3, rtol=0.05)
    alone = find_counterfactuals(
        first_number_policy(), STATES[:1]
    )  # a single state has no range: changes count as they are
    torch.testing.assert_close(alone.distance, STATES[:1, 0].abs(), atol=1e-3, rtol=0.05)


def test_the_entry_that_decides_is_the_salient_one() -> None:
    metric = LogitDifference(torch.ones(12, dtype=torch.long), torch.zeros(12, dtype=torch.long))
    found = policy_saliency(first_number_policy(), STATES, metric)
    assert found.gradient.abs().sum(0).argmax() == 0 and (found.perturbation[:, 1:] == 0).all()


def test_what_can_be_reached_is_no_more_than_what_a_box_around_it_allows() -> None:
    wide = 5 * STATES
    found = maximize_both_ways(policy(), wide, GUESS, HOOK, (0, 3), ReachConfig(4, 2))
    assert found.units == (0, 3) and (found.bounded >= found.natural - 1e-5).all()
    hidden = policy().cache(found.reached_observation, HOOK)[HOOK]
    torch.testing.assert_close(hidden[[0, 1], [0, 3]], found.reachable)
    with pytest.raises(ConfigError, match="'steps' of ReachConfig should be a whole number of 1 or more, not 0"):
        ReachConfig(0)


def test_met_states_know_what_is_still_to_come() -> None:
    met = collect_states(first_number_policy(), GUESS, [0, 1])
    first = met.episode == 0
    assert met.steps_left[first].tolist() == [6, 5, 4, 3, 2, 1]
    expected = [sum(0.9**k for k in range(n)) for n in (6, 5, 4, 3, 2, 1)]
    assert met.return_to_go[first].tolist() == pytest.approx(expected)
    assert len(met.action) == 6 + 7


def test_a_probe_reads_the_action_where_it_is_decided() -> None:
    found = probe_episodes(first_number_policy(), GUESS, "actor.hook_logits", "action", episodes=12)
    assert found.sources[1:] == ("actor.hook_logits", "actor.hook_logits of a random network")
    assert found.score[1] > 0.9 and found.chance == 0.5


def test_values_are_checked_in_the_first_half_of_the_limit() -> None:
    found = check_values(first_number_policy(), GUESS, states=4, limit=20)
    assert found.step.tolist() == [0, 2, 5, 7] and found.q.shape == (4, 2)


def test_a_field_points_to_the_goal_until_the_agent_no_longer_knows_where_it_is() -> None:
    world, model = FIELD, seeker()
    seen = torch.from_numpy(Field(1).reset(seed=[0])[0])
    found = change_field(model, seen, world, "trunk.blocks.0.hook_post[channel=1]")
    rows = found.places.sum(dim=1) > 0
    assert len(found.places) == 9 and (found.before[rows].sum(dim=1) < 0).all()  # the goal is at (0, 0)
    assert found.shift.max() > 0.1 and not torch.allclose(found.before, found.after)
    same = change_field(model, seen, world)
    assert torch.equal(same.before, same.after) and same.shift.max() == 0


def test_a_world_that_is_no_grid_has_no_field() -> None:
    class Rows(Guess):
        @property
        def unwrapped(self) -> Guess:
            return self

    with pytest.raises(InputError, match="rows is not a grid"):
        inspect.unwrap(change_field)(policy(), STATES, World("rows", lambda n, steps: Rows(n), 0.9))
