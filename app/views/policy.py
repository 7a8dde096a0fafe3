"""Policy: what its parts earn, where it would go, what would change its mind, and what it knows."""

import streamlit as st

from app.state import address
from app.text.escaping import escape
from app.widgets import model_strip, parameter_form, result_view, state_view
from app.widgets.hook_choice import hooks
from workbench.core.registry import ANALYSES
from workbench.experiments.questions.parameters import signature_of
from workbench.experiments.questions.spec import Spec

WHAT = {
    "counterfactuals": "The smallest change to what it sees that makes it do something else.",
    "vector_field": "Where it would go from every place it may be at, before and after a part is changed.",
    "saliency": "What each entry of an observation does to the action's lead: by its gradient, and by taking it away.",
    "q_accuracy": "What it expects of every action, beside what playing the action and going on really brings.",
    "probes": "What can be read off a hook, beside the raw input and a random network.",
    "unit_returns": "Each unit removed in turn for whole episodes: what does it earn without it?",
    "circuit_returns": "Only some edges kept, the others at their mean: what does the circuit earn?",
    "reachable": "What each unit likes best: in a box of observations, and in states that really come up.",
}
COST = {
    "unit_returns": "Whole episodes are played for each unit, all side by side: seconds to a minute.",
    "circuit_returns": "About 30 rollouts: seconds to a minute.",
    "reachable": "Each unit is searched for by playing: seconds to a minute.",
    "probes": "Episodes are played and a probe is fitted to each source: seconds.",
}


def fitting(model: str) -> list[str]:
    """The techniques whose axes the policy has."""
    there = {axis for hook in hooks(model).values() for axis in hook.sizes}
    return [name for name in WHAT if there.issuperset(getattr(ANALYSES[name], "needed_axes", ()))]


asked = model_strip.model_strip(first="maze_ppo")
if asked.kind != "policy":
    st.info(f"{escape(asked.model)} is no policy. Choose one, such as maze\\_ppo or cartpole\\_ppo.")
    address.stop()
analysis = address.pick("Technique", fitting(asked.model), "technique")
st.caption(WHAT[analysis])
with st.container(border=True):
    filled = parameter_form.form(analysis, asked.model)
    takes = signature_of(analysis).injected
    metric = model_strip.choose_metric(asked, contrast=True) if "metric" in takes else ""
spec = Spec(
    asked.model, analysis, asked.inputs if "inputs" in takes else "", "", metric, filled.parameters, filled.seed
)
model_strip.share(asked, spec)
result = result_view.result_or_run_button(spec, COST.get(analysis, ""))
if result is not None:
    state_view.show_states(asked.model, result)
    result_view.result_view(result, spec)
