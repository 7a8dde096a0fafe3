"""Tests of pictures of observations and names of actions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from workbench.checkpoints.card import Card, read_card
from workbench.data.environments import breakout, make_vector, maze
from workbench.experiments.inputs.observations import action_names, grid, scene


def of(environment: str) -> Card:
    card = read_card("maze_ppo")
    return replace(card, data=replace(card.data, name=environment))


def test_a_grid_is_drawn_as_its_environment_draws_itself() -> None:
    for name, said, drawn in (
        ("workbench/Maze-v0", "the maze", maze.draw), ("workbench/MinAtarBreakout-v0", "the board", breakout.draw),
    ):  # fmt: skip
        seen = make_vector(name, 1).reset(seed=0)[0][0]
        np.testing.assert_array_equal(grid(of(name), seen), drawn(seen))
        assert scene(of(name)) == said and len(action_names(of(name))) == make_vector(name, 1).single_action_space.n  # type: ignore[attr-defined]


def test_a_grid_that_nobody_draws_is_grey() -> None:
    seen = np.zeros((2, 3, 3), dtype=np.float32)
    seen[0, 1, 1] = 1
    picture = grid(of("Somewhere-v0"), seen)
    assert picture.shape == (72, 72) and picture[36, 36] == 127 and picture.sum() == 127 * 24**2
    assert scene(of("Somewhere-v0")) == "the grid"
