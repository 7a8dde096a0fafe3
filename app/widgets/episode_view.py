"""Parts of the Episodes page: the frame, what the policy makes of it, and what goes on inside, at one step."""

from __future__ import annotations

import base64
import html
import io

import numpy as np
import streamlit as st
from PIL import Image

from app import style
from app.text import format
from app.text.escaping import escape
from app.widgets.observation_view import CARTPOLE, action_names, cart_drawing, grid, observation_names, scene
from workbench.checkpoints.card import Card
from workbench.core.errors import WorkbenchError
from workbench.experiments.episodes import Played, play
from workbench.experiments.inputs.frames import frame_at
from workbench.experiments.store.dependencies import current_key

BLUE, ORANGE = np.array([0, 114, 178]), np.array([213, 94, 0])
UNITS = 24
"""Units shown as bars: the strongest at the step."""


def cached_episode(
    model: str, seed: int, hook: str, environment: str, edit: str = "", amount: float | None = None
) -> Played:
    """The episode, kept while the network is the same."""
    return _cached_episode(model, current_key([model]), seed, hook, environment, edit, amount)


@st.cache_resource(max_entries=16, show_spinner="Playing the episode")
def _cached_episode(
    model: str, key: str, seed: int, hook: str, environment: str, edit: str, amount: float | None
) -> Played:
    return play(model, seed, hook, environment, edit, amount)


def show_frame(card: Card, episode: Played, step: int, kind: str, title: str) -> None:
    """What the policy saw at a step, what mattered in it, and what it did."""
    told = episode.trace
    seen, mattered = told.observation[step].numpy(), getattr(episode.saliency, kind)[step].numpy()
    st.markdown(f"**{escape(title)}**, step {step:d} of {len(told.action) - 1:d}")
    if seen.ndim == 3:
        picture, alt = grid(card, seen), f"{scene(card)} at step {step}"
        side = st.columns(2)
        side[0].image(picture, alt=alt, width="stretch")
        side[1].image(tint(mattered.sum(axis=0)), alt=f"saliency of {alt}: orange for the action, blue against it",
                      width="stretch")  # fmt: skip
        st.caption(f"Right: saliency by {escape(kind)}, orange speaks for the action and blue against it.")
        return
    if card.data.name == CARTPOLE:
        st.html(f'<img alt="the cart at step {step:d}" style="width:100%" src="{cart_drawing(seen, style.dark())}">')
    else:
        show_rendered_frame(episode, step)
    if card.architecture == "q_table":
        st.markdown(f"State {int(seen.argmax())} of {seen.size:d}")
        return
    named = zip(observation_names(card, seen.size), seen.tolist(), strict=True)
    show_bars([f"{name}: {format.short(value)}" for name, value in named], mattered)
    st.caption(f"Saliency by {escape(kind)}: what each number does to the action's lead over the runner-up.")


def show_rendered_frame(episode: Played, step: int) -> None:
    """The environment's own picture, or why there is none."""
    try:
        st.image(frame_at(episode, step), alt=f"{episode.environment} at step {step}", width="stretch")
    except WorkbenchError as error:
        st.caption(escape(error))


def tint(values: np.ndarray) -> np.ndarray:
    """A map of signed numbers as a picture: blue below zero, white, orange above."""
    share = np.clip(values / (np.abs(values).max() or 1.0), -1, 1)[..., None]
    colour = np.where(share > 0, ORANGE, BLUE) * np.abs(share) + 255 * (1 - np.abs(share))
    return colour.round().astype(np.uint8).repeat(24, axis=0).repeat(24, axis=1)


def show_actions(card: Card, episode: Played, step: int) -> None:
    """The actions with their probabilities (Q-values of a Q-function); the one taken is marked."""
    told, known = episode.trace, action_names(card)
    of_q = card.architecture in ("q_table", "q_network")
    values = (told.logits if of_q else told.probability)[step].numpy()
    taken = int(told.action[step])
    names = [known[i] if i < len(known) else f"action {i}" for i in range(len(values))]
    names[taken] = f"▶ {names[taken]}"
    texts = [format.short(float(v)) if of_q else f"{100 * v:.1f} %" for v in values]
    show_bars(names, values, texts, 1.0 if not of_q else None)


def show_bars(names: list[str], values: np.ndarray, texts: list[str] | None = None, full: float | None = None) -> None:
    """Rows of a name, a bar and a number; orange above zero, blue below."""
    limit, lines = full or float(np.abs(values).max()) or 1.0, []
    columns = f"grid-template-columns:minmax(4.5rem,{0.55 * max(map(len, names)):.1f}em) 1fr 4rem"
    for place, (name, value) in enumerate(zip(names, values.tolist(), strict=True)):
        colour = "#D55E00" if value > 0 else "#0072B2"
        width = 100 * min(1.0, abs(value) / limit)
        bar = f'<span class="wb-bar"><i style="width:{width:.1f}%;background:{colour}"></i></span>'
        told = texts[place] if texts else format.short(value)
        row = f"<span>{html.escape(name)}</span>{bar}<span>{html.escape(told)}</span>"
        lines.append(f'<div class="wb-answer" style="{columns}">{row}</div>')
    st.html(f'<div class="wb-answers">{"".join(lines)}</div>')


def show_metrics(episode: Played, step: int) -> None:
    """Value, Q, advantage, surprise and reward at a step."""
    told = episode.trace
    shown = {
        "value": told.value, "Q of the action": told.q, "advantage": told.advantage, "surprise (nats)": told.surprise,
        "reward": told.reward, "return to go": told.return_to_go,
    }  # fmt: skip
    with st.container(horizontal=True, gap="small"):
        for name, values in shown.items():
            st.metric(escape(name), format.short(float(values[step])), width="content", border=True)


def show_activations(episode: Played, step: int) -> None:
    """What the hook holds at a step: maps of channels, or bars of its strongest units."""
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
    """A picture as an address that holds it."""
    Image.fromarray(picture).save(stream := io.BytesIO(), format="PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
