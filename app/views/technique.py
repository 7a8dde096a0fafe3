"""Generic page of a registered technique: its parameters as a form, its result with figure, finding and table."""

import streamlit as st

from app.state import address, pages
from app.text.escaping import code, escape
from app.text.technique_help import cost, show_details
from app.widgets import model_strip, observation_view, parameter_form, result_view
from app.widgets.hook_choice import hooks
from workbench.checkpoints.card import names
from workbench.core.registry import ANALYSES
from workbench.experiments.questions.parameters import signature_of
from workbench.experiments.questions.spec import Spec

FIRST_MODELS = ("digits_mlp", "maze_ppo", "induction_gpt", "shapes_vae")  # small, and together with all axes


def missing_axes(technique: str, model: str) -> list[str]:
    """List the axes that a technique needs and a model lacks."""
    there = {axis for hook in hooks(model).values() for axis in hook.sizes}
    return [axis for axis in getattr(ANALYSES[technique], "needed_axes", ()) if axis not in there]


def first_model(technique: str) -> str:
    """Return the first of `FIRST_MODELS` that the technique fits."""
    known = [model for model in FIRST_MODELS if model in names()]
    return next((model for model in known if not missing_axes(technique, model)), FIRST_MODELS[0])


technique = pages.all_pages()[address.current().view].technique
signature, first = signature_of(technique), first_model(technique)
takes = signature.injected
selection = model_strip.model_strip(inputs="inputs" in takes, first=first)
if missing := missing_axes(technique, selection.model):
    st.info(
        f"{escape(technique)} needs a network with an axis {code(missing[0])}, and {escape(selection.model)} has none. "
        f"Choose another model, such as {escape(first)}."
    )
    address.stop()
contrast = "corrupted" in takes
asks = bool(signature.parameters) or not takes.keys().isdisjoint(("corrupted", "metric", "seed"))
of_actions = "action" in getattr(ANALYSES[technique], "needed_axes", ())
with parameter_form.row(border=asks):
    corrupted = model_strip.choose_corrupted(selection) if contrast else ""
    metric = model_strip.choose_metric(selection, contrast or of_actions) if "metric" in takes else ""
    values = parameter_form.form(technique, selection.model)
inputs = selection.inputs if "inputs" in takes else ""
spec = Spec(selection.model, technique, inputs, corrupted, metric, values.parameters, values.seed)
model_strip.share(selection, spec)
long = "progress" in takes and ("world" in takes or "hook" not in signature.parameters)
result = result_view.result_or_run_button(spec, cost(technique) if long else "")
if result is not None:
    observation_view.show_states(selection.model, result)
    result_view.result_view(result, spec)
show_details(technique)
