"""Widgets of the Episodes page for one step: frame, saliency, actions, values and activations."""

from __future__ import annotations

import base64
import html
import io
from math import cos, sin
from urllib.parse import quote

import numpy as np
import streamlit as st
from PIL import Image

from app import style
from app.state import address, jobs
from app.text import format
from app.text.escaping import escape
from workbench.checkpoints.card import Card
from workbench.core.errors import WorkbenchError
from workbench.experiments.episodes import Played, play
from workbench.experiments.inputs.frames import frame_at
from workbench.experiments.inputs.observations import action_names, grid, observation_names, scene
from workbench.experiments.store.dependencies import current_key

CARTPOLE = "CartPole-v1"
BLUE, ORANGE = np.array([0, 114, 178]), np.array([213, 94, 0])
UNITS = 24
"""Number of units shown as bars: the strongest at the step."""


def cached_episode(
    model: str, seed: int, hook: str, environment: str, edit: str = "", amount: float | None = None
) -> Played:
    """Play an episode, kept until the network changes; the page stops until it is available."""
    asked = model, seed, hook, environment, edit, amount
    work = lambda report: play(*asked, report)
    found = jobs.result(f"episode {asked} {current_key([model])}", f"episode of {model}", work, f"episode {bool(edit)}")
    if found is None:
        address.stop()
    return found


def show_frame(card: Card, episode: Played, step: int, kind: str, title: str) -> None:
    """Show the observation at a step and its saliency."""
    trace = episode.trace
    observation, saliency = trace.observation[step].numpy(), getattr(episode.saliency, kind)[step].numpy()
    st.markdown(f"**{escape(title)}**, step {step:d} of {len(trace.action) - 1:d}")
    if observation.ndim == 3:
        picture, alt = grid(card, observation), f"{scene(card)} at step {step}"
        side = st.columns(2)
        side[0].image(picture, alt=alt, width="stretch")
        side[1].image(tint(saliency.sum(axis=0)), alt=f"saliency of {alt}: orange for the action, blue against it",
                      width="stretch")  # fmt: skip
        st.caption(f"Right: {escape(kind)} saliency. Orange supports the action, blue opposes it.")
        return
    if card.data.name == CARTPOLE:
        st.html(
            f'<img alt="the cart at step {step:d}" style="width:100%" src="{cart_drawing(observation, style.dark())}">'
        )
    else:
        show_rendered_frame(episode, step)
    if card.architecture == "q_table":
        st.markdown(f"State {int(observation.argmax())} of {observation.size:d}")
        return
    named = zip(observation_names(card, observation.size), observation.tolist(), strict=True)
    show_bars([f"{name}: {format.short(value)}" for name, value in named], saliency)
    st.caption(f"Saliency by {escape(kind)}: effect of each number on the action's lead over the runner-up.")


def show_rendered_frame(episode: Played, step: int) -> None:
    """Show the environment's rendering, or the reason why there is none."""
    try:
        st.image(frame_at(episode, step), alt=f"{episode.environment} at step {step}", width="stretch")
    except WorkbenchError as error:
        st.caption(escape(error))


def cart_drawing(values: np.ndarray, dark: bool) -> str:
    """Draw CartPole from the side as a data URL; the track is 4.8 m long, the pole 1 m."""
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


def tint(values: np.ndarray) -> np.ndarray:
    """Convert a signed map to an image: blue below zero, orange above."""
    share = np.clip(values / (np.abs(values).max() or 1.0), -1, 1)[..., None]
    colour = np.where(share > 0, ORANGE, BLUE) * np.abs(share) + 255 * (1 - np.abs(share))
    return colour.round().astype(np.uint8).repeat(24, axis=0).repeat(24, axis=1)


def show_actions(card: Card, episode: Played, step: int) -> None:
    """Show probabilities (or Q-values) of the actions and mark the one taken."""
    trace, known = episode.trace, action_names(card)
    of_q = card.architecture in ("q_table", "q_network")
    values = (trace.logits if of_q else trace.probability)[step].numpy()
    taken = int(trace.action[step])
    names = [known[i] if i < len(known) else f"action {i}" for i in range(len(values))]
    names[taken] = f"▶ {names[taken]}"
    texts = [format.short(float(v)) if of_q else f"{100 * v:.1f} %" for v in values]
    show_bars(names, values, texts, 1.0 if not of_q else None)


def show_bars(names: list[str], values: np.ndarray, texts: list[str] | None = None, full: float | None = None) -> None:
    """Show a signed bar chart: orange above zero, blue below."""
    limit, lines = full or float(np.abs(values).max()) or 1.0, []
    columns = f"grid-template-columns:minmax(4.5rem,{0.55 * max(map(len, names)):.1f}em) 1fr 4rem"
    for place, (name, value) in enumerate(zip(names, values.tolist(), strict=True)):
        colour = "#D55E00" if value > 0 else "#0072B2"
        width = 100 * min(1.0, abs(value) / limit)
        bar = f'<span class="wb-bar"><i style="width:{width:.1f}%;background:{colour}"></i></span>'
        text = texts[place] if texts else format.short(value)
        row = f"<span>{html.escape(name)}</span>{bar}<span>{html.escape(text)}</span>"
        lines.append(f'<div class="wb-answer" style="{columns}">{row}</div>')
    st.html(f'<div class="wb-answers">{"".join(lines)}</div>')


def show_metrics(episode: Played, step: int) -> None:
    """Show value, Q, advantage, surprise and reward at a step."""
    trace = episode.trace
    shown = {
        "value": trace.value, "Q of the action": trace.q, "advantage": trace.advantage,
        "surprise (nats)": trace.surprise, "reward": trace.reward, "return to go": trace.return_to_go,
    }  # fmt: skip
    with st.container(horizontal=True, gap="small"):
        for name, values in shown.items():
            st.metric(escape(name), format.short(float(values[step])), width="content", border=True)


def show_activations(episode: Played, step: int) -> None:
    """Show the activation at a step: channel maps, or bars of its strongest units."""
    values = episode.activations[step].numpy()
    if values.ndim == 3:
        maps = "".join(
            f'<figure class="wb-exhibit"><img alt="channel {i:d}" src="{as_png(tint(channel))}">'
            f"<figcaption>channel {i:d}<span>{format.short(float(np.abs(channel).max()))}</span></figcaption></figure>"
            for i, channel in enumerate(values)
        )
        st.html(f'<div class="wb-wall" style="grid-template-columns:repeat(auto-fill,minmax(92px,1fr))">{maps}</div>')
        return
    flat = values.reshape(-1)
    order = np.sort(np.argsort(-np.abs(flat))[:UNITS])
    axis = episode.axes[1] if len(episode.axes) > 1 else "value"
    show_bars([f"{axis} {i}" for i in order], flat[order])
    if len(flat) > UNITS:
        st.caption(f"The strongest {UNITS} of {len(flat)}.")


def as_png(picture: np.ndarray) -> str:
    """Encode an image as a data URL."""
    Image.fromarray(picture).save(stream := io.BytesIO(), format="PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
