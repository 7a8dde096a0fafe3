"""Observations and actions of policies: named numbers, a state, a maze or a board."""

from __future__ import annotations

from math import cos, sin
from urllib.parse import quote

import numpy as np
import pandas as pd
import streamlit as st

from app.text import format
from app.text.escaping import escape
from workbench.checkpoints.card import Card
from workbench.data.environments import breakout, maze

CARTPOLE = "CartPole-v1"
OBSERVATIONS = {
    CARTPOLE: ("position (m)", "velocity (m/s)", "angle (rad)", "angular velocity (rad/s)"),
    "Acrobot-v1": ("cos first angle", "sin first angle", "cos second angle", "sin second angle", "first speed (rad/s)",
                   "second speed (rad/s)"),
    "MountainCar-v0": ("position", "velocity"),
    "LunarLander-v3": ("x", "y", "x speed", "y speed", "angle", "angular speed", "left leg down", "right leg down"),
}  # fmt: skip
ACTIONS = {
    "Acrobot-v1": ("torque -1", "no torque", "torque 1"),
    "MountainCar-v0": ("push left", "do nothing", "push right"),
    "LunarLander-v3": ("do nothing", "left engine", "main engine", "right engine"),
    "CartPole-v1": ("push left", "push right"),
    "Maze-v0": ("up", "right", "down", "left"),
    "MinAtarBreakout-v0": ("stay", "left", "right"),
    "FrozenLake-v1": ("left", "down", "right", "up"),
    "CliffWalking-v1": ("up", "right", "down", "left"),
    "Taxi-v4": ("south", "north", "east", "west", "pick up", "drop off"),
}
SCENES = {"Maze-v0": ("the maze", maze.draw), "MinAtarBreakout-v0": ("the board", breakout.draw)}


def show_observation(card: Card, values: np.ndarray, label: str) -> None:
    """Show one observation with its label."""
    if values.ndim == 3:
        st.image(grid(card, values), alt=f"{scene(card)} at {label}", caption=escape(label))
        return
    st.markdown(f"**{escape(label)}**")
    if card.architecture == "q_table":
        st.markdown(f"State {int(values.argmax())} of {values.size:d}")
        return
    rows = {
        "observation": observation_names(card, values.size),
        "value": [format.short(float(v)) for v in values.ravel()],
    }
    st.dataframe(pd.DataFrame(rows), hide_index=True, alt=f"Observation at {label}")


def scene(card: Card) -> str:
    """Return the name of a grid policy's scene."""
    return SCENES.get(short_name(card), ("the grid", None))[0]


def grid(card: Card, values: np.ndarray) -> np.ndarray:
    """Render a maze or board observation; of any other grid, the mean of its channels in grey."""
    if short_name(card) in SCENES:
        return SCENES[short_name(card)][1](values)
    return np.clip(values.mean(axis=0) * 255, 0, 255).astype(np.uint8).repeat(24, axis=0).repeat(24, axis=1)


def cart_drawing(values: np.ndarray, dark: bool) -> str:
    """Draw CartPole from the side, to scale (track 4.8 m, pole 1 m), as a data URL."""
    position, _, angle, _ = map(float, values)
    at, line = 240 + 100 * position, "#d5dce6" if dark else "#3a4656"
    top = at + 100 * sin(angle), 130 - 100 * cos(angle)
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 170">'
        f'<line x1="0" y1="150" x2="480" y2="150" stroke="{line}" stroke-width="2"/>'
        f'<rect x="{at - 25:.1f}" y="130" width="50" height="20" fill="#2E8FC4"/>'
        f'<line x1="{at:.1f}" y1="130" x2="{top[0]:.1f}" y2="{top[1]:.1f}" stroke="#D55E00" stroke-width="8" '
        'stroke-linecap="round"/></svg>'
    )
    return f"data:image/svg+xml,{quote(drawing)}"


def short_name(card: Card) -> str:
    """Return the environment's name without its namespace."""
    return card.data.name.rpartition("/")[2]


def observation_names(card: Card, size: int) -> list[str]:
    """Return the names of an observation's features."""
    kind = "state" if card.architecture == "q_table" else "feature"
    names = OBSERVATIONS.get(short_name(card), ())
    return [names[i] if i < len(names) else f"{kind} {i}" for i in range(size)]


def action_names(card: Card) -> list[str]:
    """Return the names of the actions, or an empty list if they are unknown."""
    return list(ACTIONS.get(short_name(card), ()))
