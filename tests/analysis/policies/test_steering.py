"""Tests of steering vectors, vector fields and retargeting channels in a known maze policy."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from tests.analysis.policies.worlds import policy
from workbench.analysis.policies.steering import (
    Targets,
    add_vector,
    compute_policy_field,
    compute_steering_vector,
    retarget,
)
from workbench.core.errors import InputError
from workbench.core.interventions import zero
from workbench.data.environments.maze import AGENT, GOAL, VectorMaze
from workbench.zoo.actor_critic import ActorCritic, ActorCriticConfig

MOVES = torch.tensor([[-1.0, 0], [0, 1], [1, 0], [0, -1]])


def seeker() -> ActorCritic:
    """A policy that goes where channel 0 of its only convolution is on: it compares rows and columns with its own.

    The read-out adds up (place of the channel) - (place of the agent), so it needs no walls to be absent.
    """
    model = ActorCritic(
        ActorCriticConfig((3, 3, 3), 4, "convolutional", (2,), (), "relu", "shared")
    ).eval()  # fmt: skip
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.trunk.blocks[0].conv.weight[0, GOAL, 1, 1] = 1.0
        model.trunk.blocks[0].conv.weight[1, AGENT, 1, 1] = 1.0
        rows, columns = torch.meshgrid(torch.arange(3.0), torch.arange(3.0), indexing="ij")
        for action, (way, place) in enumerate(((-1, rows), (1, columns), (1, rows), (-1, columns))):
            model.actor.readout.weight[action] = torch.stack([way * place, -way * place]).flatten()
    return model


class Field(VectorMaze):
    """Mazes of 3x3 without walls."""

    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs, "anywhere", cells=2, max_episode_steps=12)

    def reset(self, *, seed=None, options=None):  # type: ignore[no-untyped-def]
        super().reset(seed=seed)
        self.is_open[:] = True
        self.agent[:] = 1
        self.goal[:] = 0
        return self.observe(), {}


def agents(observation: torch.Tensor) -> torch.Tensor:
    return torch.stack(torch.unravel_index(observation[:, AGENT].flatten(1).argmax(1), observation.shape[2:]), dim=1)


def every_target() -> Targets:
    places = torch.tensor([(r, c) for r in range(3) for c in range(3) if (r, c) != (1, 1)])
    return Targets(tuple(range(8)), places)


def test_the_channel_that_means_the_goal_leads_to_every_target_and_the_other_to_none_more() -> None:
    found = retarget(seeker(), Field, "trunk.blocks.0.hook_post", every_target(), agents, value=1.0)
    assert found.n_targets == 8 and found.by_target.shape == (2, 8)
    assert float(found.reached[0]) == 1.0 and found.by_target[0].all()
    assert float(found.reached[1]) < 0.6
    assert found.intact == pytest.approx(2 / 8)  # the goal itself and one place on the way
    assert (found.low <= found.gain).all() and (found.gain <= found.high).all() and float(found.low[0]) > 0


def test_a_hook_without_places_cannot_be_switched_on_somewhere() -> None:
    with pytest.raises(InputError, match="expected channel, height and width"):
        retarget(seeker(), Field, "actor.hook_logits", every_target(), agents)


def test_the_field_points_to_the_goal_and_nowhere_without_it() -> None:
    envs = Field(9)
    envs.reset(seed=list(range(9)))
    places = torch.tensor([(r, c) for r in range(3) for c in range(3)])
    envs.agent = places.numpy().copy()
    seen = torch.from_numpy(envs.observe())
    field = compute_policy_field(seeker(), seen, places, MOVES)
    assert_close(field.probability.sum(1), torch.ones(9))
    away = (places != 0).any(1)
    assert (((places.float() * field.move).sum(1)) < 0)[away].all()  # toward (0, 0)
    removed = compute_policy_field(seeker(), seen, places, MOVES, [zero("trunk.blocks.0.hook_post")])
    assert_close(removed.move, torch.zeros(9, 2))


def test_adding_the_difference_of_means_moves_a_linear_read_out_by_the_difference_of_its_means() -> None:
    model, hook = policy(), "actor.blocks.1.hook_post"
    toward, away, seen = torch.randn(30, 3) + 1, torch.randn(20, 3) - 1, torch.randn(5, 3)
    vector = compute_steering_vector(model, hook, toward, away)
    with torch.no_grad(), model.edited([add_vector(hook, vector, 2.0)]):
        steered = model(seen).logits
    with torch.no_grad():
        shift = model(toward).logits.mean(0) - model(away).logits.mean(0)
        assert_close(steered, model(seen).logits + 2 * shift, atol=1e-5, rtol=1e-4)


def test_whole_maps_can_be_added() -> None:
    model, hook = seeker(), "trunk.blocks.0.hook_post"
    vector, seen = torch.randn(2, 3, 3), torch.rand(4, 3, 3, 3)
    with torch.no_grad(), model.edited([add_vector(hook, vector)]):
        cached = model.cache(seen, "trunk.blocks.0.hook_pre")
        steered = model(seen).logits
    direct = (cached["trunk.blocks.0.hook_pre"].relu() + vector).flatten(1) @ model.actor.readout.weight.T
    assert_close(steered, direct.detach(), atol=1e-5, rtol=1e-4)
