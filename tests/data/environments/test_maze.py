"""Tests of the maze: layouts, rules, ends and seeds."""

from collections import deque

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import InputError
from workbench.data.environments import make, make_vector
from workbench.data.environments.maze import AGENT, CHEESE, GOAL, MOUSE, OPEN, PIXELS, WALL, VectorMaze, in_corner
from workbench.data.environments.maze_layouts import MOVES, distances, random_maze


def searched(is_open: np.ndarray, goal: tuple[int, int]) -> dict[tuple[int, int], int]:
    """Distances by a queue, one square at a time."""
    found, queue = {goal: 0}, deque([goal])
    while queue:
        row, column = place = queue.popleft()
        for near in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            inside = all(0 <= x < len(is_open) for x in near)
            if inside and is_open[near] and near not in found:
                found[near] = found[place] + 1
                queue.append(near)
    return found


@given(seed=st.integers(0, 2**16), cells=st.integers(2, 6), loops=st.sampled_from([0.0, 0.1, 0.5]))
def test_every_open_square_of_a_maze_can_be_reached_from_every_other(seed: int, cells: int, loops: float) -> None:
    is_open = random_maze(np.random.default_rng(seed), cells, loops)
    assert is_open[::2, ::2].all() and not is_open[1::2, 1::2].any()
    assert len(searched(is_open, (0, 0))) == is_open.sum()
    if loops == 0:
        assert is_open.sum() == 2 * cells**2 - 1, "a tree has one passage less than cells"


def test_distances_are_those_of_a_search_with_a_queue() -> None:
    mazes = np.stack([random_maze(np.random.default_rng(seed), 4) for seed in range(6)])
    goals = np.array([np.argwhere(maze)[-1 - i] for i, maze in enumerate(mazes)])
    for maze, goal, found in zip(mazes, goals, distances(mazes, goals), strict=True):
        expected = searched(maze, tuple(map(int, goal)))
        assert {tuple(map(int, place)): found[tuple(place)] for place in np.argwhere(found >= 0)} == expected


@pytest.mark.parametrize("goal", ["corner", "anywhere"])
def test_steps_follow_the_rules(goal: str) -> None:
    envs, rng = VectorMaze(16, goal=goal, max_episode_steps=30), np.random.default_rng(1)  # type: ignore[arg-type]
    shown, _ = envs.reset(seed=4)
    ends = np.zeros(2)
    for _ in range(200):
        before, actions = shown, rng.integers(4, size=16)
        shown, reward, terminated, truncated, info = envs.step(actions)
        after = np.where((terminated | truncated)[:, None, None, None], info.get("final_obs", shown), shown)
        for row in range(16):
            place, goal_at = np.argwhere(before[row, AGENT])[0], np.argwhere(before[row, GOAL])[0]
            target = place + MOVES[actions[row]]
            free = (target >= 0).all() and (target < 7).all() and before[row, OPEN][tuple(target)] == 1
            place = target if free else place
            assert (np.argwhere(after[row, AGENT])[0] == place).all()
            assert terminated[row] == reward[row] == (place == goal_at).all()
            assert (after[row, OPEN] == before[row, OPEN]).all()
            assert goal == "anywhere" or in_corner(goal_at, 7)
        ends += terminated.sum(), truncated.sum()
    assert ends.min() > 5, "the test must see both kinds of end"


def test_goals_lie_everywhere_only_when_asked() -> None:
    corner, anywhere = (VectorMaze(400, goal=goal).reset(seed=0)[0][:, GOAL].sum(0) for goal in ("corner", "anywhere"))  # type: ignore[arg-type]
    inside = in_corner(np.moveaxis(np.indices((7, 7)), 0, -1), 7)
    assert corner[~inside].sum() == 0
    assert 40 < anywhere[inside].sum() < 120


def test_rows_of_equal_seed_have_equal_episodes_and_a_number_seeds_rows_in_turn() -> None:
    together, alone = VectorMaze(4, max_episode_steps=5), VectorMaze(1, max_episode_steps=5)
    shown, _ = together.reset(seed=[7, 8, 7, 8])
    single, _ = alone.reset(seed=7)
    np.testing.assert_array_equal(shown, VectorMaze(4).reset(seed=7)[0][[0, 1, 0, 1]])
    for step in range(20):  # across several resets
        np.testing.assert_array_equal(shown[0], shown[2])
        np.testing.assert_array_equal(shown[1], shown[3])
        np.testing.assert_array_equal(shown[0], single[0])
        shown, single = together.step(np.full(4, step % 4))[0], alone.step(np.array([step % 4]))[0]


def test_a_restored_state_has_the_same_future() -> None:
    envs, actions = VectorMaze(4, max_episode_steps=7), np.random.default_rng(2).integers(0, 4, (60, 4))
    envs.reset(seed=3)
    for action in actions[:20]:
        envs.step(action)
    saved = envs.get_state()
    futures = []
    for copy in (envs, VectorMaze(4, max_episode_steps=7)):
        copy.set_state(saved)
        futures.append(np.stack([copy.step(action)[0] for action in actions[20:]]))
    np.testing.assert_array_equal(*futures)


@pytest.mark.parametrize("actions", [np.array([0, 4]), np.array([0, -1]), np.array([0])])
def test_actions_that_do_not_fit_are_refused(actions: np.ndarray) -> None:
    envs = VectorMaze(2)
    envs.reset(seed=0)
    with pytest.raises(InputError, match="2 actions of 0 to 3"):
        envs.step(actions)


def test_gymnasium_makes_it_checks_it_and_draws_it() -> None:
    envs = make_vector("workbench/MazeAnywhere-v0", 3)
    assert isinstance(envs, VectorMaze) and (envs.goal_lies, envs.max_episode_steps) == ("anywhere", 100)
    env = make("workbench/Maze-v0", render_mode="rgb_array")
    assert env.spec is not None and env.spec.max_episode_steps == 100
    with pytest.warns(UserWarning) as warned:
        gymnasium.logger.warn("the list is never empty")
        check_env(env.unwrapped, skip_render_check=True)
    assert len(warned) == 1, [str(w.message) for w in warned]
    shown, _ = env.reset(seed=5)
    np.testing.assert_array_equal(shown, VectorMaze(1).reset(seed=5)[0][0])
    picture = env.render()
    assert picture.shape == (7 * PIXELS, 7 * PIXELS, 3) and picture.dtype == np.uint8
    for channel, colour in ((AGENT, MOUSE), (GOAL, CHEESE)):
        row, column = np.argwhere(shown[channel])[0] * PIXELS + PIXELS // 2
        assert tuple(picture[row, column]) == colour
    assert (picture.reshape(-1, 3) == WALL).all(1).mean() == pytest.approx(1 - shown[OPEN].mean())
