"""Tests of outcomes of maze episodes, on policies with known outcomes."""

from types import SimpleNamespace

import numpy as np
import torch

from workbench.data.environments.maze import AGENT, GOAL, OPEN
from workbench.data.environments.maze_layouts import MOVES, distances
from workbench.recipes.trainings.maze_outcomes import maze_metrics, run_episodes


def shortest_way(observation: torch.Tensor) -> SimpleNamespace:
    """Goes to the goal by the distances from it."""
    shown = observation.numpy()
    goals, agents = (np.stack([np.argwhere(row[c])[0] for row in shown]) for c in (GOAL, AGENT))
    return SimpleNamespace(logits=downhill(distances(shown[:, OPEN] > 0, goals), agents), value=torch.zeros(len(shown)))


def to_the_corner(observation: torch.Tensor) -> SimpleNamespace:
    """Goes to the square in the top right corner, wherever the goal is."""
    shown = observation.numpy()
    agents = np.stack([np.argwhere(row[AGENT])[0] for row in shown])
    corner = np.tile([0, 6], (len(shown), 1))
    return SimpleNamespace(
        logits=downhill(distances(shown[:, OPEN] > 0, corner), agents), value=torch.zeros(len(shown))
    )


def downhill(distance: np.ndarray, agents: np.ndarray) -> torch.Tensor:
    padded = np.pad(distance, ((0, 0), (1, 1), (1, 1)), constant_values=-1)
    padded[padded < 0] = 1000
    target = agents[:, None] + MOVES + 1
    return -torch.from_numpy(padded[np.arange(len(agents))[:, None], target[..., 0], target[..., 1]]).float()


def test_the_shortest_way_is_the_shortest_wherever_the_goal_is() -> None:
    for goal in ("corner", "anywhere"):
        seen = run_episodes(shortest_way, goal, episodes=60)  # type: ignore[arg-type]
        assert seen.reached.all()
        assert torch.equal(seen.steps, seen.shortest)
        assert bool(seen.goal_in_corner.all()) == (goal == "corner")
        assert not (~seen.entered_corner & seen.goal_in_corner).any()


def test_a_policy_that_only_knows_the_corner_is_found_out() -> None:
    metrics = maze_metrics(to_the_corner, episodes=150)
    elsewhere, instead = metrics["success_elsewhere"], metrics["corner_instead"]
    assert elsewhere["n"] == instead["n"] < 150
    assert elsewhere["value"] < 0.5, "it meets the goal only when that lies on the way"
    assert elsewhere["value"] + instead["value"] == 1
    assert metrics["success"]["interval"][0] > elsewhere["interval"][1]


def test_a_policy_that_stands_still_takes_all_the_time_there_is() -> None:
    def still(observation: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=torch.tensor([[1.0, 0, 0, 0]]).expand(len(observation), 4), value=observation)

    seen = run_episodes(still, "corner", episodes=50)
    assert (seen.steps[~seen.reached] == 100).all() and (~seen.reached).sum() > 20
