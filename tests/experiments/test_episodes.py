"""Tests of greedy episodes, unchanged and with an intervention."""

from __future__ import annotations

import pytest
import torch

from workbench.core.errors import Cancelled, InputError, WorkbenchError
from workbench.experiments.episodes import discount_of, environments_of, play
from workbench.experiments.run import loaded
from workbench.recipes.policies.maze_ppo import RECIPE

UNIT = "actor.blocks.0.hook_post[unit=3]"


def test_an_episode_is_what_the_policy_does_in_gymnasiums_environment() -> None:
    import gymnasium

    episode, env, model = play("cartpole_ppo", seed=5), gymnasium.make("CartPole-v1"), loaded("cartpole_ppo")
    seen, total, done = env.reset(seed=5)[0], 0.0, False
    while not done:
        with torch.no_grad():
            action = int(model(torch.as_tensor(seen)[None]).logits.argmax())
        seen, reward, terminated, truncated, _ = env.step(action)
        total, done = total + float(reward), terminated or truncated
    assert float(episode.trace.reward.sum()) == total and episode.trace.terminated == terminated
    assert episode.hook == "hook_input" and torch.equal(episode.activations, episode.trace.observation)


def test_a_changed_part_changes_what_the_policy_thinks_and_nothing_is_left_behind() -> None:
    hook = "actor.blocks.0.hook_post"
    before = play("cartpole_ppo", hook=hook)
    zeroed, added = play("cartpole_ppo", hook=hook, edit=UNIT), play("cartpole_ppo", hook=hook, edit=UNIT, amount=2.0)
    assert (zeroed.activations[:, 3] == 0).all() and (before.activations[:, 3] != 0).all()
    torch.testing.assert_close(added.activations[0, 3], before.activations[0, 3] + 2)
    assert not torch.allclose(zeroed.trace.logits[0], before.trace.logits[0])
    assert torch.equal(play("cartpole_ppo", hook=hook).trace.logits, before.trace.logits)


def test_the_discount_is_that_of_the_training() -> None:
    assert discount_of("maze_ppo") == RECIPE.training.discount == play("maze_ppo").discount


def test_a_maze_can_be_watched_with_the_goal_anywhere() -> None:
    assert environments_of("maze_ppo") == ("workbench/Maze-v0", "workbench/MazeAnywhere-v0")
    goals = [play("maze_ppo", seed=3, environment=name).trace.observation[0, 2] for name in environments_of("maze_ppo")]
    assert goals[0][:3, 4:].sum() == 1 and not torch.equal(goals[0], goals[1])


def test_what_plays_no_episodes_is_refused() -> None:
    with pytest.raises(InputError, match="is no policy"):
        play("digits_mlp")


@pytest.mark.parametrize("after", [1, 3, 501])
def test_an_episode_is_cancelled_while_it_is_played_and_while_saliency_is_computed(after: int) -> None:
    def report(done: int, total: int) -> None:
        assert total == 500 + 4
        if done == after:
            raise Cancelled(str(done))

    with pytest.raises(Cancelled, match=f"^{after}$"):
        play("cartpole_ppo", progress=report)
    assert len(play("cartpole_ppo").trace.action) > 10  # nothing of it is left on the network


@pytest.mark.parametrize(
    "wrong", [{"seed": -1}, {"seed": "x"}, {"seed": 2**32}, {"amount": float("nan"), "edit": UNIT}, {"hook": 3}]
)
def test_arguments_outside_of_their_range_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(WorkbenchError, match=next(iter(wrong))):
        play("cartpole_ppo", **wrong)  # type: ignore[arg-type]
