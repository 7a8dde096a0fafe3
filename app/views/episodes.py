"""Episodes: a policy's episode step by step, and the same episode replayed with a unit changed."""

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
ENDS = {True: "ended", False: "stopped by the time limit"}


def choose_change(hook: str, sizes: dict[str, int], axis: str | None) -> tuple[str, float | None]:
    """Choose the site to change and the amount to add (None sets it to zero)."""
    if axis is None or axis not in sizes:
        return "", None
    with st.container(width=170):
        meanings = "; ".join(f"{kind}: {meaning}" for kind, meaning in CHANGES.items())
        kind = address.choose("Change", list(CHANGES), "change", help=escape(meanings))
    if kind == "nothing":
        return "", None
    with st.container(width=130):
        unit = address.number("Unit", 0, sizes[axis] - 1, "unit", 0, help=f"One entry of {escape(axis)} at the hook.")
    with st.container(width=130):
        amount = float(address.number("Amount", -100, 100, "amount", 5)) if kind == "add" else None
    return f"{hook}[{axis}={unit}]", amount


def python(episode: Played, model: str) -> str:
    """Return Python code that plays the same episode."""
    given = f'"{model}", seed={episode.seed}, hook="{episode.hook}", environment="{episode.environment}"'
    edit = f', edit="{episode.edit}", amount={episode.amount}' if episode.edit else ""
    return f"from workbench.experiments.episodes import play\n\nepisode = play({given}{edit})"


def outcome(name: str, episode: Played) -> str:
    """Summarize an episode: steps, return and how it ended."""
    trace = episode.trace
    end = ENDS[trace.terminated]
    return f"{name}: {len(trace.action)} steps, return {float(trace.reward.sum()):.4g}, {end}"


selection = model_strip.model_strip(inputs=False, first="maze_ppo")
if not selection.modality.acts:
    st.info(f"{escape(selection.model)} is not a policy. Choose one, such as maze\\_ppo or cartpole\\_ppo.")
    address.stop()
card = read_card(selection.model)
with st.container(border=True, horizontal=True, vertical_alignment="bottom", gap="small"):
    with st.container(width=260):
        environment = address.choose("Environment", environments_of(selection.model), "environment")
    with st.container(width=130):
        seed = address.number("Seed", 0, 2**31 - 1, "seed", 0, help="Seed of the environment.")
    with st.container(width=280):
        hook = choose_hook(selection.model)
        known = hooks(selection.model)[hook]
    edit, amount = choose_change(hook, known.sizes, known.unit)
    with st.container(width=170):
        kind = address.choose("Saliency", ["gradient", "perturbation"], "saliency")
original = episode_view.cached_episode(selection.model, seed, hook, environment)
changed = episode_view.cached_episode(selection.model, seed, hook, environment, edit, amount) if edit else None
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
    f"greedy episode of {escape(selection.model)} in {escape(environment)} · seed {seed:d} · n = 1 episode · "
    f"discount {original.discount:g} · saliency of the greedy action's logit minus the runner-up's"
)
model_strip.share_code(selection, python(changed or original, selection.model))
