"""Test of the committed Breakout policy against a hand-written rule that follows the ball."""

from __future__ import annotations

import numpy as np

from tests.data.environments.test_breakout import following
from workbench.checkpoints.card import read_card
from workbench.data.environments import make_vector
from workbench.recipes.trainings.several_seeds import EPISODES, EVALUATION_SEED


def test_the_policy_earns_more_than_a_paddle_that_follows_the_ball() -> None:
    card = read_card("minatar_breakout_ppo")
    envs = make_vector(card.data.name, EPISODES)
    shown, returns, running = envs.reset(seed=EVALUATION_SEED)[0], np.zeros(EPISODES), np.ones(EPISODES, bool)
    while running.any():
        shown, reward, terminated, truncated, _ = envs.step(following(shown))
        returns += reward * running
        running &= ~(terminated | truncated)
    interval = card.metrics["return_mean"].interval
    assert interval is not None and 5 < returns.mean() < interval[0]
