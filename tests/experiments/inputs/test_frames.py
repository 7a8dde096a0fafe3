"""Tests of rendered frames of episodes."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest

from workbench.checkpoints.card import names
from workbench.core.errors import ConfigError, InputError
from workbench.experiments.episodes import play
from workbench.experiments.inputs import frames
from workbench.experiments.inputs.frames import frame_at
from workbench.experiments.inputs.modality import modality_of_model

pytest.importorskip("pygame")

POLICIES = [name for name in names() if modality_of_model(name).acts]


@pytest.mark.parametrize("name", [name for name in POLICIES if name != "frozenlake_q"])
def test_every_policys_world_is_drawn_as_it_was_played(name: str) -> None:
    episode = play(name, seed=1)
    first, later = frame_at(episode, 0), frame_at(episode, 5)
    assert first.ndim == 3 and first.shape == later.shape and not np.array_equal(first, later)


def test_a_frame_shows_the_step_and_another_step_another_frame() -> None:
    episode = play("cliffwalking_q")
    first, again, later = (frame_at(episode, step) for step in (0, 0, 5))
    assert first.ndim == 3 and first.shape[2] == 3 and np.array_equal(first, again)
    assert not np.array_equal(first, later)


def test_an_episode_that_chance_leads_cannot_be_drawn_afterwards() -> None:
    episode = play("frozenlake_q", seed=1)
    other = replace(episode.trace, observation=episode.trace.observation.roll(1, dims=1))
    with pytest.raises(InputError, match="Chance decides what follows in FrozenLake-v1"):
        frame_at(replace(episode, trace=other), 1)


def test_an_environment_that_draws_nothing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "render_modes", lambda name: ["ansi"])
    with pytest.raises(InputError, match="CliffWalking-v1 draws no frames"):
        frame_at(play("cliffwalking_q"), 0)


def test_a_missing_package_for_drawing_names_our_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: object) -> None:
        raise gymnasium.error.DependencyNotInstalled("pygame is not installed")

    monkeypatch.setattr("gymnasium.envs.toy_text.cliffwalking.CliffWalkingEnv.render", missing)
    with pytest.raises(ConfigError, match=r"pygame is not installed.*workbench\[frames\]"):
        frame_at(play("cliffwalking_q"), 0)
