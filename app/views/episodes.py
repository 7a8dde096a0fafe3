"""Episodes: a policy at work, step by step, and the same episode played again with one of its parts changed."""

import streamlit as st

from app.state import address
from app.text.escaping import code, escape
from app.widgets import episode_view, model_strip, result_view
from app.widgets.hook_choice import choose_hook, hooks
from workbench.checkpoints.card import read_card
from workbench.experiments.episodes import Played, environments_of
from workbench.figures.alt import describe
from workbench.figures.episode import draw_timeline

CHANGES = {"nothing": "nothing", "zero": "set one unit to zero", "add": "add to one unit"}
ENDS = {True: "ended", False: "cut off by time"}


def choose_change(hook: str, sizes: dict[str, int], axis: str | None) -> tuple[str, float | None]:
    """The site to change, and what is added there (None: it is set to zero)."""
    if axis is None or axis not in sizes:
        return "", None
    with st.container(width=170):
        told = "; ".join(f"{kind}: {meaning}" for kind, meaning in CHANGES.items())
        kind = address.choose("Change", list(CHANGES), "change", help=escape(told))
    if kind == "nothing":
        return "", None
    with st.container(width=130):
        unit = address.number("Unit", 0, sizes[axis] - 1, "unit", 0, help=f"One entry of {escape(axis)} at the hook.")
    with st.container(width=130):
        amount = float(address.number("Amount", -100, 100, "amount", 5)) if kind == "add" else None
    return f"{hook}[{axis}={unit}]", amount


def python(episode: Played, model: str) -> str:
    """The same episode in Python."""
    given = f'"{model}", seed={episode.seed}, hook="{episode.hook}", environment="{episode.environment}"'
    edit = f', edit="{episode.edit}", amount={episode.amount}' if episode.edit else ""
    return f"from workbench.experiments.episodes import play\n\nepisode = play({given}{edit})"


def outcome(name: str, episode: Played) -> str:
    """How an episode went, in a few words."""
    told = episode.trace
    end = ENDS[told.terminated]
    return f"{name}: {len(told.action)} steps, return {float(told.reward.sum()):.4g}, {end}"


asked = model_strip.model_strip(inputs=False, first="maze_ppo")
if asked.kind != "policy":
    st.info(
        f"{escape(asked.model)} is no policy and plays no episodes. Choose one, such as maze\\_ppo or cartpole\\_ppo."
    )
    address.stop()
card = read_card(asked.model)
with st.container(border=True, horizontal=True, vertical_alignment="bottom", gap="small"):
    with st.container(width=260):
        environment = address.choose("Environment", environments_of(asked.model), "environment")
    with st.container(width=130):
        seed = address.number("Seed", 0, 2**31 - 1, "seed", 0, help="Decides how the episode begins.")
    with st.container(width=280):
        hook = choose_hook(asked.model)
        known = hooks(asked.model)[hook]
    edit, amount = choose_change(hook, known.sizes, known.unit)
    with st.container(width=170):
        kind = address.choose("Saliency", ["gradient", "perturbation"], "saliency")
original = episode_view.cached_episode(asked.model, seed, hook, environment)
changed = episode_view.cached_episode(asked.model, seed, hook, environment, edit, amount) if edit else None
shown = [("Original", original)] + ([(f"Changed at {edit}", changed)] if changed else [])
longest = max(len(episode.trace.action) for _, episode in shown)
step = address.scrub("Step", longest - 1, "step") if longest > 1 else 0
st.markdown(escape(" · ".join(outcome(name.split(" at ")[0], episode) for name, episode in shown)))
columns = st.columns(2, gap="large")
for place, (name, episode) in enumerate(shown):
    at = min(step, len(episode.trace.action) - 1)
    with columns[place]:
        episode_view.show_frame(card, episode, at, kind, name)
    with columns[place if changed else 1]:
        episode_view.show_actions(card, episode, at)
        episode_view.show_metrics(episode, at)
at = min(step, len(original.trace.action) - 1)
st.markdown(f"**Activations** at {code(hook)}, original, step {at:d}")
episode_view.show_activations(original, at)
finding = describe(original.trace)
result_view.plot(draw_timeline(original.trace, changed.trace if changed else None, step), "timeline", finding)
st.markdown(escape(finding))
result_view.data_table(original.trace, finding, "episode")
st.caption(
    f"greedy episode of {escape(asked.model)} in {escape(environment)} · seed {seed:d} · n = 1 episode · "
    f"discount {original.discount:g} · saliency of the greedy action's logit minus the runner-up's"
)
model_strip.share_code(asked, python(changed or original, asked.model))
