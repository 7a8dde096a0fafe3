"""Form for a technique's parameters, generated from its signature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.state import address
from app.text.escaping import escape
from app.widgets.hook_choice import check_site, choose_hook, hooks
from workbench.checkpoints.card import names
from workbench.core.errors import UnknownNameError
from workbench.core.ranges import check_value
from workbench.core.sites import Site
from workbench.experiments.questions.parameters import Parameter, signature_of
from workbench.experiments.questions.spelling import from_text, in_text
from workbench.experiments.run import loaded


@dataclass(frozen=True)
class FormValues:
    """Values of a form: the parameters that differ from their default, and the seed."""

    parameters: dict[str, Any]
    seed: int


FIRST_HOOKS = {
    "patching": {"blocks.*.hook_resid_pre": "d_model", "encoder.blocks.*.hook_resid_pre": "d_model"},
    "traversal": {"hook_latent": "latent", "hook_input": "latent"},
}
"""Default hooks of a technique in order of preference, each with the axis that its units must have."""

SITES, ARROW = ("path", "change", "seen"), "->"
"""Text parameters that name sites, and what separates several."""


def row(border: bool = True) -> DeltaGenerator:
    """Open a row that holds the fields of a form."""
    return st.container(border=border, horizontal=True, vertical_alignment="bottom", gap="small")


def form(analysis: str, model: str) -> FormValues:
    """Draw a field for each parameter of an analysis and one for its seed; call it inside a `row`."""
    signature = signature_of(analysis)
    given: dict[str, str] = {}
    for name, parameter in signature.parameters.items():
        with st.container(width=330 if name == "hook" else 170):
            if name == "hook":
                text = hook_field(parameter, model, analysis, globs="axes" in signature.parameters)
            else:
                text = field(parameter, model, given)
        if text != in_form(parameter):
            given[name] = text
    return FormValues(signature.parse(given), seed() if "seed" in signature.injected else 0)


def hook_field(parameter: Parameter, model: str, analysis: str, globs: bool) -> str:
    """Choose a hook; with `globs` also hooks without units and patterns."""
    if not parameter.required:
        return choose_hook(model, in_form(parameter), globs=True)
    known = hooks(model)
    first = (
        pattern
        for pattern, unit in FIRST_HOOKS.get(analysis, {}).items()
        if (hook := known.get(pattern.replace("*", "0"))) is not None and hook.unit == unit
    )
    return choose_hook(model, next(first, None), with_units=not globs, globs=globs)


def field(parameter: Parameter, model: str, given: dict[str, str]) -> str:
    """Draw the field of a parameter and return its text."""
    name = parameter.name
    if name == "axis":
        return axis(model, given.get("hook", ""))
    default = in_form(parameter)
    label = name.replace("_", " ").capitalize()
    if parameter.choices:
        return address.choose(
            escape(label), parameter.choices, name, default, kind=label.lower(), help=escape(parameter.help) or None
        )
    if parameter.annotation is bool:
        return in_text(
            bool, address.switch(escape(label), name, default == "true", help=escape(parameter.help) or None)
        )

    def check(text: str) -> None:
        if text:
            value = from_text(parameter.annotation, text)
            check_value(parameter.annotation, value, f"{name!r}, which the link asks for,")
            check_names(name, value, model, given.get("hook", ""))

    help_text = f"{parameter.help} ({parameter.type})".strip()
    return address.write(escape(label), name, default, help=escape(help_text), check=check)


def check_names(name: str, value: Any, model: str, hook: str) -> None:
    """Raise an error with the nearest name if a parameter names a part of the model, or another one, that is not there.

    Args:
        name: Name of the parameter.
        value: Its value.
        model: Name of the model.
        hook: Hook that the form has chosen.
    """
    if name == "detail" and value not in (details := loaded(model).details):
        raise UnknownNameError("detail", value, details, where=f" in the graph of {model}, which the link asks for")
    if name == "others":
        for other in (other for other in value if other.partition("@")[0] not in names()):
            raise UnknownNameError("trained model", other, names(), where=", which the link asks for")
    if name in SITES:
        for site in value.split(ARROW):
            check_site(Site.parse(site), model)
    unit_axis = hooks(model)[hook].unit if name == "units" and hook in hooks(model) else None
    if unit_axis and isinstance(value, list | tuple):
        for unit in value:
            check_site(Site(hook, {unit_axis: unit}), model)


def axis(model: str, hook: str) -> str:
    """Choose an axis of the hook; "" stands for the axis of its units."""
    known = hooks(model)
    if hook not in known:
        return ""
    units = known[hook].unit
    chosen = address.choose("Axis", list(known[hook].sizes), "axis", units)
    return "" if chosen == units else chosen


def in_form(parameter: Parameter) -> str:
    """Return a default as text; "" stands for None and for a required value."""
    if parameter.required or parameter.default is None:
        return ""
    return in_text(parameter.annotation, parameter.default)


def seed() -> int:
    """Choose the seed."""
    with st.container(width=150):
        return address.number("Seed", 0, 2**31 - 1, "seed", 0, help="The same seed gives the same numbers.")
