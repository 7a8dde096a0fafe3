"""Strip at the top of a page: model, inputs, jump box, running jobs and sharing."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.state import address, jobs
from app.text.errors import show
from app.text.escaping import code, escape
from app.widgets import own_input_form
from app.widgets.hook_choice import check_site, hooks
from workbench.checkpoints.card import models_folder, names, read_card, steps
from workbench.core.errors import InputError, UnknownNameError, WorkbenchError
from workbench.core.metrics import METRICS
from workbench.core.sites import Site
from workbench.experiments.inputs.kept_files import require_kept
from workbench.experiments.inputs.language import Inputs
from workbench.experiments.inputs.modality import Modality, modality_of_model, rival_metrics
from workbench.experiments.questions.defaults import Preset, default_metric, presets
from workbench.experiments.questions.spec import Spec

FIRST = "digits_mlp"
"""Default model: the smallest, whose data need no download."""


@dataclass(frozen=True)
class Selection:
    """Model and inputs selected in the strip; `sharing` is the container of the Share button."""

    model: str
    inputs: str
    sharing: DeltaGenerator

    @property
    def modality(self) -> Modality:
        """Return the modality of the model."""
        return modality_of_model(self.model)


def model_strip(inputs: bool = True, default: int = 0, first: str = FIRST) -> Selection:
    """Draw the strip and return the selection.

    Args:
        inputs: Whether the page has inputs.
        default: Index of the default preset of inputs.
        first: Default model.
    """
    known = names()
    if not known:
        raise InputError(f"There is no trained network in {models_folder()}. Train one: workbench train digits_mlp.")
    follow_jump(first if first in known else known[0])
    with st.container(key="strip"):
        places = st.columns([3, 4, 3, 1.3] if inputs else [3, 7, 1.3], vertical_alignment="bottom")
        with places[0]:
            offered = [*known, *kept_steps(address.requested("m") or "", known)]
            model = address.choose("Model", offered, "m", first, kind="trained model")
        chosen = ""
        if inputs:
            with places[1]:
                chosen = choose_inputs(model, default)
        with places[-2]:
            st.text_input(
                "Jump to a site",
                key="jump",
                placeholder="hook[axis=3] or model/hook",
                help="Enter opens it under Activations.",
                on_change=note_jump,
            )
        sharing = places[-1].container()
        running_jobs()
    return Selection(model, chosen, sharing)


def kept_steps(asked: str, known: list[str]) -> list[str]:
    """Return the steps that a training kept, as models, if one of them is asked for."""
    base, at, _ = asked.partition("@")
    return [f"{base}@{step}" for step in steps(base)] if at and base in known else []


def choose_inputs(model: str, default: int) -> str:
    """Choose inputs: a preset, a typed specification or the reader's own input."""
    offered = offered_presets(model)
    with st.container(horizontal=True, vertical_alignment="bottom", wrap=False, gap="small"):
        chosen = address.choose(
            "Inputs",
            [preset.inputs for preset in offered],
            "inputs",
            offered[default].inputs,
            free=True,
            help=f"Written as on the command line: {'; '.join(f'{code(p.inputs)} {escape(p.label)}' for p in offered)}",
        )
        own_input_form.own_input_button(model)
    require_kept(chosen)
    return chosen


def offered_presets(model: str) -> tuple[Preset, ...]:
    """Return the presets of a model, resetting inputs that belong to a model of another kind."""
    previous = address.previous("m")
    if previous not in (None, model):
        before, now = map(modality_of_model, (str(previous), model))
        inputs = Inputs.try_parse(address.requested("inputs") or "")
        if before is not now or (inputs and inputs.selection.files):
            address.forget("inputs", "corrupted")
    return presets(model)


def choose_corrupted(selection: Selection) -> str:
    """Choose the inputs that the clean ones are compared with."""
    usual = {preset.inputs: preset.corrupted for preset in presets(selection.model)}
    options = list(dict.fromkeys([usual.get(selection.inputs, ""), *usual.values()]))
    with st.container(width=330):
        chosen = address.choose(
            "Corrupted inputs",
            [option for option in options if option],
            "corrupted",
            free=True,
            help="The same number of examples, of the same size, as the inputs.",
        )
    require_kept(chosen)
    return chosen


def choose_metric(selection: Selection, contrast: bool = False) -> str:
    """Choose the metric of the output; `contrast` starts with the usual one for corrupted inputs."""
    autoencoder = read_card(selection.model).architecture == "vae"
    hidden = set() if autoencoder else {"reconstruction", "divergence", "signed_reconstruction", "signed_divergence"}
    hidden |= {"correct", "loss", "probability"} if autoencoder else set()
    hidden |= rival_metrics(selection.modality)
    hidden |= set() if contrast else {name for name in METRICS if name.startswith("signed_")}
    options = [name for name in METRICS if name not in hidden]
    usual = default_metric(selection.model, contrast or autoencoder)
    with st.container(width=200):
        return address.choose("Metric", options, "metric", usual, help="One number per example, from the output.")


def follow_jump(first: str) -> None:
    """Open the site typed into the jump box, keeping the inputs if the model is the same."""
    text = st.session_state.pop("jump to", "")
    if not text:
        return
    model = address.requested("m") or first
    try:
        target = destination(text, model)
    except WorkbenchError as error:
        show(error)
        return
    inputs = address.requested("inputs")
    address.go("activations", target | ({"inputs": inputs} if inputs and target["m"] == model else {}))


def note_jump() -> None:
    """Move the typed text from the jump box to the session state."""
    st.session_state["jump to"] = st.session_state["jump"].strip()
    st.session_state["jump"] = ""


def destination(text: str, model: str) -> dict[str, str]:
    """Return the choices that show a site; an unknown name raises an error with the nearest one."""
    head, slash, tail = text.partition("/")
    name, site = (head, Site.parse(tail)) if slash else (model, Site.parse(text))
    if name.partition("@")[0] not in names():
        raise UnknownNameError("trained model", name, names())
    check_site(site, name)
    unit = site.index.get(hooks(name)[site.hook].unit or "")
    return {"m": name, "hook": site.hook} | ({"unit": str(unit)} if isinstance(unit, int) else {})


def running_jobs() -> None:
    """Show the running jobs with a button to cancel each."""
    work = jobs.board().running()
    if work:
        with st.popover(f"{len(work)} running", icon=":material/hourglass_top:"):
            for job in work:
                st.progress(job.share, text=escape(job.text))
                if st.button("Cancel", key=f"stop {job.key}"):
                    job.cancel.set()


def share(selection: Selection, spec: Spec) -> None:
    """Offer the question as a link, Python code and a command."""
    share_code(selection, f"import workbench\n\nresult = {spec.as_python()}", spec.as_command())


def share_code(selection: Selection, python: str, command: str = "") -> None:
    """Offer a link to the page, Python code and a command that give the same numbers."""
    with selection.sharing, st.popover("Share", icon=":material/share:", help="Copy as link, Python or command line"):
        st.caption("Link to this page")
        st.code(address.link(), language=None, wrap_lines=True)
        st.caption("Python")
        st.code(python, language="python", wrap_lines=True)
        if command:
            st.caption("Command line")
            st.code(command, language="bash", wrap_lines=True)
