"""Tests of MinAtar's Breakout against the original game: steps, randomness, ends and picture."""

import builtins

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from minatar import Environment

from workbench.core.errors import ConfigError, InputError
from workbench.data.environments import make, make_vector, rules_package, rules_sha256
from workbench.data.environments.breakout import (
    ACTIONS,
    BALL,
    BRICK,
    COLOURS,
    GROUND,
    PADDLE,
    PIXELS,
    STICKY,
    VectorBreakout,
    draw,
)  # fmt: skip

NAME = "workbench/MinAtarBreakout-v0"
SEEDS = [3, 4, 5, 6]


def following(shown: np.ndarray) -> np.ndarray:
    """Actions that move each paddle under its ball."""
    ball, paddle = (shown[:, channel].any(axis=1).argmax(axis=1) for channel in (BALL, PADDLE))
    return np.where(ball < paddle, 1, np.where(ball > paddle, 2, 0))


def test_every_row_is_the_game_of_the_package_from_its_seed() -> None:
    envs, games = VectorBreakout(len(SEEDS)), [Environment("breakout", STICKY) for _ in SEEDS]
    shown, _ = envs.reset(seed=SEEDS)
    for game, seed in zip(games, SEEDS, strict=True):
        game.seed(seed)
        game.reset()
    going, gained = np.ones(len(SEEDS), bool), 0.0
    rng = np.random.default_rng(0)
    for _ in range(400):
        actions = np.where(rng.random(len(SEEDS)) < 0.2, rng.integers(0, 3, len(SEEDS)), following(shown))
        shown, reward, terminated, _, info = envs.step(actions)
        for row in going.nonzero()[0]:
            value, over = games[row].act(ACTIONS[actions[row]])
            seen = info["final_obs"][row] if terminated[row] else shown[row]
            np.testing.assert_array_equal(seen, games[row].state().transpose(2, 0, 1))
            assert (reward[row], terminated[row]) == (value, over)
            gained += value
        going &= ~terminated
    assert not going.any() and gained > 0, "the test must see ends and rewards"


def test_actions_are_those_that_do_something() -> None:
    game = Environment("breakout")
    assert list(ACTIONS) == game.minimal_action_set() and [game.env.action_map[a] for a in ACTIONS] == ["n", "l", "r"]
    shown, _ = VectorBreakout(1).reset(seed=0)
    assert [game.env.channels[name] for name in ("paddle", "ball", "brick")] == [PADDLE, BALL, BRICK]
    assert shown[0, BRICK].sum() == 30 and shown[0, PADDLE, 9, 4] == 1


def test_episodes_start_in_two_ways_and_the_same_policy_has_many_different_ones() -> None:
    envs = VectorBreakout(100)
    starts = envs.reset(seed=20_000)[0]
    assert len(np.unique(starts.reshape(100, -1), axis=0)) == 2
    boards = [starts]
    for _ in range(150):
        boards.append(envs.step(following(boards[-1]))[0])
    assert len(np.unique(np.stack(boards, axis=1).reshape(100, -1), axis=0)) > 60


def test_rows_of_equal_seed_have_equal_episodes_across_resets() -> None:
    together, alone = VectorBreakout(3), VectorBreakout(1)
    alone.reset(seed=1)
    for _ in range(30):  # a row's history does not matter
        alone.step(np.array([2]))
    shown, single = together.reset(seed=[7, 8, 7])[0], alone.reset(seed=7)[0]
    for step in range(60):
        np.testing.assert_array_equal(shown[0], shown[2])
        np.testing.assert_array_equal(shown[0], single[0])
        shown, single = together.step(np.full(3, step % 3))[0], alone.step(np.array([step % 3]))[0]


def test_an_episode_is_cut_off_at_its_limit() -> None:
    envs = make_vector(NAME, 2, steps=3)
    envs.reset(seed=0)
    ends = [envs.step(np.zeros(2, dtype=int))[2:4] for _ in range(3)]
    assert [bool(cut.all()) for _, cut in ends] == [False, False, True] and not ends[-1][0].any()
    assert make_vector(NAME, 1).max_episode_steps == 1000  # type: ignore[attr-defined]


@pytest.mark.parametrize("actions", [np.array([0, 3]), np.array([0, -1]), np.array([0])])
def test_actions_that_do_not_fit_are_refused(actions: np.ndarray) -> None:
    envs = VectorBreakout(2)
    envs.reset(seed=0)
    with pytest.raises(InputError, match="2 actions of 0 to 2"):
        envs.step(actions)


def test_the_paddle_can_be_put_at_each_of_its_places() -> None:
    envs = VectorBreakout(1)
    board = torch.from_numpy(envs.reset(seed=0)[0][0])
    seen, places = envs.everywhere(board)
    assert places.tolist() == [[9, column] for column in range(10)]
    assert torch.equal(seen[:, PADDLE].flatten(1).argmax(1), 90 + torch.arange(10)) and (seen[:, PADDLE].sum() == 10)
    assert torch.equal(seen[:, 1:], board[1:].expand(10, -1, -1, -1)) and torch.equal(seen[4], board)


def test_gymnasium_makes_it_checks_it_and_draws_it() -> None:
    assert isinstance(make_vector(NAME, 3), VectorBreakout)
    env = make(NAME, render_mode="rgb_array")
    assert env.spec is not None and env.spec.max_episode_steps == 1000
    with pytest.warns(UserWarning) as warned:
        gymnasium.logger.warn("the list is never empty")
        check_env(env.unwrapped, skip_render_check=True)
    assert len(warned) == 1, [str(w.message) for w in warned]
    shown, _ = env.reset(seed=5)
    picture = env.render()
    assert picture.shape == (10 * PIXELS, 10 * PIXELS, 3) and picture.dtype == np.uint8
    for channel in (PADDLE, BALL, BRICK):
        row, column = np.argwhere(shown[channel])[0] * PIXELS + PIXELS // 2
        assert tuple(picture[row, column]) == COLOURS[channel]
    assert (picture.reshape(-1, 3) == GROUND).all(1).mean() == pytest.approx(1 - 31 / 100), "the ball starts on a brick"
    half = draw(np.stack([shown[0], shown[1], shown[2], shown[3] / 2]))
    assert tuple(half[PIXELS, 0]) == tuple(np.round((np.array(COLOURS[BRICK]) + GROUND) / 2).astype(int))


def test_its_rules_are_the_packages_source() -> None:
    assert rules_package(NAME).startswith("minatar 1.") and rules_package("CartPole-v1").startswith("gymnasium ")
    assert rules_sha256(NAME) not in (rules_sha256("workbench/Maze-v0"), rules_sha256("CartPole-v1"))


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "minatar":
            raise ModuleNotFoundError("No module named 'minatar'")
        return found(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    for build in (make, lambda name: make_vector(name, 1)):
        with pytest.raises(ConfigError, match=r"MinAtar is not installed.*workbench\[minatar\]"):
            build(NAME)
